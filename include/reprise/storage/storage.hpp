// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/secret_bytes.hpp>
#include <reprise/storage/storage_condition.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace reprise {

namespace asio = boost::asio;

/// Counters of a storage since it was made. Each counter is exact; together they are not one snapshot.
struct storage_stats
{
    std::uint64_t entries = 0; ///< entries stored now, including expired entries that were not swept yet
    std::uint64_t bytes = 0;   ///< memory or disk space of the entries now, as the storage's bound counts it
    std::uint64_t expired = 0; ///< entries dropped at their expiry
    std::uint64_t evicted = 0; ///< entries dropped before their expiry, because space was missing

    /// Records that were found and refused; each is a miss. The record was not written by this storage, was changed, or
    /// is past the expiry that it carries. 0 for a storage that does not check records.
    std::uint64_t rejected = 0;
};

/** The state of a storage's data at one moment. A replay guard uses it to decide whether confirmed changes are still in
    effect.

    While `incarnation` is equal and not empty, every confirmed change is still in effect, except for entries that have
    expired or were evicted. While `evicted` is equal too, no entry was evicted.

    | storage | a new incarnation begins | evictions are counted |
    |---|---|---|
    | `immediate_storage` | never; unknown in a process that was forked off | by this object |
    | `lmdb_storage` | when a process opens the directory and no other process has it open | by all processes |
    | `redis_storage` | when the server starts or another primary takes over; unknown of a replica | by the server |
*/
struct storage_epoch
{
    /// Names one uninterrupted existence of the data. A server that starts from a snapshot, a replica that takes over,
    /// and files from a backup may lack confirmed changes: each begins a new incarnation. Empty: the storage cannot
    /// tell.
    std::string incarnation{};

    /// Number of entries that were dropped before their expiry, by any process. Empty: the storage cannot tell.
    std::optional<std::uint64_t> evicted{};

    friend bool operator==(storage_epoch const&, storage_epoch const&) = default;
};

/// An answer, and the epoch of the data that the answer is about.
template <class T>
struct with_epoch
{
    T value{};
    storage_epoch epoch{};
};

/** Bytes under names, with an expiry: where a session_cache stores its sessions.

    A storage is bounded and may drop any entry at any time. It never serves an expired entry, and `take` returns an
    entry at most once. A storage knows nothing of TLS: names and values are opaque, and values are secrets.
    `reprise/testing/storage_contract.hpp` contains the tests that every implementation must pass.

    @par Failures
    A miss is an answer (`nullopt`, `false`), not an error. A storage that cannot answer throws
    `boost::system::system_error`; the caller counts the error and the handshake runs in full. A requested change may
    have been made nevertheless, unless the error is `storage_condition::unchanged`.

    @par Cancellation
    Every operation may be cancelled (`terminal`, and `total` if nothing was changed yet), and then throws
    `asio::error::operation_aborted`. A cancelled `take` may have removed the entry; the entry is never returned twice.

    @par Object Lifetimes
    Arguments are taken by value and the storage is held by shared ownership, because an operation that was abandoned
    after a timeout may run to its end. A pending operation must end even if the storage object is destroyed meanwhile.

    @par Thread Safety
    Distinct and shared objects: safe. An operation must not block the thread that awaits it.
*/
class storage
{
public:
    virtual ~storage() = default;

    /// Read the value under `name`. Empty on a miss.
    virtual asio::awaitable<std::optional<secret_bytes>> get(std::string name) = 0;

    /// Store `value` under `name` until `expiry`, replacing an older value. An `expiry` in the past erases the entry.
    virtual asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) = 0;

    /// Read and remove the entry in one step. Of all callers, in all processes, only one gets the value.
    virtual asio::awaitable<std::optional<secret_bytes>> take(std::string name) = 0;

    /// Store `value` unless there is an unexpired entry. @return Whether the value was stored. Of all callers, only one
    /// gets true.
    virtual asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) = 0;

    /// Remove the entry. @return Whether there was an unexpired entry.
    virtual asio::awaitable<bool> erase(std::string name) = 0;

    /** @name Answers with the epoch of the data

        Replay guards must know whether a storage may have lost a confirmed change. So the epoch is read from the data
        that has answered, and after the answer: on the same connection, in the same transaction. An epoch that cannot
        be read is unknown; the operation succeeds nevertheless.

        By default the epoch is unknown. Guards then refuse early data (`early_data_reason::guard_unsure`); nothing else
        changes.
        @{
    */

    /// Perform `put_if_absent`, and read the epoch.
    virtual asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                       time_point expiry);

    /// Perform `take`, and read the epoch.
    virtual asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name);

    /// The current epoch. Throws the error that prevents reading it.
    virtual asio::awaitable<storage_epoch> epoch();
    /// @}

    /// Whether the entries are in the memory of this process, so that no other process sees them.
    [[nodiscard]] virtual bool is_process_local() const noexcept { return false; }

    /** Check that the storage works, for a program that wants to know before its first connection.

        Throws what an operation would throw, as soon as that is known; `what()` names the server or the files.
        Handshakes need no check: a failing storage costs only the resumption, and may work later.

        By default, writes an entry and takes it.
    */
    virtual asio::awaitable<void> check();

    /// Drop expired entries now. @return The number of dropped entries. A storage that expires entries by itself may
    /// return 0.
    virtual asio::awaitable<std::size_t> flush() = 0;

    /// Counters of the storage, without waiting.
    [[nodiscard]] virtual storage_stats stats() const = 0;
};

using storage_ptr = std::shared_ptr<storage>;

} // namespace reprise
