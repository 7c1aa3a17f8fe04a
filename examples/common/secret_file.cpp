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

    // As ssh does with keys: a file of one's own must be closed to others, one of somebody else's is their business.
    [[nodiscard]] bool is_private() const noexcept
    {
        struct stat status{};
        return ::fstat(descriptor_, &status) == 0 &&
               (status.st_uid != ::getuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) == 0);
    }

    // As many bytes as there are room for, or fewer at the end of the file; less than none for an error.
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

// Whole under its name or not at all, for another process may look for it now; whoever comes first makes it.
void make_secret_file(std::string const& option, std::string const& path)
{
    reprise::secret_bytes secret{secret_size};
    if (::RAND_bytes(secret.data(), static_cast<int>(secret.size())) != 1)
        fail(option, path, "there are no random bytes");
    auto name = path + ".XXXXXX";
    file const made{::mkostemp(name.data(), O_CLOEXEC)}; // of mode 0600
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
        fail(option, path, "others may use it; chmod 600 " + path);
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
