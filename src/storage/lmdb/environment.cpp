// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/environment.hpp"

#include "base/fork.hpp"
#include "base/hex.hpp"
#include "storage/lmdb/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <set>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace reprise::detail {

namespace {

constexpr unsigned most_readers = 1024; // for all processes; 64 bytes each
constexpr std::uint64_t least_room = 4u << 20;
constexpr std::string_view format_key = "reprise storage format";
constexpr std::string_view format_value = "1";

MDB_val to_val(std::string_view text)
{
    return {text.size(), const_cast<char*>(text.data())}; // LMDB does not write there
}

[[noreturn]] void throw_errno(std::string const& what)
{
    throw system_error{errno, boost::system::system_category(), what};
}

struct open_directories
{
    std::mutex mutex;
    std::set<std::pair<dev_t, ino_t>> in_use;

    // A forked child has opened no directory.
    static open_directories& of_this_process()
    {
        static per_process<open_directories> all;
        return all.get([] { return open_directories{}; });
    }
};

void require_private(struct stat const& s, ::mode_t forbidden, std::string const& path, char const* repair)
{
    if (s.st_uid != ::geteuid() || (s.st_mode & forbidden) != 0)
        throw system_error{lmdb_errc::not_private, path + " (" + repair + ")"};
}

struct stat prepare_directory(std::string const& path)
{
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        throw_errno("cannot create the directory " + path + " (its parent must exist and be writable)");
    struct stat s = {};
    if (::stat(path.c_str(), &s) != 0)
        throw_errno("cannot stat " + path);
    if (!S_ISDIR(s.st_mode))
        throw system_error{lmdb_errc::not_a_directory, path};
    // A user who may write to the directory could replace the files.
    require_private(s, S_IWGRP | S_IWOTH, path, "chmod go-w, chown");
    return s;
}

void require_private_file(std::string const& path)
{
    struct stat s = {};
    if (::lstat(path.c_str(), &s) != 0)
    {
        if (errno == ENOENT)
            return;
        throw_errno("cannot stat " + path);
    }
    if (!S_ISREG(s.st_mode))
        throw system_error{lmdb_errc::not_private, path + " (not a regular file: remove it)"};
    require_private(s, S_IRWXG | S_IRWXO, path, "chmod 600, chown");
}

/* LMDB writes to the lock file through a memory map. On a full disk, a write to a page without disk space would kill
   the process. So reserve the space first. Call only before the environment is open, because closing the file drops
   LMDB's own lock. */
void reserve_lock_file(std::string const& path)
{
    constexpr ::off_t size = most_readers * 64 + 4096; // more than LMDB needs
    int const fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        throw_errno("cannot open " + path);
    struct stat s = {};
    int error = ::fstat(fd, &s) != 0 ? errno : 0;
    if (error == 0 && s.st_size < size)
        error = ::posix_fallocate(fd, s.st_size, size - s.st_size);
    ::close(fd);
    if (error != 0)
        throw system_error{error, boost::system::system_category(), "cannot reserve disk space for " + path};
}

} // namespace

directory_claim::directory_claim(dev_t device, ino_t inode, std::string const& what) : device_(device), inode_(inode)
{
    auto& all = open_directories::of_this_process();
    std::lock_guard const lock{all.mutex};
    if (!all.in_use.emplace(device, inode).second)
        throw system_error{lmdb_errc::already_open, what};
}

directory_claim::~directory_claim()
{
    auto& all = open_directories::of_this_process();
    std::lock_guard const lock{all.mutex};
    all.in_use.erase({device_, inode_});
}

directory_incarnation::directory_incarnation(std::string const& path) noexcept
    : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600))
{
    if (fd_ < 0 || (lock(LOCK_EX | LOCK_NB) && !begin_new()))
        return;
    // Until the shared lock is held, another process may write a new name. Then that name counts.
    auto const size = static_cast<::ssize_t>(name_.size());
    if (lock(LOCK_SH) && ::pread(fd_, name_.data(), name_.size(), 0) == size)
        size_ = name_.size();
}

directory_incarnation::~directory_incarnation()
{
    if (fd_ >= 0)
        ::close(fd_);
}

bool directory_incarnation::lock(int how) const noexcept
{
    int returned = 0;
    do
        returned = ::flock(fd_, how);
    while (returned != 0 && errno == EINTR);
    return returned == 0;
}

// If this fails, no old name is left either.
bool directory_incarnation::begin_new() const noexcept
try
{
    if (::ftruncate(fd_, 0) != 0)
        return false;
    std::array<unsigned char, 16> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<::ssize_t>(random.size()))
        return false;
    auto const name = hex(random);
    return ::pwrite(fd_, name.data(), name.size(), 0) == static_cast<::ssize_t>(name.size());
}
catch (std::bad_alloc const&)
{
    return false;
}

lmdb_environment::lmdb_environment(lmdb_storage_options const& options) : path_(options.path.string())
{
    auto const directory = prepare_directory(path_);
    claim_ = std::make_unique<directory_claim>(directory.st_dev, directory.st_ino, path_);
    require_private_file(path_ + "/data.mdb");
    require_private_file(path_ + "/lock.mdb");
    auto const incarnation = path_ + "/incarnation";
    require_private_file(incarnation);
    incarnation_ = std::make_unique<directory_incarnation>(incarnation);
    reserve_lock_file(path_ + "/lock.mdb");
    open(options);
}

void lmdb_environment::open(lmdb_storage_options const& options)
{
    MDB_env* env = nullptr;
    check_lmdb(::mdb_env_create(&env), "mdb_env_create");
    env_.reset(env);
    // A transaction writes beside the existing pages, so there has to be room for both.
    auto const map = options.max_bytes + std::max(options.max_bytes / 2, least_room);
    check_lmdb(::mdb_env_set_mapsize(env, map), "mdb_env_set_mapsize");
    check_lmdb(::mdb_env_set_maxreaders(env, most_readers), "mdb_env_set_maxreaders");
    check_lmdb(::mdb_env_set_maxdbs(env, 2), "mdb_env_set_maxdbs");
    unsigned const flags = MDB_NOTLS | (options.durability == lmdb_durability::unsynced ? MDB_NOSYNC : 0u);
    check_lmdb(::mdb_env_open(env, path_.c_str(), flags, 0600), ("cannot open " + path_ + "/data.mdb").c_str());
    check_lmdb(check_readers(), "mdb_reader_check");
    fit(map);
    open_databases();
}

/* Give a file that was made with a larger bound room in which it can be emptied.

   Extend a truncated file: access to the missing part would raise SIGBUS. With a hole instead, LMDB finds an invalid
   page and reports it. A file is also short if the last pages of a transaction were never used, which is harmless. */
void lmdb_environment::fit(std::uint64_t map)
{
    MDB_envinfo info = {};
    MDB_stat page = {};
    int fd = -1;
    struct stat file = {};
    check_lmdb(::mdb_env_info(env_.get(), &info), "mdb_env_info");
    check_lmdb(::mdb_env_stat(env_.get(), &page), "mdb_env_stat");
    check_lmdb(::mdb_env_get_fd(env_.get(), &fd), "mdb_env_get_fd");
    auto const used = (info.me_last_pgno + 1) * page.ms_psize;
    if (used + least_room > map)
        check_lmdb(::mdb_env_set_mapsize(env_.get(), used + least_room), "mdb_env_set_mapsize");
    auto const size = static_cast<::off_t>(used);
    if (::fstat(fd, &file) != 0 || (file.st_size < size && ::ftruncate(fd, size) != 0))
        throw_errno("cannot extend the truncated file " + path_ + "/data.mdb");
}

void lmdb_environment::open_databases()
{
    lmdb_write txn{*this};
    MDB_stat root_size = {};
    check_lmdb(::mdb_dbi_open(txn.get(), nullptr, 0, &root_), path_.c_str());
    check_lmdb(::mdb_stat(txn.get(), root_, &root_size), path_.c_str());

    auto key = to_val(format_key);
    MDB_val value = {};
    int const found = ::mdb_get(txn.get(), root_, &key, &value);
    if (found == MDB_NOTFOUND)
    {
        if (root_size.ms_entries != 0)
            throw system_error{lmdb_errc::foreign_file, path_};
        value = to_val(format_value);
        check_lmdb(::mdb_put(txn.get(), root_, &key, &value, 0), path_.c_str());
    }
    else
    {
        check_lmdb(found, path_.c_str());
        if (std::string_view{static_cast<char const*>(value.mv_data), value.mv_size} != format_value)
            throw system_error{lmdb_errc::unknown_format, path_};
    }
    check_lmdb(::mdb_dbi_open(txn.get(), "entries", MDB_CREATE, &entries_), path_.c_str());
    check_lmdb(::mdb_dbi_open(txn.get(), "expiry", MDB_CREATE, &expiry_), path_.c_str());
    txn.commit();
}

int lmdb_environment::check_readers() noexcept
{
    int dead = 0;
    return ::mdb_reader_check(env_.get(), &dead);
}

template <class Begin>
std::shared_lock<std::shared_mutex> lmdb_environment::begin(Begin begin_one)
{
    for (;;)
    {
        std::shared_lock lock{map_};
        int const returned = begin_one();
        if (returned != MDB_MAP_RESIZED)
        {
            check_lmdb(returned, path_.c_str());
            return lock;
        }
        lock.unlock();
        std::unique_lock const alone{map_};
        check_lmdb(::mdb_env_set_mapsize(env_.get(), 0), path_.c_str());
    }
}

lmdb_write::lmdb_write(lmdb_environment& env)
{
    map_ = env.begin(
        [&]
        {
            MDB_txn* txn = nullptr;
            int const returned = ::mdb_txn_begin(env.env_.get(), nullptr, 0, &txn);
            txn_.reset(txn);
            return returned;
        });
}

void lmdb_write::commit()
{
    check_lmdb(::mdb_txn_commit(txn_.release()), "commit"); // frees the transaction in any case
}

void lmdb_read::begin()
{
    map_ = env_.begin(
        [&]
        {
            if (txn_)
                return ::mdb_txn_renew(txn_.get());
            MDB_txn* txn = nullptr;
            int const returned = ::mdb_txn_begin(env_.env_.get(), nullptr, MDB_RDONLY, &txn);
            txn_.reset(txn);
            return returned;
        });
}

void lmdb_read::end() noexcept
{
    ::mdb_txn_reset(txn_.get());
    map_ = {};
}

} // namespace reprise::detail
