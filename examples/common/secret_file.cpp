// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/secret_file.hpp"

#include <openssl/rand.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace example {

namespace {

constexpr std::size_t secret_size = 32;

class file
{
public:
    explicit file(int descriptor) : descriptor_(descriptor) {}
    file(file const&) = delete;
    file& operator=(file const&) = delete;
    ~file()
    {
        if (descriptor_ >= 0)
            ::close(descriptor_);
    }

    [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }

    // Like ssh, refuse a file of this user that other users can access. Accept a file of another user.
    [[nodiscard]] bool is_private() const noexcept
    {
        struct stat status{};
        return ::fstat(descriptor_, &status) == 0 &&
               (status.st_uid != ::getuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) == 0);
    }

    // Read until the buffer is full or the file ends. Returns the number of bytes, or a negative number after an error.
    [[nodiscard]] ssize_t read(std::span<unsigned char> into) const noexcept
    {
        std::size_t size = 0;
        while (size < into.size())
        {
            auto const more = ::read(descriptor_, into.data() + size, into.size() - size);
            if (more < 0)
                return more;
            if (more == 0)
                break;
            size += static_cast<std::size_t>(more);
        }
        return static_cast<ssize_t>(size);
    }

    [[nodiscard]] bool write(std::span<unsigned char const> bytes) const noexcept
    {
        return ::write(descriptor_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
               ::fsync(descriptor_) == 0;
    }

private:
    int descriptor_;
};

[[noreturn]] void fail(std::string const& option, std::string const& path, std::string const& what)
{
    throw std::runtime_error{option + " " + path + ": " + what};
}

// Write the file under another name first and then link it, because another process may read the file at any time. If
// two processes make the file at once, the first one wins.
void make_secret_file(std::string const& option, std::string const& path)
{
    reprise::secret_bytes secret{secret_size};
    if (::RAND_bytes(secret.data(), static_cast<int>(secret.size())) != 1)
        fail(option, path, "OpenSSL provides no random bytes");
    auto name = path + ".XXXXXX";
    file const made{::mkostemp(name.data(), O_CLOEXEC)}; // with mode 0600
    if (!made.is_open())
        fail(option, path, std::strerror(errno));
    bool const ok = made.write(secret.view()) && (::link(name.c_str(), path.c_str()) == 0 || errno == EEXIST);
    int const error = errno;
    ::unlink(name.c_str());
    if (!ok)
        fail(option, path, std::strerror(error));
}

} // namespace

reprise::secret_bytes read_secret_file(std::string const& option, std::string const& path)
{
    std::string const make_it = "make it with: (umask 077; head -c 32 /dev/urandom > " + path + ")";
    file const f{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!f.is_open())
        fail(option, path, std::string{std::strerror(errno)} + "; " + make_it);
    if (!f.is_private())
        fail(option, path, "other users can access it; run: chmod 600 " + path);
    reprise::secret_bytes bytes{secret_size + 1};
    auto const size = f.read({bytes.data(), bytes.size()});
    if (size < 0)
        fail(option, path, std::strerror(errno));
    if (size != static_cast<ssize_t>(secret_size))
        fail(option, path,
             "not 32 bytes but " + (size < 32 ? std::to_string(size) : std::string{"more"}) + "; " + make_it);
    return reprise::secret_bytes{bytes.view().first(secret_size)};
}

reprise::secret_bytes read_or_make_secret_file(std::string const& option, std::string const& path)
{
    if (::access(path.c_str(), F_OK) != 0)
        make_secret_file(option, path);
    return read_secret_file(option, path);
}

} // namespace example
