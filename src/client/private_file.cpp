// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/private_file.hpp"

#include <reprise/base/error.hpp>

#include <cerrno>
#include <string>
#include <utility>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace reprise::detail {

namespace {

[[noreturn]] void fail(int error, std::filesystem::path const& path)
{
    throw system_error{error_code{error, boost::system::system_category()}, path.string()};
}

void require(bool ok, std::filesystem::path const& path)
{
    if (!ok)
        fail(errno, path);
}

class descriptor
{
public:
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    descriptor(descriptor const&) = delete;
    descriptor& operator=(descriptor const&) = delete;
    ~descriptor()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }

    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

// Removed again, unless it gets its name.
class temporary_file
{
public:
    explicit temporary_file(std::filesystem::path const& beside)
        : name_(beside.string() + ".XXXXXX"), file_(::mkostemp(name_.data(), O_CLOEXEC)) // of mode 0600
    {
        require(file_.get() >= 0, beside);
    }
    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;
    ~temporary_file()
    {
        if (!name_.empty())
            ::unlink(name_.c_str());
    }

    [[nodiscard]] int fd() const noexcept { return file_.get(); }

    void rename_to(std::filesystem::path const& path)
    {
        require(::rename(name_.c_str(), path.c_str()) == 0, path);
        name_.clear();
    }

private:
    std::string name_;
    descriptor file_;
};

void write_all(int fd, byte_view bytes, std::filesystem::path const& path)
{
    while (!bytes.empty())
    {
        auto const n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR)
            continue;
        require(n > 0, path);
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

// So that the name survives a power cut, too.
void sync_directory(std::filesystem::path const& of)
{
    auto const parent = of.has_parent_path() ? of.parent_path() : std::filesystem::path{"."};
    descriptor const directory{::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (directory.get() >= 0)
        ::fsync(directory.get());
}

} // namespace

void write_private_file(std::filesystem::path const& path, byte_view bytes)
{
    temporary_file file{path};
    write_all(file.fd(), bytes, path);
    require(::fsync(file.fd()) == 0, path);
    file.rename_to(path);
    sync_directory(path);
}

private_file read_private_file(std::filesystem::path const& path, std::uint64_t max_bytes)
{
    // Without waiting for a writer, if it is a pipe.
    descriptor const file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    require(file.get() >= 0, path);
    private_file result{};
    require(::fstat(file.get(), &result.status) == 0, path);
    auto const& s = result.status;
    if (!S_ISREG(s.st_mode) || s.st_uid != ::geteuid() || (s.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        throw system_error{errc::session_file_not_private, path.string()};
    if (static_cast<std::uint64_t>(s.st_size) > max_bytes)
        throw system_error{errc::session_file_too_large, path.string()};
    result.bytes.resize(static_cast<std::size_t>(s.st_size));
    std::size_t size = 0;
    while (size < result.bytes.size())
    {
        auto const n = ::read(file.get(), &result.bytes[size], result.bytes.size() - size);
        if (n < 0 && errno == EINTR)
            continue;
        require(n >= 0, path);
        if (n == 0)
            break;
        size += static_cast<std::size_t>(n);
    }
    result.bytes.resize(size);
    return result;
}

void remove_private_file(std::filesystem::path const& path, private_file const& what)
{
    // A rename has one winner, who then looks at what he has got.
    std::string claimed = path.string() + ".XXXXXX";
    descriptor const own{::mkostemp(claimed.data(), O_CLOEXEC)};
    require(own.get() >= 0, path);
    if (::rename(path.c_str(), claimed.c_str()) != 0)
    {
        auto const error = errno;
        ::unlink(claimed.c_str());
        fail(error, path);
    }
    struct ::stat now{};
    bool const is_it =
        ::stat(claimed.c_str(), &now) == 0 && now.st_ino == what.status.st_ino && now.st_dev == what.status.st_dev;
    if (!is_it)
        (void)::link(claimed.c_str(), path.c_str()); // somebody's newer one, unless there is a newer one still
    ::unlink(claimed.c_str());
    if (!is_it)
        fail(ENOENT, path);
}

} // namespace reprise::detail
