// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/harness.hpp"

#include <string>
#include <vector>

namespace test {

/** A relay on loopback that keeps the first flight of each client: all that it sends before the server answers.

    That flight can be sent again, byte by byte the same, which is what somebody on the path can do.
*/
class recorder
{
public:
    recorder(asio::io_context& io, std::string const& server_port);

    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

    std::vector<std::string> flights; ///< of the connections so far
    bool loses = false;               ///< the flight does not get to the server, and the client's connection is closed

private:
    asio::awaitable<void> accept();
    asio::awaitable<void> relay(tcp::socket client);

    tcp::endpoint server_;
    tcp::acceptor acceptor_;
};

/// Send a flight to a server on loopback, and nothing more, and wait until it has closed the connection. What it
/// answered.
asio::awaitable<std::string> replay(std::string flight, std::string server_port);

} // namespace test
