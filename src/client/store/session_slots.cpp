// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/store/session_slots.hpp"

#include "client/store/is_unexpired.hpp"

#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/error.hpp>

#include <algorithm>
#include <exception>
#include <random>
#include <utility>

namespace reprise::detail {

namespace {

[[nodiscard]] time_point expiry_of(session const& s)
{
    auto const issued = s.issued_at();
    auto const life = s.lifetime();
    // Avoid an overflow by a hostile issue time.
    return std::min(s.origin().chain_expiry, issued > time_point::max() - life ? time_point::max() : issued + life);
}

enum class put_answer
{
    kept,
    occupied, // another entry is there
    unchanged,
};

// These coroutines own their arguments, because an operation that was given up may go on.
[[nodiscard]] asio::awaitable<put_answer> put(storage_ptr storage, bool may_replace, std::string name,
                                              secret_bytes value, time_point expiry)
try
{
    if (!may_replace)
    {
        bool const is_kept = co_await storage->put_if_absent(std::move(name), std::move(value), expiry);
        co_return is_kept ? put_answer::kept : put_answer::occupied;
    }
    co_await storage->put(std::move(name), std::move(value), expiry);
    co_return put_answer::kept;
}
catch (system_error const& e)
{
    if (e.code() != storage_condition::unchanged)
        throw;
    co_return put_answer::unchanged;
}

[[nodiscard]] asio::awaitable<bool> erase_from(storage_ptr storage, std::string name)
{
    co_return co_await storage->erase(std::move(name));
}

} // namespace

session_slots::session_slots(settings s)
    : storage_(std::move(s.storage)), seal_(std::dynamic_pointer_cast<sealed_storage>(storage_)), names_(s.name_key),
      slots_(s.slots), now_(std::move(s.now)), decoded_(s.decoded_sessions),
      table_(s.slots, s.max_keys, std::random_device{}())
{
}

std::uint64_t session_slots::stamp()
{
    auto const now = std::chrono::duration_cast<std::chrono::microseconds>(now_().time_since_epoch()).count();
    std::lock_guard const lock{mutex_};
    last_stamp_ = std::max(static_cast<std::uint64_t>(now), last_stamp_ + 1);
    return last_stamp_;
}

session_slots::pending_record session_slots::place(session_scope const& key, session const& ticket,
                                                   std::uint64_t kept_at)
{
    pending_record result;
    {
        std::lock_guard const lock{mutex_};
        result.at = table_.begin_write(key, ticket.protocol());
    }
    result.name = name_of(key, result.at.slot);
    result.record = write_record(key, ticket, kept_at);
    result.expiry = expiry_of(ticket);
    return result;
}

void session_slots::committed(pending_record const& l, session_scope const& key, session const& ticket,
                              std::uint64_t kept_at)
{
    decoded_.keep(l.record, ticket);
    written_.fetch_add(1, std::memory_order_relaxed);
    std::lock_guard const lock{mutex_};
    table_.seen(key, {l.at.slot, kept_at, ticket.protocol(), l.expiry});
}

void session_slots::write_now(immediate_storage& into, session_scope const& key, session const& ticket,
                              std::uint64_t kept_at)
{
    auto const l = place(key, ticket, kept_at);
    into.put_now(l.name, l.record, l.expiry);
    committed(l, key, ticket, kept_at);
}

asio::awaitable<write_result> session_slots::write(pointer self, session_scope key, session ticket,
                                                   std::uint64_t kept_at, std::chrono::milliseconds limit)
{
    pending_record l;
    detail::timed_result<put_answer> done;
    do
    {
        l = self->place(key, ticket, kept_at);
        done = co_await with_timeout(limit, put(self->storage_, l.at.may_replace, l.name, l.record, l.expiry));
        if (done.value == put_answer::kept)
        {
            self->committed(l, key, ticket, kept_at);
            co_return write_result::written;
        }
        std::lock_guard const lock{self->mutex_};
        self->table_.taken(key, l.at.slot);
    } while (done.value == put_answer::occupied); // occupied by another process: try the next slot
    self->count_error();
    bool is_erased = false;
    if (done.status == timed_status::failed)
    {
        // The session may have been written all the same. If it is erased, no other process has it.
        auto const erased = co_await with_timeout(limit, erase_from(self->storage_, l.name));
        is_erased = erased.status == timed_status::answered;
    }
    std::lock_guard const lock{self->mutex_};
    if (is_erased)
        self->table_.emptied(key, l.at.slot);
    else
        self->table_.doubted(key, l.at.slot); // the former entry may still be there
    co_return is_erased || done.value == put_answer::unchanged ? write_result::undone : write_result::uncertain;
}

asio::awaitable<take_result> session_slots::take_known(pointer self, session_scope key)
{
    take_result result;
    for (;;)
    {
        std::optional<slot_table::content> at;
        {
            std::lock_guard const lock{self->mutex_};
            at = self->table_.newest(key);
            if (at && at->expiry <= self->now_())
            {
                self->table_.emptied(key, at->slot);
                result.reason = full_handshake_reason::expired;
                continue;
            }
        }
        if (!at)
            co_return result;
        auto one = co_await fetch(self, key, *at);
        if (one.ticket || one.reason == full_handshake_reason::lookup_failed)
            co_return one;
        if (one.reason != full_handshake_reason::nothing_stored)
            result.reason = one.reason;
    }
}

asio::awaitable<take_result> session_slots::look_through(pointer self, session_scope key)
{
    take_result result;
    auto const rejected = self->rejected_by_seal();
    std::vector<slot_table::content> there;
    try
    {
        for (std::size_t slot = 0; slot < self->slots_; ++slot)
        {
            auto const record = co_await self->storage_->get(self->name_of(key, slot));
            if (auto const r = self->read(record, key))
                there.push_back({slot, r->kept_at, r->protocol, time_point::max()});
            else if (record || self->rejected_by_seal() != rejected)
                result.reason = full_handshake_reason::record_corrupt;
        }
    }
    catch (...)
    {
        self->count_failure();
        result.reason = full_handshake_reason::lookup_failed;
    }
    if (result.reason == full_handshake_reason::lookup_failed || there.empty())
        co_return result;
    {
        std::lock_guard const lock{self->mutex_};
        for (auto const& c : there)
            self->table_.seen(key, c);
    }
    auto known = co_await take_known(self, key);
    if (!known.ticket && known.reason == full_handshake_reason::nothing_stored)
        known.reason = result.reason;
    co_return known;
}

asio::awaitable<take_result> session_slots::fetch(pointer self, session_scope key, slot_table::content at)
{
    take_result result;
    auto const rejected = self->rejected_by_seal();
    try
    {
        auto const name = self->name_of(key, at.slot);
        std::optional<secret_bytes> record;
        bool is_single_use = at.protocol == tls_version::tls13;
        if (!is_single_use)
        {
            record = co_await self->storage_->get(name);
            auto const r = self->read(record, key);
            is_single_use = r && r->protocol == tls_version::tls13; // another process has put a ticket there
        }
        if (is_single_use)
            record = co_await self->storage_->take(name);
        auto const r = self->read(record, key);
        if (r)
            result = self->open(*record, *r);
        else if (record || self->rejected_by_seal() != rejected)
            result.reason = full_handshake_reason::record_corrupt;
        std::lock_guard const lock{self->mutex_};
        if (is_single_use)
            self->table_.emptied(key, at.slot);
        else if (result.ticket)
            self->table_.seen(key, {at.slot, r->kept_at, r->protocol, expiry_of(*result.ticket)});
        else
            self->table_.doubted(key, at.slot);
    }
    catch (...)
    {
        self->count_failure();
        result = {{}, full_handshake_reason::lookup_failed};
    }
    co_return result;
}

std::optional<session_record> session_slots::read(std::optional<secret_bytes> const& record, session_scope const& key)
{
    if (!record)
        return std::nullopt;
    auto result = session_record::read(*record);
    if (result && result->key == key)
        return result;
    count_rejected();
    return std::nullopt;
}

take_result session_slots::open(secret_bytes const& record, session_record const& read)
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
        count_rejected();
        return {{}, full_handshake_reason::record_corrupt};
    }
    if (!is_unexpired(*decoded, now_()))
        return {{}, full_handshake_reason::expired};
    return {std::move(decoded), full_handshake_reason::none};
}

asio::awaitable<std::size_t> session_slots::erase(pointer self, session_scope key)
{
    std::size_t erased = 0;
    std::exception_ptr failure;
    for (std::size_t slot = 0; slot < self->slots_; ++slot)
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
        self->table_.forget(key);
    }
    if (failure)
        std::rethrow_exception(failure);
    co_return erased;
}

full_handshake_reason session_slots::why_not(session_scope const& key) const
{
    std::lock_guard const lock{mutex_};
    return table_.why_not(key);
}

std::vector<session_scope> session_slots::keys() const
{
    std::lock_guard const lock{mutex_};
    return table_.keys();
}

std::size_t session_slots::count(session_scope const& key) const
{
    std::lock_guard const lock{mutex_};
    return table_.count(key);
}

std::size_t session_slots::count() const
{
    std::lock_guard const lock{mutex_};
    return table_.count();
}

std::uint64_t session_slots::rejected() const
{
    return rejected_.load(std::memory_order_relaxed) + storage_->stats().rejected;
}

// Call in a catch block. Rethrows a cancellation, and counts everything else.
void session_slots::count_failure()
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

} // namespace reprise::detail
