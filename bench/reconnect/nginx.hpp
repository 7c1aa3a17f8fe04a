// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/testing/certificate.hpp>

#include <string>

#include <sys/types.h>

namespace bench {

/// An nginx on loopback, with session cache and tickets, that says two bytes and closes.
class nginx
{
public:
    nginx();
    nginx(nginx const&) = delete;
    nginx& operator=(nginx const&) = delete;
    ~nginx();

    [[nodiscard]] std::string const& port() const noexcept { return port_; }

    /// Who vouches for it: a file with this one certificate.
    [[nodiscard]] std::string const& ca_file() const noexcept { return ca_file_; }

private:
    std::string directory_;
    std::string port_;
    std::string ca_file_;
    ::pid_t process_ = -1;
};

} // namespace bench
