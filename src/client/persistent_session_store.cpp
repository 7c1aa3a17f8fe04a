// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/require_option.hpp"
#include "client/session_record.hpp"
#include "client/slot_table.hpp"
#include "tls/decoded_sessions.hpp"

#include <reprise/base/aead.hpp>
#include <reprise/base/error.hpp>
#include <reprise/client/memory_session_store.hpp>
#include <reprise/client/persistent_session_store.hpp>
#include <reprise/io/event.hpp>
#include <reprise/io/within.hpp>
#include <reprise/storage/immediate_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <random>
#include <utility>

namespace reprise {

using detail::session_record;
using detail::slot_table;

namespace {

constexpr std::chrono::seconds longest_life = std::chrono::hours{24 * 7}; // RFC 8446, 4.6.1

[[nodiscard]] bool is_usable(session const& s, time_point now)
{
    return now < s.issued_at() + s.lifetime();
}

[[nodiscard]] time_point expiry_of(session const& s)
{
    auto const issued = s.issued_at();
    auto const life = std::min(s.lifetime(), longest_life);
    // A hostile issue time must not overflow it.
    return std::min(s.origin().chain_expiry, issued > time_point::max() - life ? time_point::max() : issued + life);
}

[[nodiscard]] secret_bytes derived(secret_bytes const& key, std::string_view purpose)
{
    return keyed_hash{key}.derive(purpose);
}

[[nodiscard]] asio::awaitable<bool> put(storage_ptr storage, std::string name, secret_bytes value, time_point expiry)
{
    co_await storage->put(std::move(name), std::move(value), expiry);
    co_return true;
}

[[nodiscard]] asio::awaitable<bool> erase(storage_ptr storage, std::string name)
{
    co_return co_await storage->erase(std::move(name));
}

} // namespace

class persistent_session_store::core : public std::enable_shared_from_this<core>
{
public:
    /// @param o Without its keys. @param names The key of the names.
    core(persistent_session_store_options o, storage_ptr storage, secret_bytes const& names);

    [[nodiscard]] bool stays_in_memory(session_key const& key) const
    {
        return !key.identity.empty() && !options_.persist_mutual_tls;
    }

    [[nodiscard]] bool is_immediate() const noexcept { return immediate_ != nullptr; }

    void capture(session_key const& key, session ticket);
    [[nodiscard]] std::size_t held(session_key const& key) const;
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] persistent_session_store_stats stats() const;
    [[nodiscard]] unsigned request_tickets() const noexcept { return options_.request_tickets; }

    static asio::awaitable<lease> take(std::shared_ptr<core> self, session_key key);
    static asio::awaitable<std::size_t> remove(std::shared_ptr<core> self, session_key key);
    static asio::awaitable<void> clear(std::shared_ptr<core> self);
    static asio::awaitable<void> drain(std::shared_ptr<core> self);
    static asio::awaitable<std::vector<kept_session>> release(std::shared_ptr<core> self, session_filter wanted);

    /// What is not in the storage: sessions of mutual TLS, those that could not be written, and notes.
    std::shared_ptr<memory_session_store> const front;

private:
    // A session on its way to the storage. `is_writing` and `is_over` change under the mutex.
    struct pending
    {
        session_key key;
        session ticket;
        std::uint64_t kept_at = 0;
        bool is_writing = false; // else it never was in the storage
        bool is_over = false;
        std::shared_ptr<detail::event> ended = std::make_shared<detail::event>();
    };
    using pending_ptr = std::shared_ptr<pending>;

    // Ends a write, be it with a coroutine that is not resumed any more.
    class write_end
    {
    public:
        write_end(std::shared_ptr<core> c, pending_ptr p) : core_(std::move(c)), pending_(std::move(p)) {}
        write_end(write_end const&) = delete;
        write_end& operator=(write_end const&) = delete;
        ~write_end() { core_->end(pending_); }

    private:
        std::shared_ptr<core> const core_;
        pending_ptr const pending_;
    };

    // What was found in one slot.
    struct found
    {
        std::optional<session> ticket{};
        full_reason why = full_reason::nothing_stored;
    };

    [[nodiscard]] std::string name_of(session_key const& key, std::size_t slot) const
    {
        return detail::name_of(names_, key, slot);
    }

    [[nodiscard]] std::uint64_t next_kept_at();
    void write_now(session_key const& key, session const& ticket, std::uint64_t kept_at);
    void write_behind(session_key const& key, session ticket, std::uint64_t kept_at);
    static asio::awaitable<void> write(std::shared_ptr<core> self, pending_ptr p, std::unique_ptr<write_end> end);
    [[nodiscard]] bool begin(pending& p, std::size_t& slot);
    void end(pending_ptr const& p) noexcept;
    void finish(pending& p) noexcept; // under the mutex

    [[nodiscard]] pending_ptr newest_pending(session_key const& key) const; // under the mutex
    [[nodiscard]] std::vector<pending_ptr> withdraw(session_key const& key);
    static asio::awaitable<void> wait_for_writes(std::shared_ptr<core> self, session_key key);

    static asio::awaitable<found> take_pending(std::shared_ptr<core> self, session_key const& key);
    static asio::awaitable<found> take_known(std::shared_ptr<core> self, session_key const& key);
    static asio::awaitable<found> look_through(std::shared_ptr<core> self, session_key const& key);
    static asio::awaitable<found> fetch(std::shared_ptr<core> self, session_key const& key, slot_table::content at);
    static asio::awaitable<std::size_t> erase_slots(std::shared_ptr<core> self, session_key const& key);

    [[nodiscard]] std::optional<session_record> read(std::optional<secret_bytes> const& record, session_key const& key);
    [[nodiscard]] found open(secret_bytes const& record, session_record const& read);
    [[nodiscard]] std::uint64_t rejected_by_seal() const noexcept { return seal_ ? seal_->rejected() : 0; }
    void count_error() noexcept { storage_errors_.fetch_add(1, std::memory_order_relaxed); }
    void count_failure();

    persistent_session_store_options const options_;
    std::shared_ptr<immediate_storage> const immediate_;
    storage_ptr const storage_; // the caller's, or what seals it
    std::shared_ptr<sealed_storage> const seal_;
    keyed_hash const names_;
    detail::decoded_sessions decoded_;

    mutable std::mutex mutex_;
    slot_table slots_;
    std::multimap<session_key, pending_ptr> pending_; // of one key: in order
    std::shared_ptr<detail::event> idle_;             // if anybody waits for it
    std::uint64_t last_kept_at_ = 0;

    std::atomic<std::uint64_t> stored_{0};
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> storage_errors_{0};
    std::atomic<std::uint64_t> rejected_{0};
};

namespace {

// After the options have been found good.
[[nodiscard]] secret_bytes name_key_of(persistent_session_store_options const& o)
{
    return o.name_key.empty() ? derived(o.keys.front(), "reprise client store names") : o.name_key;
}

[[nodiscard]] storage_ptr sealed(persistent_session_store_options const& o)
{
    if (!o.sealed || std::dynamic_pointer_cast<immediate_storage>(o.storage) ||
        std::dynamic_pointer_cast<sealed_storage>(o.storage))
        return o.storage;
    sealed_storage_options options{.inner = o.storage, .now = o.now};
    for (auto const& key : o.keys)
        options.keys.push_back(derived(key, "reprise client store records"));
    options.name_key = derived(name_key_of(o), "reprise client store sealed names");
    return sealed_storage::make(std::move(options));
}

} // namespace

persistent_session_store::core::core(persistent_session_store_options o, storage_ptr storage, secret_bytes const& names)
    : front(memory_session_store::make(
          {.max_sessions = o.max_keys, .max_tickets_per_key = o.max_tickets_per_key, .now = o.now})),
      options_(std::move(o)), immediate_(std::dynamic_pointer_cast<immediate_storage>(options_.storage)),
      storage_(std::move(storage)), seal_(std::dynamic_pointer_cast<sealed_storage>(storage_)), names_(names),
      decoded_(options_.decoded_sessions),
      slots_(options_.max_tickets_per_key, options_.max_keys, std::random_device{}())
{
}

// In a catch block: a cancellation goes on, everything else is counted.
void persistent_session_store::core::count_failure()
{
    try
    {
        throw;
    }
    catch (system_error const& e)
    {
        if (e.code() == asio::error::operation_aborted)
            throw;
    }
    catch (...)
    {
    }
    count_error();
}

// Microseconds, and never the same twice: it puts the sessions of a key in order.
std::uint64_t persistent_session_store::core::next_kept_at()
{
    auto const now = std::chrono::duration_cast<std::chrono::microseconds>(options_.now().time_since_epoch()).count();
    last_kept_at_ = std::max(static_cast<std::uint64_t>(now), last_kept_at_ + 1);
    return last_kept_at_;
}

void persistent_session_store::core::capture(session_key const& key, session ticket)
{
    if (stays_in_memory(key))
        return front->capture(key, std::move(ticket));
    if (ticket.protocol() == tls_version::tls13)
        front->note(key, full_reason::tickets_in_use); // if it is gone when it is asked for, somebody else has it
    std::uint64_t kept_at = 0;
    {
        std::lock_guard const lock{mutex_};
        kept_at = next_kept_at();
    }
    if (immediate_)
        write_now(key, ticket, kept_at);
    else
        write_behind(key, std::move(ticket), kept_at);
}

void persistent_session_store::core::write_now(session_key const& key, session const& ticket, std::uint64_t kept_at)
{
    std::size_t slot = 0;
    {
        std::lock_guard const lock{mutex_};
        slot = slots_.begin_write(key, ticket.protocol());
    }
    try
    {
        auto const record = detail::write_record(key, ticket, kept_at);
        auto const expiry = expiry_of(ticket);
        immediate_->put_now(name_of(key, slot), record, expiry);
        decoded_.keep(record, ticket);
        std::lock_guard const lock{mutex_};
        slots_.seen(key, {slot, kept_at, ticket.protocol(), expiry});
        stored_.fetch_add(1, std::memory_order_relaxed);
    }
    catch (...) // it costs nothing yet: the session is here
    {
        count_error();
        front->capture(key, ticket);
    }
}

void persistent_session_store::core::write_behind(session_key const& key, session ticket, std::uint64_t kept_at)
{
    auto const p = std::make_shared<pending>(pending{key, ticket, kept_at});
    {
        std::lock_guard const lock{mutex_};
        if (pending_.size() < options_.max_pending_writes)
            pending_.emplace(key, p);
        else
            p->is_over = true;
    }
    if (p->is_over)
    {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return front->capture(key, std::move(ticket));
    }
    auto ended = std::make_unique<write_end>(shared_from_this(), p);
    // The deadline's timer and the storage's answer may come on two threads.
    asio::co_spawn(asio::make_strand(options_.executor), write(shared_from_this(), p, std::move(ended)),
                   asio::detached);
}

// Whether the session is still there to be written, and where.
bool persistent_session_store::core::begin(pending& p, std::size_t& slot)
{
    std::lock_guard const lock{mutex_};
    if (p.is_over)
        return false;
    slot = slots_.begin_write(p.key, p.ticket.protocol());
    p.is_writing = true;
    return true;
}

asio::awaitable<void> persistent_session_store::core::write(std::shared_ptr<core> self, pending_ptr p,
                                                            std::unique_ptr<write_end> end)
{
    using detail::lookup_status;
    co_await asio::post(asio::use_awaitable); // not within the read that has brought the session
    std::size_t slot = 0;
    if (!self->begin(*p, slot))
        co_return;
    auto const deadline = self->options_.write_deadline;
    auto const name = self->name_of(p->key, slot);
    auto const record = detail::write_record(p->key, p->ticket, p->kept_at);
    auto const expiry = expiry_of(p->ticket);
    auto const done = co_await detail::within(deadline, put(self->storage_, name, record, expiry));
    if (done.status == lookup_status::answered)
    {
        self->decoded_.keep(record, p->ticket);
        self->stored_.fetch_add(1, std::memory_order_relaxed);
        std::lock_guard const lock{self->mutex_};
        self->slots_.seen(p->key, {slot, p->kept_at, p->ticket.protocol(), expiry});
    }
    else
    {
        self->count_error();
        bool is_ours = p->ticket.protocol() == tls_version::tls12;
        if (done.status == lookup_status::failed)
        {
            // It may have been written all the same; what is gone from there is ours again.
            auto const undone = co_await detail::within(deadline, erase(self->storage_, name));
            is_ours = is_ours || undone.status == lookup_status::answered;
        }
        if (is_ours)
            self->front->capture(p->key, p->ticket);
    }
    end.reset(); // after it has been counted, for those who drain
}

void persistent_session_store::core::end(pending_ptr const& p) noexcept
{
    std::lock_guard const lock{mutex_};
    if (!p->is_over && !p->is_writing) // its context has gone: it was never written
        front->capture(p->key, p->ticket);
    finish(*p);
}

void persistent_session_store::core::finish(pending& p) noexcept
{
    if (std::exchange(p.is_over, true))
        return;
    auto const [first, last] = pending_.equal_range(p.key);
    auto const own = std::find_if(first, last, [&](auto const& e) { return e.second.get() == &p; });
    if (own != last)
    {
        auto const keep = own->second; // while it is taken out
        pending_.erase(own);
        keep->ended->set();
    }
    if (pending_.empty() && idle_)
        std::exchange(idle_, nullptr)->set();
}

persistent_session_store::core::pending_ptr persistent_session_store::core::newest_pending(session_key const& key) const
{
    auto const [first, last] = pending_.equal_range(key);
    return first == last ? nullptr : std::prev(last)->second;
}

asio::awaitable<lease> persistent_session_store::core::take(std::shared_ptr<core> self, session_key key)
{
    // The cheapest places first; each is asked until there is nothing in it.
    found result = co_await take_pending(self, key);
    lease in_memory;
    if (!result.ticket)
    {
        in_memory = co_await self->front->take(key);
        result.ticket = in_memory.ticket;
    }
    if (!result.ticket && !self->stays_in_memory(key))
    {
        auto known = co_await take_known(self, key);
        if (!known.ticket && known.why != full_reason::lookup_failed)
        {
            auto elsewhere = co_await look_through(self, key);
            if (elsewhere.ticket || elsewhere.why != full_reason::nothing_stored)
                known = std::move(elsewhere);
        }
        if (known.ticket || known.why != full_reason::nothing_stored)
            result = std::move(known);
    }
    if (result.ticket)
    {
        if (result.ticket->protocol() == tls_version::tls13)
            self->front->note(key, full_reason::tickets_in_use);
        co_return lease{std::move(result.ticket), full_reason::none};
    }
    if (result.why == full_reason::expired)
        self->front->note(key, result.why);
    if (result.why == full_reason::nothing_stored)
        result.why = in_memory.reason;
    if (result.why == full_reason::nothing_stored)
    {
        std::lock_guard const lock{self->mutex_};
        result.why = self->slots_.why_not(key);
    }
    co_return lease{{}, result.why};
}

// A ticket that is being written may be another process's already; all others are here for sure.
asio::awaitable<persistent_session_store::core::found>
persistent_session_store::core::take_pending(std::shared_ptr<core> self, session_key const& key)
{
    found result;
    for (;;)
    {
        std::shared_ptr<detail::event> ended;
        {
            std::lock_guard const lock{self->mutex_};
            auto const p = self->newest_pending(key);
            if (!p)
                co_return result;
            bool const usable = is_usable(p->ticket, self->options_.now());
            bool const reusable = p->ticket.protocol() == tls_version::tls12;
            if (usable && (reusable || !p->is_writing))
                result.ticket = p->ticket;
            if (!p->is_writing && !(usable && reusable))
                self->finish(*p);
            if (result.ticket)
                co_return result;
            if (!usable)
                result.why = full_reason::expired;
            if (p->is_over)
                continue;
            ended = p->ended;
        }
        co_await detail::event::wait(std::move(ended));
    }
}

asio::awaitable<persistent_session_store::core::found>
persistent_session_store::core::take_known(std::shared_ptr<core> self, session_key const& key)
{
    found result;
    for (;;)
    {
        std::optional<slot_table::content> at;
        {
            std::lock_guard const lock{self->mutex_};
            at = self->slots_.newest(key);
            if (at && at->expiry <= self->options_.now())
            {
                self->slots_.emptied(key, at->slot);
                result.why = full_reason::expired;
                continue;
            }
        }
        if (!at)
            co_return result;
        auto one = co_await fetch(self, key, *at);
        if (one.ticket || one.why == full_reason::lookup_failed)
            co_return one;
        if (one.why != full_reason::nothing_stored)
            result.why = one.why;
    }
}

// The slots of which this process knows nothing, or not enough: others have written there.
asio::awaitable<persistent_session_store::core::found>
persistent_session_store::core::look_through(std::shared_ptr<core> self, session_key const& key)
{
    found result;
    auto const rejected = self->rejected_by_seal();
    std::vector<slot_table::content> there;
    try
    {
        for (std::size_t slot = 0; slot < self->options_.max_tickets_per_key; ++slot)
        {
            auto const record = co_await self->storage_->get(self->name_of(key, slot));
            if (auto const r = self->read(record, key))
                there.push_back({slot, r->kept_at, r->protocol, time_point::max()});
            else if (record || self->rejected_by_seal() != rejected)
                result.why = full_reason::record_corrupt;
        }
    }
    catch (...)
    {
        self->count_failure();
        result.why = full_reason::lookup_failed;
    }
    if (result.why == full_reason::lookup_failed || there.empty())
        co_return result;
    {
        std::lock_guard const lock{self->mutex_};
        for (auto const& c : there)
            self->slots_.seen(key, c);
    }
    auto known = co_await take_known(self, key);
    if (!known.ticket && known.why == full_reason::nothing_stored)
        known.why = result.why;
    co_return known;
}

asio::awaitable<persistent_session_store::core::found>
persistent_session_store::core::fetch(std::shared_ptr<core> self, session_key const& key, slot_table::content at)
{
    found result;
    auto const rejected = self->rejected_by_seal();
    try
    {
        auto const name = self->name_of(key, at.slot);
        std::optional<secret_bytes> record;
        bool taken = at.protocol == tls_version::tls13;
        if (!taken)
        {
            record = co_await self->storage_->get(name);
            auto const r = self->read(record, key);
            taken = r && r->protocol == tls_version::tls13; // another process has put a ticket there
        }
        if (taken)
            record = co_await self->storage_->take(name);
        auto const r = self->read(record, key);
        if (r)
            result = self->open(*record, *r);
        else if (record || self->rejected_by_seal() != rejected)
            result.why = full_reason::record_corrupt;
        if (taken && result.ticket && r->protocol == tls_version::tls12)
            self->capture(key, *result.ticket); // another process has put it there; it stays
        else if (taken || !result.ticket)
        {
            std::lock_guard const lock{self->mutex_};
            if (taken)
                self->slots_.emptied(key, at.slot);
            else
                self->slots_.doubted(key, at.slot);
        }
    }
    catch (...)
    {
        self->count_failure();
        result = {{}, full_reason::lookup_failed};
    }
    co_return result;
}

std::optional<session_record> persistent_session_store::core::read(std::optional<secret_bytes> const& record,
                                                                   session_key const& key)
{
    if (!record)
        return std::nullopt;
    auto result = session_record::read(*record);
    if (result && result->key == key)
        return result;
    rejected_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
}

persistent_session_store::core::found persistent_session_store::core::open(secret_bytes const& record,
                                                                           session_record const& read)
{
    auto decoded = decoded_.find(record);
    if (!decoded)
    {
        decoded = read.decode();
        if (decoded && read.protocol == tls_version::tls12)
            decoded_.keep(record, *decoded);
    }
    else if (read.protocol == tls_version::tls13)
        decoded_.forget(record);
    if (!decoded)
    {
        rejected_.fetch_add(1, std::memory_order_relaxed);
        return {{}, full_reason::record_corrupt};
    }
    if (!is_usable(*decoded, options_.now()))
        return {{}, full_reason::expired};
    return {std::move(decoded), full_reason::none};
}

// What was not written yet, and never will be.
std::vector<persistent_session_store::core::pending_ptr>
persistent_session_store::core::withdraw(session_key const& key)
{
    std::vector<pending_ptr> result;
    std::lock_guard const lock{mutex_};
    auto const [first, last] = pending_.equal_range(key);
    for (auto at = first; at != last; ++at)
        if (!at->second->is_writing)
            result.push_back(at->second);
    for (auto const& p : result)
        finish(*p);
    return result;
}

asio::awaitable<void> persistent_session_store::core::wait_for_writes(std::shared_ptr<core> self, session_key key)
{
    for (;;)
    {
        std::shared_ptr<detail::event> ended;
        {
            std::lock_guard const lock{self->mutex_};
            auto const p = self->newest_pending(key);
            if (!p)
                co_return;
            ended = p->ended;
        }
        co_await detail::event::wait(std::move(ended));
    }
}

asio::awaitable<std::size_t> persistent_session_store::core::erase_slots(std::shared_ptr<core> self,
                                                                         session_key const& key)
{
    std::size_t erased = 0;
    std::exception_ptr failure;
    for (std::size_t slot = 0; slot < self->options_.max_tickets_per_key; ++slot)
        try
        {
            bool const was_there = co_await self->storage_->erase(self->name_of(key, slot));
            erased += was_there ? 1u : 0u;
        }
        catch (...)
        {
            self->count_failure();
            failure = std::current_exception();
        }
    {
        std::lock_guard const lock{self->mutex_};
        self->slots_.forget(key);
    }
    if (failure)
        std::rethrow_exception(failure);
    co_return erased;
}

asio::awaitable<std::size_t> persistent_session_store::core::remove(std::shared_ptr<core> self, session_key key)
{
    std::size_t removed = self->withdraw(key).size();
    co_await wait_for_writes(self, key);
    removed += co_await self->front->remove(key);
    if (!self->stays_in_memory(key))
        removed += co_await erase_slots(self, key);
    co_return removed;
}

asio::awaitable<void> persistent_session_store::core::clear(std::shared_ptr<core> self)
{
    std::vector<session_key> keys;
    {
        std::lock_guard const lock{self->mutex_};
        keys = self->slots_.keys();
        for (auto const& [key, p] : self->pending_)
            keys.push_back(key);
    }
    co_await self->front->clear();
    std::exception_ptr failure;
    for (auto const& key : keys)
        try
        {
            co_await remove(self, key);
        }
        catch (...)
        {
            failure = std::current_exception();
        }
    if (failure)
        std::rethrow_exception(failure);
}

asio::awaitable<void> persistent_session_store::core::drain(std::shared_ptr<core> self)
{
    std::shared_ptr<detail::event> idle;
    {
        std::lock_guard const lock{self->mutex_};
        if (self->pending_.empty())
            co_return;
        if (!self->idle_)
            self->idle_ = std::make_shared<detail::event>();
        idle = self->idle_;
    }
    co_await detail::event::wait(std::move(idle));
}

asio::awaitable<std::vector<kept_session>> persistent_session_store::core::release(std::shared_ptr<core> self,
                                                                                   session_filter wanted)
{
    auto result = co_await self->front->release(wanted);
    std::vector<session_key> keys;
    {
        std::lock_guard const lock{self->mutex_};
        keys = self->slots_.keys();
        for (auto const& [key, p] : self->pending_)
            keys.push_back(key);
    }
    std::ranges::sort(keys);
    auto const repeated = std::ranges::unique(keys);
    keys.erase(repeated.begin(), repeated.end());
    for (auto const& key : keys)
    {
        if (!wanted(key))
            continue;
        std::vector<session> newest_first;
        bool is_reusable = false;
        while (!is_reusable)
        {
            auto next = co_await take_pending(self, key);
            if (!next.ticket)
                next = co_await take_known(self, key);
            if (!next.ticket)
                break;
            is_reusable = next.ticket->protocol() == tls_version::tls12; // it stays, and those behind it are of no use
            newest_first.push_back(std::move(*next.ticket));
        }
        for (auto ticket = newest_first.rbegin(); ticket != newest_first.rend(); ++ticket)
            result.push_back({key, std::move(*ticket)});
    }
    co_return result;
}

std::size_t persistent_session_store::core::held(session_key const& key) const
{
    std::lock_guard const lock{mutex_};
    return pending_.count(key) + slots_.count(key);
}

std::size_t persistent_session_store::core::size() const
{
    std::lock_guard const lock{mutex_};
    return pending_.size() + slots_.count() + front->size();
}

persistent_session_store_stats persistent_session_store::core::stats() const
{
    persistent_session_store_stats result;
    result.stored = stored_.load(std::memory_order_relaxed);
    result.dropped = dropped_.load(std::memory_order_relaxed);
    result.storage_errors = storage_errors_.load(std::memory_order_relaxed);
    result.rejected = rejected_.load(std::memory_order_relaxed) + storage_->stats().rejected;
    return result;
}

std::shared_ptr<persistent_session_store> persistent_session_store::make(persistent_session_store_options o)
{
    using detail::require_option;
    require_option(o.storage != nullptr, "persistent_session_store_options::storage: a storage");
    require_option(!o.keys.empty() && o.keys.size() <= 16, "persistent_session_store_options::keys: 1 to 16");
    require_option(std::ranges::all_of(o.keys, is_plausible_key),
                   "persistent_session_store_options::keys: 32 random bytes each, at least 16 of them different");
    for (auto key = o.keys.begin(); key != o.keys.end(); ++key)
        require_option(std::find(o.keys.begin(), key, *key) == key,
                       "persistent_session_store_options::keys: all different");
    require_option(o.name_key.empty() || is_plausible_key(o.name_key),
                   "persistent_session_store_options::name_key: 32 random bytes, at least 16 of them different");
    require_option(o.max_tickets_per_key >= 1 && o.max_tickets_per_key <= 16,
                   "persistent_session_store_options::max_tickets_per_key: 1 to 16");
    require_option(o.request_tickets <= o.max_tickets_per_key,
                   "persistent_session_store_options::request_tickets: at most max_tickets_per_key");
    require_option(o.max_keys >= 1, "persistent_session_store_options::max_keys: at least 1");
    require_option(o.max_pending_writes >= 1, "persistent_session_store_options::max_pending_writes: at least 1");
    require_option(o.write_deadline.count() >= 1, "persistent_session_store_options::write_deadline: at least 1 ms");
    require_option(o.executor || std::dynamic_pointer_cast<immediate_storage>(o.storage),
                   "persistent_session_store_options::executor: an executor, unless the storage is immediate");
    require_option(o.now != nullptr, "persistent_session_store_options::now: a clock");
    auto storage = sealed(o);
    auto const names = derived(name_key_of(o), "reprise client store slot");
    o.keys.clear();
    o.name_key = {};
    return std::shared_ptr<persistent_session_store>{
        new persistent_session_store{std::make_shared<core>(std::move(o), std::move(storage), names)}};
}

persistent_session_store::persistent_session_store(std::shared_ptr<core> c) : core_(std::move(c)) {}

persistent_session_store::~persistent_session_store() = default;

void persistent_session_store::capture(session_key const& key, session ticket) noexcept
try
{
    core_->capture(key, std::move(ticket));
}
catch (...)
{
    // For lack of memory. A session that could not be kept costs one full handshake.
}

asio::awaitable<lease> persistent_session_store::take(session_key key)
{
    return core::take(core_, std::move(key));
}

void persistent_session_store::note(session_key const& key, full_reason why) noexcept
{
    core_->front->note(key, why);
}

unsigned persistent_session_store::tickets_wanted(session_key const& key) const noexcept
{
    auto const wanted = std::size_t{core_->request_tickets()};
    if (wanted == 0)
        return 0;
    auto const held = core_->held(key);
    return static_cast<unsigned>(held < wanted ? wanted - held : 1); // one to come in the place of one that is used
}

asio::awaitable<std::size_t> persistent_session_store::remove(session_key key)
{
    return core::remove(core_, std::move(key));
}

asio::awaitable<void> persistent_session_store::clear()
{
    return core::clear(core_);
}

asio::awaitable<void> persistent_session_store::drain()
{
    return core::drain(core_);
}

asio::awaitable<std::vector<kept_session>> persistent_session_store::release(session_filter wanted)
{
    return core::release(core_, std::move(wanted));
}

std::size_t persistent_session_store::size() const
{
    return core_->size();
}

bool persistent_session_store::answers_at_once() const noexcept
{
    return core_->is_immediate();
}

persistent_session_store_stats persistent_session_store::stats() const
{
    return core_->stats();
}

} // namespace reprise
