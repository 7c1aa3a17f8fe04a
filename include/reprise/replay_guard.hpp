// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/storage/storage.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

namespace reprise {

namespace detail {
class strike_register;
} // namespace detail

struct replay_guard_options
{
    /// Most first flights with early data remembered at once, by this process; when there are more, early data is refused
    /// until older ones have expired. At least 1. Anybody can send such flights, so this bounds what strangers can fill the
    /// storage with. Each takes less than 512 bytes.
    std::size_t max_entries = 65536;

    /// Longest wait for the storage; after it early data is refused. At least 1 ms.
    std::chrono::milliseconds storage_timeout{50};

    [[deprecated("storage_timeout")]] std::optional<std::chrono::milliseconds> deadline{};

    /// How far the clocks of the servers, and that of the storage, may be apart. 0 ms to 1 h. With 0 ms for processes of one
    /// machine.
    std::chrono::milliseconds max_clock_skew{10'000};

    /// The caller's word that no other process opens the same tickets. A guard in the memory of one process needs it with
    /// `ticket_keys` from files, from a callback or from a storage, because other processes may open tickets under those.
    bool one_process = false;

    /// Where "now" comes from.
    clock now = system_clock();
};

/** Sees to it that early data reaches the application once (RFC 8446, 8).

    Whoever has recorded the first flight of a client can send it again, to this server and to others that open the same
    ticket. A guard fails closed: when it is not sure, early data is refused, the handshake goes on, and the client sends its
    data again, after it.

    A strike register remembers the first PSK binder of each first flight (RFC 8446, 8.2) with `put_if_absent`, in any
    `storage`, for as long as OpenSSL accepts the flight's ticket age (12 s) and twice the clock skew. A register that has
    not been there so long, because it is new or its storage has lost its data, is good only for tickets that were issued
    since. One whose storage may have lost a single entry begins anew: it compares the `storage_epoch` of each answer with
    that in which it began. Where the epoch is unknown, early data is refused (`early_data_reason::guard_unsure`).

    This is a handle: copies share one guard.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class replay_guard
{
public:
    /// None. Early data cannot be configured with it.
    replay_guard() = default;

    /// A strike register in the memory of this process, for tickets that no other process opens; `max_clock_skew` is not
    /// used. In a process that was forked off afterwards early data is refused, because each process has a copy.
    /// @throws system_error `errc::bad_option`.
    [[nodiscard]] static replay_guard in_memory(replay_guard_options options = {});

    /** A strike register in a storage, for all processes that open the same tickets: `lmdb_storage` on one machine,
        `redis_storage` for a fleet. Give it a storage of its own, for one that drops entries early is of no use.

        After a restart, a failover or an eviction early data is refused to tickets that were issued before. Two primaries at
        once, on both sides of a partition, cannot be told apart.
        @throws system_error `errc::bad_option`.
    */
    [[nodiscard]] static replay_guard shared(storage_ptr storage, replay_guard_options options = {});

    /// Tickets that are good for one use, wherever the sessions are stored: with `session_cache_options::tickets = false`
    /// a TLS 1.3 session is taken out of the storage by the first who offers it (RFC 8446, 8.1). A session carries the
    /// `storage_epoch::incarnation` in which it was stored, because a storage that goes back in time has it once more. Early
    /// data is refused where that has changed or is unknown.
    [[nodiscard]] static replay_guard single_use_tickets();

    /** Whether the storage of this guard can be relied upon, for a program that wants to know before its first connection.

        Throws why early data would be refused: what the storage cannot do, `errc::guard_unsure` if it does not know its
        epoch, `errc::made_before_fork`. It waits for as long as the storage does, and not for `storage_timeout`. Single-use tickets
        have no storage here: ask `storage::epoch` of the one for the sessions.

        @par Cancellation
        As the storage's operations.
    */
    asio::awaitable<void> check() const;

    [[nodiscard]] bool is_set() const noexcept { return single_use_ || strikes_; }
    [[nodiscard]] bool is_single_use() const noexcept { return single_use_; }

    /// For session_cache. Null for single-use tickets.
    [[nodiscard]] std::shared_ptr<detail::strike_register> const& strikes() const noexcept { return strikes_; }

private:
    bool single_use_ = false;
    std::shared_ptr<detail::strike_register> strikes_;
};

} // namespace reprise
