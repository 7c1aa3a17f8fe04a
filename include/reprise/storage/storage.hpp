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

/// What a storage has counted since it was made. Each number is exact; together they are not one snapshot.
struct storage_stats
{
    std::uint64_t entries = 0; ///< held now, expired ones that were not swept yet included
    std::uint64_t bytes = 0;   ///< memory or disk that they take now, as the storage's bound counts it
    std::uint64_t expired = 0; ///< dropped because their time had come
    std::uint64_t evicted = 0; ///< dropped early, for lack of room

    /// Records that were there and were refused, each a miss: not written by this storage, or changed since, or past the
    /// expiry that they carry. 0 where nothing is checked.
    std::uint64_t rejected = 0;
};

/** What a storage knows of its own past, at one moment. It lets a replay guard rely on what the storage has confirmed.

    While `incarnation` is equal and not empty, every change that was confirmed is still in effect, except for entries that
    have expired or were evicted. While `evicted` is equal too, no entry was evicted.

    | storage | a new incarnation begins | evictions are counted |
    |---|---|---|
    | `immediate_storage` | never; unknown in a process that was forked off | by this object |
    | `lmdb_storage` | when a process opens the directory and no other one has it open | by all processes |
    | `redis_storage` | when the server starts, and when another primary takes over; unknown of a replica | by the server |
*/
struct storage_epoch
{
    /// Names one uninterrupted existence of the data. A server that starts from a snapshot, a replica that takes over, and
    /// files from a backup may lack changes that were confirmed: each is a new incarnation. Empty: the storage cannot tell.
    std::string incarnation{};

    /// How many entries were dropped before their time, by any process. Empty: the storage cannot tell.
    std::optional<std::uint64_t> evicted{};

    friend bool operator==(storage_epoch const&, storage_epoch const&) = default;
};

/// An answer, and the epoch of the data that it is about.
template <class T>
struct with_epoch
{
    T value{};
    storage_epoch epoch{};
};

/** Bytes in, bytes out, with an expiry: where a session_cache keeps what it must remember.

    A storage is bounded and may drop any entry at any time, but it never serves an expired one, and it hands one out at
    most once through `take`. It knows nothing of TLS: names and values are opaque, and values are secrets.
    `reprise/testing/storage_contract.hpp` holds the tests that every implementation has to pass.

    @par Failures
    A miss is an answer (`nullopt`, `false`), not an error. A storage that cannot answer throws
    `boost::system::system_error`; the caller counts it and the handshake runs in full. The change that was asked for may
    have been made all the same, unless the error is `storage_condition::unchanged`.

    @par Cancellation
    Every operation may be cancelled (`terminal`, and `total` where nothing was changed yet), and then throws
    `asio::error::operation_aborted`. A cancelled `take` may have removed the entry; it never leaves it to be taken twice.

    @par Object Lifetimes
    Arguments are taken by value and the storage is held by shared ownership: an operation that was abandoned after a
    deadline may run to its end on its own.

    @par Thread Safety
    Distinct and shared objects: safe. An operation must not block the thread that awaits it.
*/
class storage
{
public:
    virtual ~storage() = default;

    /// The value under `name`, or nothing.
    virtual asio::awaitable<std::optional<secret_bytes>> get(std::string name) = 0;

    /// Keep `value` under `name` until `expiry`, in place of what was there. An `expiry` in the past erases.
    virtual asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) = 0;

    /// Read and delete in one step: of all callers, in all processes, one gets the value.
    virtual asio::awaitable<std::optional<secret_bytes>> take(std::string name) = 0;

    /// Keep `value` unless an unexpired entry is there. True if it was kept. Of all callers one gets true.
    virtual asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) = 0;

    /// Forget the entry. True if there was an unexpired one.
    virtual asio::awaitable<bool> erase(std::string name) = 0;

    /** @name Answers with the epoch of the data

        Replay guards must know whether a storage may have lost a change that it has confirmed. So the epoch is read from the
        data that has answered, and after the answer: on the same connection, in the same transaction. An epoch that cannot
        be read is unknown and fails no operation.

        By default the epoch is unknown. Guards then refuse early data (`early_data_reason::guard_unsure`), and nothing else
        changes.
        @{ */

    /// As `put_if_absent`.
    virtual asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                       time_point expiry);

    /// As `take`.
    virtual asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name);

    /// The epoch of now. Throws why it cannot be read.
    virtual asio::awaitable<storage_epoch> epoch();
    /// @}

    /// Whether the entries are in the memory of this process, where no other process can see them.
    [[nodiscard]] virtual bool is_process_local() const noexcept { return false; }

    /** Whether the storage works, for a program that wants to know before its first connection.

        Throws what an operation would throw, as soon as that is known; `what()` names the server or the files. Handshakes
        need no check: a storage that fails costs their resumption, and may work later.

        The default writes an entry and takes it out again.
    */
    virtual asio::awaitable<void> check();

    /// Drop what has expired, now, and return how much it was. A storage that expires by itself has nothing to do.
    virtual asio::awaitable<std::size_t> flush() = 0;

    /// Counters, without waiting.
    [[nodiscard]] virtual storage_stats stats() const = 0;
};

using storage_ptr = std::shared_ptr<storage>;

} // namespace reprise
