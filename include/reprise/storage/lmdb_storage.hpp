// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace reprise {

/// Durability of completed writes.
enum class lmdb_durability
{
    /// Each batch is synced before its operations complete. Completed writes survive `kill -9` and power loss.
    synced,

    /// The operating system writes to disk later, so there is no disk latency. Completed writes survive `kill -9`.
    /// After a power loss the last writes may be missing. On a file system that reorders writes the file may be
    /// damaged; then delete it.
    unsynced,
};

struct lmdb_storage_options
{
    /// The directory for the files `data.mdb`, `lock.mdb` and `incarnation`. Mandatory. The directory is created, for
    /// its owner alone, if its parent exists. Use a local file system: LMDB does not work on network file systems.
    std::filesystem::path path;

    /** Disk space for entries, in bytes. 1 MiB to 1 TiB. Above the bound, the entries that expire first are evicted. A
        TLS session without a client certificate takes about 600 bytes.

        The file may exceed the bound by half, or by 4 MiB if that is more, because LMDB never overwrites pages that a
        transaction may still need. The file never shrinks. Processes that share the files should use equal bounds: each
        process evicts down to its own bound when it writes.
    */
    std::uint64_t max_bytes = std::uint64_t{256} << 20;

    lmdb_durability durability = lmdb_durability::synced;

    /// Memory for pending operations, in bytes. At least 4096. An operation takes its name, its value and 256 bytes, so
    /// the default holds about 10 000 operations. Above the bound, operations fail at once with
    /// `lmdb_errc::queue_full`.
    std::size_t max_queued_bytes = 4u << 20;

    /// Most operations in one write transaction. 1 to 4096. Larger transactions write faster, but all operations wait
    /// for the last.
    std::size_t max_batch = 256;

    /// Reader threads. 1 to 16. One thread serves hundreds of thousands of lookups a second from the page cache. More
    /// threads help if lookups wait for the disk. Writes have one more thread.
    std::size_t read_threads = 1;

    /// Clock that supplies the current time.
    clock now = system_clock();
};

/// Counters in addition to `storage_stats`; exact, since the storage was made.
struct lmdb_stats
{
    std::uint64_t batches = 0;    ///< write transactions that were committed
    std::uint64_t queue_full = 0; ///< operations refused with `lmdb_errc::queue_full`
    std::uint64_t failed = 0;     ///< other failed operations: full disk, full map, damaged file
    std::uint64_t unreadable = 0; ///< undecodable records; they were misses and have been dropped
};

/** A storage on disk (liblmdb): survives restarts and is shared by the processes of one machine.

    No operation waits for the disk on the caller's thread. Reader threads perform lookups. One writer thread gathers
    writes (`put`, `take`, `put_if_absent`, `erase`, `flush`) into one transaction; they complete after the commit. A
    `put` may wait a millisecond for others to join its transaction.

    `take` and `put_if_absent` are decided inside the transaction, so they are atomic between processes. A value that a
    process took before it was killed can never be taken again.

    A value of more than 16 MiB, or more than an eighth of `max_bytes`, is not stored and counts as evicted. If space is
    missing, the entries that expire first are evicted. A name of more than 128 bytes is replaced by its SHA-256.

    Values are stored in the file unencrypted. Only the owner can access the files. To encrypt the values, wrap the
    storage in a sealed_storage.

    @par Several Processes
    Several processes may open the same directory. A killed process leaves nothing locked: its reader slots are cleared
    when another process opens the directory, and every minute. A process that is stopped (SIGSTOP) during a lookup
    keeps LMDB from reusing pages meanwhile.

    A child of fork(2) opens the files again with its first operation, which may block for some disk accesses.
    Operations that the parent has begun do not complete in the child. Fork while no other thread uses the storage.

    @par Epoch
    A process that opens the directory while no other process has it open begins a new incarnation, because the files
    may come from a backup or may have lost transactions in a power loss. The file `incarnation` contains the name of
    the incarnation and is locked with flock(2). Each process counts its evictions in the files, in the transaction that
    evicts.

    @par Errors
    Operations throw `system_error` in `lmdb_category()`, or with the error of the operating system. A batch that fails,
    for example on a full disk, leaves the file unchanged. Later operations work again as soon as there is space.

    @par Cancellation
    As described in `storage`. An operation that is cancelled while it is queued is not performed.

    @par Object Lifetimes
    The destructor finishes the queued operations and joins the threads. The destructor may run in a completion handler
    of the storage's own operations. An io_context may be destroyed while operations that it started are pending; their
    handlers are destroyed with it.
*/
class lmdb_storage final : public storage
{
public:
    /** Open the files, or create them.

        Blocks for some disk accesses, and while another process commits.

        @throws system_error `errc::bad_option`, if an option is out of bounds; `lmdb_errc`, an error of LMDB or of the
            system, if the files cannot be used. `what()` names the path and says what to do.
    */
    [[nodiscard]] static std::shared_ptr<lmdb_storage> make(lmdb_storage_options options);

    ~lmdb_storage() override;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<bool> erase(std::string name) override;

    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) override;
    asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name) override;
    asio::awaitable<storage_epoch> epoch() override;

    /// Drops expired entries in small transactions, between the transactions of other operations.
    asio::awaitable<std::size_t> flush() override;

    /// `entries` and `bytes` are as of the last transaction of this process. Changes by other processes show at the
    /// next write. In a forked child all numbers are 0 until its first operation.
    [[nodiscard]] storage_stats stats() const override;
    [[nodiscard]] lmdb_stats more_stats() const;

private:
    class impl;

    explicit lmdb_storage(std::shared_ptr<impl> made) noexcept;

    std::shared_ptr<impl> impl_; // shared with the operations, which may outlive this object
};

} // namespace reprise
