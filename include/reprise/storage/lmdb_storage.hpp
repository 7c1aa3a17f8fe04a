// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace reprise {

/// What a completed write has survived.
enum class lmdb_durability
{
    /// Each batch is synced before its operations complete: they survive `kill -9` and the loss of power.
    synced,

    /// Left to the operating system: they survive `kill -9`. After a loss of power the last writes may be gone, and on a
    /// file system that reorders writes the file may be damaged; then delete it. Costs no disk wait.
    unsynced,
};

struct lmdb_storage_options
{
    /// The directory for the files `data.mdb`, `lock.mdb` and `incarnation`; mandatory. It is made, for the owner alone, if its parent
    /// exists. On a local file system: LMDB does not work on network file systems.
    std::filesystem::path path;

    /// Disk that entries may take, in bytes; 1 MiB to 1 TiB. What expires first is evicted above it. A TLS session without
    /// a client certificate takes about 600 bytes. The file may grow by half of it beyond, at least 4 MiB, for LMDB never
    /// overwrites what a transaction may still need; and it never shrinks. Processes that share the files should agree: each
    /// evicts down to its own bound when it writes.
    std::uint64_t max_bytes = std::uint64_t{256} << 20;

    lmdb_durability durability = lmdb_durability::synced;

    /// Memory for operations that are not done yet, in bytes; at least 4096. Each takes its name, its value and 256 bytes,
    /// so the default holds some 10 000. Above it operations fail at once with `lmdb_errc::queue_full`.
    std::size_t max_queued_bytes = 4u << 20;

    /// Most operations in one write transaction; 1 to 4096. More at a time write faster, and all wait for the last.
    std::size_t max_batch = 256;

    /// Threads that read; 1 to 16. One serves hundreds of thousands of lookups a second from the page cache; more help
    /// where lookups wait for the disk. Writing has one more thread of its own.
    std::size_t read_threads = 1;

    /// Where "now" comes from.
    clock now = system_clock();
};

/// Counters beside those of every storage; exact, since the storage was made.
struct lmdb_stats
{
    std::uint64_t batches = 0;    ///< write transactions that were committed
    std::uint64_t queue_full = 0; ///< operations that were refused with `lmdb_errc::queue_full`
    std::uint64_t failed = 0;     ///< operations that failed otherwise: full disk, full map, damaged file
    std::uint64_t unreadable = 0; ///< records that made no sense; they were misses and have been dropped
};

/** A storage on disk (liblmdb): survives restarts and is shared by the processes of one machine.

    Nothing waits for the disk on the caller's thread. Lookups run on reader threads. Writes (`put`, `take`,
    `put_if_absent`, `erase`, `flush`) are gathered by one writer thread into one transaction, and complete after it was
    committed; a `put` may wait a millisecond for others to join it. `take` and `put_if_absent` are decided inside the
    transaction, so they are atomic between processes, and what a process has handed out before it was killed can never be
    taken again. A value larger than 16 MiB, or an eighth of `max_bytes`, is not kept, and counts as evicted. When there is
    no room, what expires first is evicted. Names of more than 128 bytes are kept by their SHA-256.

    Values lie in the file as they are. The files are for their owner alone; wrap the storage in a sealed_storage to encrypt
    them.

    @par Several Processes
    May open the same directory. One that is killed leaves nothing locked: its reader slots are cleared when another one
    opens, and every minute. A process that is stopped (SIGSTOP) within a lookup keeps LMDB from reusing pages meanwhile.
    A child of fork(2) opens the files again with its first operation, which may block for some disk accesses. Operations that
    the parent has begun do not end in the child. Fork while no other thread uses the storage.

    @par Epoch
    A process that opens the directory while no other one has it open begins a new incarnation, because the files may come
    from a backup or may have lost transactions with the power. The file `incarnation` holds its name under flock(2). All
    processes count evictions in the same transaction.

    @par Errors
    Operations throw `system_error` in `lmdb_category()`, or with the system's error. A batch that fails, for a full disk
    for instance, leaves the file as it was, and later operations work again as soon as there is room.

    @par Cancellation
    As the contract says. An operation that is still waiting when it is cancelled is not carried out.

    @par Object Lifetimes
    The destructor finishes what is queued and joins the threads. It may run in a completion handler of the storage's own
    operations. An io_context may be destroyed while operations that it started are pending: their handlers go with it.
*/
class lmdb_storage final : public storage
{
public:
    /** Open the files, or make them.

        Blocks for some disk accesses, and while another process commits.

        @throws system_error `errc::bad_option`, if an option is out of bounds; `lmdb_errc`, an error of LMDB's or of the
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

    /// Drops what has expired in small transactions, between those of other operations.
    asio::awaitable<std::size_t> flush() override;

    /// `entries` and `bytes` are those of the last transaction of this process; other processes' show at the next write. In
    /// a forked child all numbers are 0 until its first operation.
    [[nodiscard]] storage_stats stats() const override;
    [[nodiscard]] lmdb_stats more_stats() const;

private:
    class impl;

    explicit lmdb_storage(std::shared_ptr<impl> made) noexcept;

    std::shared_ptr<impl> impl_; // shared with the operations, which may outlive this object
};

} // namespace reprise
