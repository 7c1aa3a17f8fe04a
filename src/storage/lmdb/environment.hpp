// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/lmdb_storage.hpp>

#include <lmdb.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace reprise::detail {

/// Claims a directory for this process. LMDB forbids opening a file twice in one process: closing one drops the locks
/// of both.
class directory_claim
{
public:
    /// @throws system_error `lmdb_errc::already_open`.
    directory_claim(dev_t device, ino_t inode, std::string const& what);
    directory_claim(directory_claim const&) = delete;
    directory_claim& operator=(directory_claim const&) = delete;
    ~directory_claim();

private:
    dev_t device_;
    ino_t inode_;
};

/** The incarnation of the files in a directory: see `storage_epoch`.

    A file holds the name of the incarnation. Each process that has the directory open holds a shared flock(2) on that
    file. A process that gets the exclusive lock is alone, so it writes a new name: the data may come from a backup, or
    may have lost its last transactions in a power failure. A killed process holds no lock.
*/
class directory_incarnation
{
public:
    /// @param path Path of the file, which is created if it is missing.
    explicit directory_incarnation(std::string const& path) noexcept;
    directory_incarnation(directory_incarnation const&) = delete;
    directory_incarnation& operator=(directory_incarnation const&) = delete;
    ~directory_incarnation();

    /// Empty if the file cannot be used, for example on a full disk.
    [[nodiscard]] std::string_view name() const noexcept { return {name_.data(), size_}; }

private:
    [[nodiscard]] bool lock(int how) const noexcept;
    [[nodiscard]] bool begin_new() const noexcept;

    int const fd_;
    std::array<char, 32> name_{};
    std::size_t size_ = 0;
};

/** An open LMDB environment in reprise's format.

    @li "entries", a named database, has the records by name: a lookup is one search.
    @li "expiry", a named database, has the names in order of expiry: the first is the next to be dropped.
    @li "root", the unnamed database, has the format and the number of evicted entries.
*/
class lmdb_environment
{
public:
    /// @throws system_error.
    explicit lmdb_environment(lmdb_storage_options const& options);

    [[nodiscard]] MDB_dbi root() const noexcept { return root_; }
    [[nodiscard]] MDB_dbi entries() const noexcept { return entries_; }
    [[nodiscard]] MDB_dbi expiry() const noexcept { return expiry_; }

    [[nodiscard]] std::string_view incarnation() const noexcept { return incarnation_->name(); }

    /// Free the reader slots of processes that died. Returns LMDB's result.
    int check_readers() noexcept;

private:
    friend class lmdb_read;
    friend class lmdb_write;

    struct closer
    {
        void operator()(MDB_env* env) const noexcept { ::mdb_env_close(env); }
    };

    void open(lmdb_storage_options const& options);
    void fit(std::uint64_t map);
    void open_databases();

    /// Begin a transaction by `begin_one`. If another process has enlarged the map, adopt its size and try again.
    template <class Begin>
    std::shared_lock<std::shared_mutex> begin(Begin begin_one);

    std::string const path_;
    std::unique_ptr<directory_claim> claim_; // outlives the environment
    std::unique_ptr<directory_incarnation> incarnation_;
    std::unique_ptr<MDB_env, closer> env_;
    MDB_dbi root_ = 0;
    MDB_dbi entries_ = 0;
    MDB_dbi expiry_ = 0;
    std::shared_mutex map_; // shared by transactions: the file is mapped anew only if none is active
};

struct txn_aborter
{
    void operator()(MDB_txn* txn) const noexcept { ::mdb_txn_abort(txn); }
};
using txn_ptr = std::unique_ptr<MDB_txn, txn_aborter>;

/// A write transaction: one at a time, across all processes. Aborted unless it is committed.
class lmdb_write
{
public:
    /// Wait for the writers of other processes. @throws system_error.
    explicit lmdb_write(lmdb_environment& env);

    [[nodiscard]] MDB_txn* get() const noexcept { return txn_.get(); }

    /// @throws system_error; then nothing has changed.
    void commit();

private:
    std::shared_lock<std::shared_mutex> map_;
    txn_ptr txn_;
};

/// A read transaction that one thread reuses.
class lmdb_read
{
public:
    explicit lmdb_read(lmdb_environment& env) noexcept : env_(env) {}

    /// Begin, and see the present state. @throws system_error.
    void begin();

    /// End the transaction. A reader that stays keeps pages from being reused.
    void end() noexcept;

    [[nodiscard]] MDB_txn* get() const noexcept { return txn_.get(); }

private:
    lmdb_environment& env_;
    std::shared_lock<std::shared_mutex> map_;
    txn_ptr txn_;
};

} // namespace reprise::detail
