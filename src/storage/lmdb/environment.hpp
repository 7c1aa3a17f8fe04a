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

/** The incarnation of the files in a directory: see `storage_epoch`.

    A file holds its name, and each process that has the directory open holds a shared flock(2) on that file. A process that
    gets the exclusive lock is alone, so it writes a new name: the data may come from a backup, or may have lost its last
    transactions with the power. A process that is killed holds no lock.
*/
class directory_incarnation
{
public:
    /// @param path Of the file, which is made where it is missing.
    explicit directory_incarnation(std::string const& path) noexcept;
    directory_incarnation(directory_incarnation const&) = delete;
    directory_incarnation& operator=(directory_incarnation const&) = delete;
    ~directory_incarnation();

    /// Empty where the file cannot be used, for example on a full disk.
    [[nodiscard]] std::string_view name() const noexcept { return {name_.data(), size_}; }

private:
    [[nodiscard]] bool lock(int how) const noexcept;
    [[nodiscard]] bool begin_new() const noexcept;

    int const fd_;
    std::array<char, 32> name_{};
    std::size_t size_ = 0;
};

/** An open LMDB environment in our format.

    Two named databases. "entries" has the records by name: one search for a lookup. "expiry" has the names in the order in
    which they expire: what is next to go is its first. The unnamed database, "root", has the format and the number of
    entries that were evicted.
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
    std::unique_ptr<directory_incarnation> incarnation_;
    std::unique_ptr<MDB_env, closer> env_;
    MDB_dbi root_ = 0;
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
