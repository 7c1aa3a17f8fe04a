// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/lmdb_storage.hpp>

#include <lmdb.h>

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

#include <sys/types.h>

namespace reprise::detail {

/// LMDB forbids to open a file twice in one process (closing one drops the locks of both): the directory is ours meanwhile.
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

/** An open LMDB environment in our format.

    Two named databases. "entries" has the records by name: one search for a look-up. "expiry" has the names in the order in
    which they expire: what is next to go is its first.
*/
class lmdb_environment
{
public:
    /// @throws system_error.
    explicit lmdb_environment(lmdb_storage_options const& options);

    [[nodiscard]] MDB_dbi entries() const noexcept { return entries_; }
    [[nodiscard]] MDB_dbi expiry() const noexcept { return expiry_; }

    /// Free the reader slots of processes that died. Returns what LMDB says.
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

    /// Begin a transaction by `begin`; where another process has enlarged the map, take its size and try again.
    template <class Begin>
    std::shared_lock<std::shared_mutex> begin(Begin begin_one);

    std::string const path_;
    std::unique_ptr<directory_claim> claim_; // outlives the environment
    std::unique_ptr<MDB_env, closer> env_;
    MDB_dbi entries_ = 0;
    MDB_dbi expiry_ = 0;
    std::shared_mutex map_; // shared while a transaction is active: only then nobody may map the file anew
};

struct txn_aborter
{
    void operator()(MDB_txn* txn) const noexcept { ::mdb_txn_abort(txn); }
};
using txn_ptr = std::unique_ptr<MDB_txn, txn_aborter>;

/// A write transaction; one at a time, in all processes. Aborted unless it is committed.
class lmdb_write
{
public:
    /// Waits for other processes. @throws system_error.
    explicit lmdb_write(lmdb_environment& env);

    [[nodiscard]] MDB_txn* get() const noexcept { return txn_.get(); }

    /// @throws system_error; then nothing was changed.
    void commit();

private:
    std::shared_lock<std::shared_mutex> map_;
    txn_ptr txn_;
};

/// A read transaction that is used again and again, by one thread.
class lmdb_read
{
public:
    explicit lmdb_read(lmdb_environment& env) noexcept : env_(env) {}

    /// See the state of now. @throws system_error.
    void begin();

    /// Let go of it: a reader that stays keeps pages from being reused.
    void end() noexcept;

    [[nodiscard]] MDB_txn* get() const noexcept { return txn_.get(); }

private:
    lmdb_environment& env_;
    std::shared_lock<std::shared_mutex> map_;
    txn_ptr txn_;
};

} // namespace reprise::detail
