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
    /// Most first flights with early data that this process remembers at once. At least 1. Above the limit, early data
    /// is refused until older entries have expired. Any client can send such flights, so the limit bounds what
    /// attackers can add to the storage. An entry takes less than 512 bytes.
    std::size_t max_entries = 65536;

    /// Longest wait for the storage. After a timeout early data is refused. At least 1 ms.
    std::chrono::milliseconds storage_timeout{50};

    /// The name of `storage_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> deadline{};

    /// Largest difference between the clocks of the servers and of the storage. 0 ms to 1 h. Use 0 ms if all processes
    /// run on one machine.
    std::chrono::milliseconds max_clock_skew{10'000};

    /// Declares that no other process opens the same tickets. A guard in memory requires this declaration if
    /// `ticket_keys` come from files, a callback or a storage, because other processes may have the same keys.
    bool one_process = false;

    /// Clock that supplies the current time.
    clock now = system_clock();
};

/** Ensures that early data reaches the application at most once (RFC 8446, 8).

    An attacker can record a client's first flight and send it again, to this server or to another server that opens the
    same ticket. A guard fails closed: when it is not sure, early data is refused and the handshake goes on. The client
    then sends its data again after the handshake.

    A strike register stores the first PSK binder of each first flight with `put_if_absent` in any `storage` (RFC 8446,
    8.2). An entry lives as long as OpenSSL accepts the ticket age of the flight (12 s), plus twice the clock skew.

    A register may be younger than that, because it is new or its storage has lost its data. Then the register accepts
    early data only with tickets that were issued after the register began.

    A register begins anew if its storage may have lost even one entry. It compares the `storage_epoch` of each answer
    with the epoch in which it began. If the epoch is unknown, early data is refused
    (`early_data_reason::guard_unsure`).

    A replay_guard is a handle: copies share one guard.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class replay_guard
{
public:
    /// No guard. Early data cannot be configured with it.
    replay_guard() = default;

    /// Create a strike register in the memory of this process, for tickets that no other process opens.
    /// `max_clock_skew` is not used. A process that was forked afterwards refuses early data, because each process has
    /// its own copy of the register.
    /// @throws system_error `errc::bad_option`.
    [[nodiscard]] static replay_guard in_memory(replay_guard_options options = {});

    /** Create a strike register in a storage, for all processes that open the same tickets: `lmdb_storage` on one
        machine, `redis_storage` for a fleet. Give the register a storage of its own, because a storage that evicts
        entries makes the register begin anew.

        After a restart, a failover or an eviction, early data is refused to tickets that were issued before. The
        register cannot detect two primaries on both sides of a network partition.

        @throws system_error `errc::bad_option`.
    */
    [[nodiscard]] static replay_guard shared(storage_ptr storage, replay_guard_options options = {});

    /** Use single-use tickets instead of a strike register (RFC 8446, 8.1). This requires
        `session_cache_options::tickets = false`: the first client that offers a TLS 1.3 session takes it from the
        storage.

        A storage that goes back in time has taken sessions again. So a session carries the `storage_epoch::incarnation`
        in which it was stored. Early data is refused if the incarnation has changed or is unknown.
    */
    [[nodiscard]] static replay_guard single_use_tickets();

    /** Check that the storage of this guard is reliable, for a program that wants to know before its first connection.

        Waits as long as the storage does; `storage_timeout` does not apply. A guard of single-use tickets has no
        storage: call `storage::epoch` of the storage for the sessions.

        @throws The reason for which early data would be refused: an error of the storage; system_error
            `errc::guard_unsure` if the storage does not know its epoch; `errc::made_before_fork`.

        @par Cancellation
        As for the operations of the storage.
    */
    asio::awaitable<void> check() const;

    [[nodiscard]] bool is_set() const noexcept { return single_use_ || strikes_; }
    [[nodiscard]] bool is_single_use() const noexcept { return single_use_; }

    /// The strike register, for session_cache. Null for single-use tickets.
    [[nodiscard]] std::shared_ptr<detail::strike_register> const& strikes() const noexcept { return strikes_; }

private:
    bool single_use_ = false;
    std::shared_ptr<detail::strike_register> strikes_;
};

} // namespace reprise
