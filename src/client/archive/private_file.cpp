// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/archive/private_file.hpp"

#include <reprise/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace reprise::detail {

namespace {

[[noreturn]] void fail(std::filesystem::path const& path, int error = errno)
{
    throw system_error{error, boost::system::generic_category(), path.string()};
}

// Repeat a system call until no signal interrupts it.
template <class Call>
auto retried(Call call)
{
    auto result = call();
    while (result == -1 && errno == EINTR)
        result = call();
    return result;
}

class descriptor
{
public:
    explicit descriptor(int value) noexcept : value_(value) {}
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor()
    {
        if (value_ != -1)
            ::close(value_);
    }

    [[nodiscard]] int get() const noexcept { return value_; }
    [[nodiscard]] int release() noexcept { return std::exchange(value_, -1); }

private:
    int value_;
};

// A new or removed name reaches the disk with its directory.
void sync_directory_of(std::filesystem::path const& path)
{
    auto const parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
    descriptor const directory{retried([&] { return ::open(parent.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY); })};
    if (directory.get() != -1)
        ::fsync(directory.get()); // some file systems do not support this
}

// A temporary file, removed on destruction unless `become` has given it its name.
class nameless_file
{
public:
    explicit nameless_file(std::filesystem::path const& path)
        : name_(path.string() + ".XXXXXX"), file_(::mkostemp(name_.data(), O_CLOEXEC)) // mode 0600
    {
        if (file_.get() == -1)
            fail(path);
    }
    nameless_file(nameless_file const&) = delete;
    nameless_file& operator=(nameless_file const&) = delete;
    ~nameless_file()
    {
        if (!name_.empty())
            ::unlink(name_.c_str());
    }

    [[nodiscard]] bool write(byte_view bytes) const
    {
        while (!bytes.empty())
        {
            auto const size = retried([&] { return ::write(file_.get(), bytes.data(), bytes.size()); });
            if (size == -1)
                return false;
            bytes = bytes.subspan(static_cast<std::size_t>(size));
        }
        return retried([&] { return ::fsync(file_.get()); }) == 0;
    }

    [[nodiscard]] bool become(std::filesystem::path const& path)
    {
        if (::rename(name_.c_str(), path.c_str()) != 0)
            return false;
        name_.clear();
        return true;
    }

private:
    std::string name_;
    descriptor file_;
};

// No symbolic link, because the file to be removed has to be the file that was read. No wait for a FIFO.
constexpr int open_flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;

// Whether the path names the open file, and not another one. Throws if it names none.
bool is_named(int file, std::filesystem::path const& path)
{
    struct stat opened{};
    struct stat named{};
    if (::fstat(file, &opened) != 0 || ::lstat(path.c_str(), &named) != 0)
        fail(path);
    return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

void require_private(bool ok, std::filesystem::path const& path)
{
    if (!ok)
        throw system_error{errc::session_file_not_private, path.string()};
}

} // namespace

void write_private_file(std::filesystem::path const& path, byte_view bytes)
{
    nameless_file file{path};
    if (!file.write(bytes) || !file.become(path))
        fail(path);
    sync_directory_of(path);
}

private_file::private_file(std::filesystem::path path) : path_(std::move(path))
{
    for (;;)
    {
        descriptor file{retried([&] { return ::open(path_.c_str(), open_flags); })};
        require_private(file.get() != -1 || errno != ELOOP, path_);
        if (file.get() == -1)
            fail(path_);
        struct stat opened{};
        if (::fstat(file.get(), &opened) != 0)
            fail(path_);
        require_private(S_ISREG(opened.st_mode) && opened.st_uid == ::geteuid() &&
                            (opened.st_mode & (S_IRWXG | S_IRWXO)) == 0,
                        path_);
        if (retried([&] { return ::flock(file.get(), LOCK_EX); }) != 0)
            fail(path_);
        if (!is_named(file.get(), path_))
            continue; // another file has taken its place
        descriptor_ = file.release();
        return;
    }
}

private_file::~private_file()
{
    ::close(descriptor_);
}

std::vector<unsigned char> private_file::read(std::uint64_t max_bytes) const
{
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0)
        fail(path_);
    if (static_cast<std::uint64_t>(status.st_size) > max_bytes)
        throw system_error{errc::session_file_too_large, path_.string()};
    std::vector<unsigned char> bytes(static_cast<std::size_t>(status.st_size));
    std::size_t size = 0;
    while (size < bytes.size())
    {
        auto const more = retried([&] { return ::read(descriptor_, bytes.data() + size, bytes.size() - size); });
        if (more == -1)
            fail(path_);
        if (more == 0) // the file was truncated just now
            break;
        size += static_cast<std::size_t>(more);
    }
    bytes.resize(size);
    return bytes;
}

void private_file::remove() const
{
    if (!is_named(descriptor_, path_))
        return;
    if (::unlink(path_.c_str()) != 0)
        fail(path_);
    sync_directory_of(path_);
}

} // namespace reprise::detail
