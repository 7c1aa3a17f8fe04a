// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/child.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace test {

/// HAProxy on a free port of loopback: it hands TCP connections to servers in turn, the first of which is number 0. It
/// ends with this object.
class haproxy
{
public:
    explicit haproxy(std::vector<std::string> const& server_ports);

    [[nodiscard]] std::string port() const { return std::to_string(port_); }

    /// Give a server no new connections, and wait until it has no old ones.
    void drain(std::size_t server) const;

    /// Give it connections again.
    void readmit(std::size_t server) const;

private:
    [[nodiscard]] std::string command(std::string const& line) const; // to its admin socket
    [[nodiscard]] long connections(std::size_t server) const;

    temporary_directory directory_;
    unsigned short port_ = free_port();
    std::optional<child> process_;
};

} // namespace test
