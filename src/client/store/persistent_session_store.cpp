// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/persistent_session_store.hpp>

#include "async/handoff.hpp"
#include "base/old_name.hpp"
#include "base/require_option.hpp"
#include "client/store/pending_sessions.hpp"
#include "client/store/session_slots.hpp"

#include <reprise/detail/base/aead.hpp>
#include <reprise/error.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/storage/immediate_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <utility>

namespace reprise {

using detail::pending_sessions;
using detail::session_slots;

namespace {

[[nodiscard]] secret_bytes derived(secret_bytes const& key, std::string_view purpose)
{
    return detail::keyed_hash{key}.derive(purpose);
}

// Call after the options have been checked.
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

// Replace the result by that of another place, if that place has a session or a reason.
void merge(take_result& result, take_result more)
{
    if (more.ticket || more.reason != full_handshake_reason::nothing_stored)
        result = std::move(more);
}

} // namespace

class persistent_session_store::impl : public std::enable_shared_from_this<impl>
{
public:
    using pointer = std::shared_ptr<impl>;

    explicit impl(persistent_session_store_options const& o);

    void capture(session_scope const& key, session ticket);
    static asio::awaitable<take_result> take(pointer self, session_scope key);
    static asio::awaitable<std::size_t> remove(pointer self, session_scope key);
    static asio::awaitable<void> clear(pointer self);
    static asio::awaitable<std::vector<kept_session>> release(pointer self, session_filter wanted);
    [[nodiscard]] unsigned tickets_wanted(session_scope const& key) const;
    [[nodiscard]] std::size_t size() const { return pending->count() + slots_->count() + overflow->size(); }
    [[nodiscard]] persistent_session_store_stats stats() const;

    /// Count a session that was not written and is not in memory either.
    void count_dropped() noexcept { dropped_.fetch_add(1, std::memory_order_relaxed); }

    std::shared_ptr<immediate_storage> const immediate; ///< the storage, if it is immediate

    /// Sessions that are not in the storage: those of mutual TLS, and those that could not be written. Notes, too.
    std::shared_ptr<memory_session_store> const overflow;

    /// Sessions whose write is pending.
    std::shared_ptr<pending_sessions> const pending;

private:
    void write_now(session_scope const& key, session const& ticket);
    void write_behind(session_scope const& key, session const& ticket);
    static asio::awaitable<void> write(pointer self, std::unique_ptr<pending_sessions::write> w);

    [[nodiscard]] bool stays_in_memory(session_scope const& key) const
    {
        return !key.identity.empty() && !persists_mutual_tls_;
    }
    [[nodiscard]] std::vector<session_scope> keys() const;

    bool const persists_mutual_tls_;
    unsigned const request_tickets_;
    std::chrono::milliseconds const write_timeout_;
    detail::kept_executor executor_; // a strand: the timeout's timer and the storage's answer may come on two threads
    clock const now_;
    session_slots::pointer const slots_;
    std::atomic<std::uint64_t> dropped_{0};
    std::atomic<std::uint64_t> failed_now_{0}; // failed writes into an immediate_storage
};

persistent_session_store::impl::impl(persistent_session_store_options const& o)
    : immediate(std::dynamic_pointer_cast<immediate_storage>(o.storage)),
      overflow(memory_session_store::make(
          {.max_sessions = o.max_keys, .max_tickets_per_key = o.max_tickets_per_key, .now = o.now})),
      pending(std::make_shared<pending_sessions>(o.max_pending_writes, o.max_pending_bytes, overflow)),
      persists_mutual_tls_(o.persist_mutual_tls), request_tickets_(o.request_tickets), write_timeout_(o.write_timeout),
      executor_(o.executor ? detail::serial_executor(o.executor) : o.executor), now_(o.now),
      slots_(std::make_shared<session_slots>(
          session_slots::settings{.storage = sealed(o),
                                  .name_key = derived(name_key_of(o), "reprise client store slot"),
                                  .slots = o.max_tickets_per_key,
                                  .max_keys = o.max_keys,
                                  .decoded_sessions = o.decoded_sessions,
                                  .now = o.now}))
{
}

void persistent_session_store::impl::capture(session_scope const& key, session ticket)
{
    if (stays_in_memory(key))
        return overflow->capture(key, std::move(ticket));
    if (ticket.protocol() == tls_version::tls13)
        overflow->note(
            key,
            full_handshake_reason::tickets_in_use); // if a later take finds none, another connection or process has it
    if (immediate)
        write_now(key, ticket);
    else
        write_behind(key, ticket);
}

void persistent_session_store::impl::write_now(session_scope const& key, session const& ticket)
try
{
    slots_->write_now(*immediate, key, ticket, slots_->stamp());
}
catch (...)
{
    failed_now_.fetch_add(1, std::memory_order_relaxed);
    overflow->capture(key, ticket);
}

void persistent_session_store::impl::write_behind(session_scope const& key, session const& ticket)
{
    auto w = pending->add(key, ticket, slots_->stamp());
    if (!w)
    {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return overflow->capture(key, ticket);
    }
    bool const begins = executor_.use([&](asio::any_io_executor const& ex)
                                      { asio::co_spawn(ex, write(shared_from_this(), std::move(w)), asio::detached); });
    if (!begins) // the executor's context is gone; the session stays in memory
        dropped_.fetch_add(1, std::memory_order_relaxed);
}

asio::awaitable<void> persistent_session_store::impl::write(pointer self, std::unique_ptr<pending_sessions::write> w)
{
    using detail::write_result;
    co_await asio::post(asio::use_awaitable); // not within the read that brought the session
    if (!w->begin())
        co_return;
    auto result = write_result::uncertain;
    try
    {
        result = co_await session_slots::write(self->slots_, w->key, w->ticket, w->kept_at, self->write_timeout_);
    }
    catch (std::bad_alloc const&)
    {
        self->count_dropped();
    }
    // A TLS 1.2 session may be in two places; a ticket must not.
    if (result == write_result::undone ||
        (result == write_result::uncertain && w->ticket.protocol() == tls_version::tls12))
        self->overflow->capture(w->key, w->ticket);
}

asio::awaitable<take_result> persistent_session_store::impl::take(pointer self, session_scope key)
{
    auto result = co_await pending_sessions::take(self->pending, key, self->now_);
    if (!result.ticket)
        merge(result, co_await session_slots::take_known(self->slots_, key));
    auto why_not_in_memory = full_handshake_reason::nothing_stored;
    if (!result.ticket)
    {
        auto in_memory = co_await self->overflow->take(key);
        why_not_in_memory = in_memory.reason;
        if (in_memory.ticket)
            result = std::move(in_memory);
    }
    if (!result.ticket && result.reason != full_handshake_reason::lookup_failed && !self->stays_in_memory(key))
        merge(result, co_await session_slots::look_through(self->slots_, key));
    if (result.ticket)
    {
        if (result.ticket->protocol() == tls_version::tls13)
            self->overflow->note(key, full_handshake_reason::tickets_in_use);
        co_return result;
    }
    if (result.reason == full_handshake_reason::expired)
        self->overflow->note(key, result.reason);
    if (result.reason == full_handshake_reason::nothing_stored)
        result.reason = why_not_in_memory;
    if (result.reason == full_handshake_reason::nothing_stored)
        result.reason = self->slots_->why_not(key);
    co_return result;
}

asio::awaitable<std::size_t> persistent_session_store::impl::remove(pointer self, session_scope key)
{
    std::size_t removed = self->pending->withdraw(key);
    co_await pending_sessions::wait(self->pending, key);
    removed += co_await self->overflow->remove(key);
    if (!self->stays_in_memory(key))
        removed += co_await session_slots::erase(self->slots_, key);
    co_return removed;
}

// Return the keys of all sessions that are, or will be, in the storage, each once.
std::vector<session_scope> persistent_session_store::impl::keys() const
{
    auto result = slots_->keys();
    std::ranges::move(pending->keys(), std::back_inserter(result));
    std::ranges::sort(result);
    auto const repeated = std::ranges::unique(result);
    result.erase(repeated.begin(), repeated.end());
    return result;
}

asio::awaitable<void> persistent_session_store::impl::clear(pointer self)
{
    auto const keys = self->keys();
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
    co_await self->overflow->clear();
    if (failure)
        std::rethrow_exception(failure);
}

asio::awaitable<std::vector<kept_session>> persistent_session_store::impl::release(pointer self, session_filter wanted)
{
    auto result = co_await self->overflow->release(wanted);
    auto const keys = self->keys();
    for (auto const& key : keys)
    {
        if (!wanted(key))
            continue;
        std::vector<session> newest_first;
        for (bool is_single_use = true; is_single_use;)
        {
            auto next = co_await pending_sessions::take(self->pending, key, self->now_);
            if (!next.ticket)
                next = co_await session_slots::take_known(self->slots_, key);
            if (!next.ticket)
                break;
            is_single_use = next.ticket->protocol() == tls_version::tls13; // else it stays, and hides older sessions
            newest_first.push_back(std::move(*next.ticket));
        }
        for (auto ticket = newest_first.rbegin(); ticket != newest_first.rend(); ++ticket)
            result.push_back({key, std::move(*ticket)});
    }
    co_return result;
}

unsigned persistent_session_store::impl::tickets_wanted(session_scope const& key) const
{
    if (request_tickets_ == 0)
        return 0;
    auto const held = pending->count(key) + slots_->count(key);
    return held < request_tickets_ ? request_tickets_ - static_cast<unsigned>(held)
                                   : 1; // one to replace the ticket that is used
}

persistent_session_store_stats persistent_session_store::impl::stats() const
{
    persistent_session_store_stats result;
    result.stored = slots_->written();
    result.dropped = dropped_.load(std::memory_order_relaxed);
    result.storage_errors = slots_->errors() + failed_now_.load(std::memory_order_relaxed);
    result.rejected = slots_->rejected();
    return result;
}

static void use_old_names(persistent_session_store_options& o)
{
    detail::use_old_name(o.write_deadline, o.write_timeout);
}

std::shared_ptr<persistent_session_store> persistent_session_store::make(persistent_session_store_options o)
{
    use_old_names(o);
    using detail::require_option;
    require_option(o.storage != nullptr, "persistent_session_store_options::storage must not be null");
    require_option(!o.keys.empty() && o.keys.size() <= 16,
                   "persistent_session_store_options::keys must be 1 to 16 keys");
    require_option(
        std::ranges::all_of(o.keys, detail::is_plausible_key),
        "persistent_session_store_options::keys must each be 32 random bytes, at least 16 of them different");
    for (auto key = o.keys.begin(); key != o.keys.end(); ++key)
        require_option(std::find(o.keys.begin(), key, *key) == key,
                       "persistent_session_store_options::keys must all be different");
    require_option(o.name_key.empty() || detail::is_plausible_key(o.name_key),
                   "persistent_session_store_options::name_key must be 32 random bytes, at least 16 of them different");
    require_option(o.max_tickets_per_key >= 1 && o.max_tickets_per_key <= 16,
                   "persistent_session_store_options::max_tickets_per_key must be 1 to 16");
    require_option(o.request_tickets <= o.max_tickets_per_key,
                   "persistent_session_store_options::request_tickets must be at most max_tickets_per_key");
    require_option(o.max_keys >= 1, "persistent_session_store_options::max_keys must be at least 1");
    require_option(o.max_pending_writes >= 1,
                   "persistent_session_store_options::max_pending_writes must be at least 1");
    require_option(o.max_pending_bytes >= 1, "persistent_session_store_options::max_pending_bytes must be at least 1");
    require_option(o.write_timeout.count() >= 1,
                   "persistent_session_store_options::write_timeout must be at least 1 ms");
    require_option(o.executor || std::dynamic_pointer_cast<immediate_storage>(o.storage),
                   "persistent_session_store_options::executor must be set, unless the storage is immediate");
    require_option(o.now != nullptr, "persistent_session_store_options::now must not be empty");
    return std::shared_ptr<persistent_session_store>{new persistent_session_store{std::make_shared<impl>(o)}};
}

persistent_session_store::persistent_session_store(std::shared_ptr<impl> c) : impl_(std::move(c)) {}

persistent_session_store::~persistent_session_store() = default;

void persistent_session_store::capture(session_scope const& key, session ticket) noexcept
try
{
    impl_->capture(key, std::move(ticket));
}
catch (...) // out of memory: a session that is not kept costs one full handshake
{
    impl_->count_dropped();
}

asio::awaitable<take_result> persistent_session_store::take(session_scope key)
{
    return impl::take(impl_, std::move(key));
}

void persistent_session_store::note(session_scope const& key, full_handshake_reason why) noexcept
{
    impl_->overflow->note(key, why);
}

unsigned persistent_session_store::tickets_wanted(session_scope const& key) const noexcept
{
    return impl_->tickets_wanted(key);
}

asio::awaitable<std::size_t> persistent_session_store::remove(session_scope key)
{
    return impl::remove(impl_, std::move(key));
}

asio::awaitable<void> persistent_session_store::clear()
{
    return impl::clear(impl_);
}

asio::awaitable<void> persistent_session_store::drain()
{
    return pending_sessions::drain(impl_->pending);
}

asio::awaitable<std::vector<kept_session>> persistent_session_store::release(session_filter wanted)
{
    return impl::release(impl_, std::move(wanted));
}

std::size_t persistent_session_store::size() const
{
    return impl_->size();
}

bool persistent_session_store::is_immediate() const noexcept
{
    return impl_->immediate != nullptr;
}

persistent_session_store_stats persistent_session_store::stats() const
{
    return impl_->stats();
}

} // namespace reprise
