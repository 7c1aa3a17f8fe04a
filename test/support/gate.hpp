// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/harness.hpp"

#include <reprise/detail/async/event.hpp>

#include <memory>
#include <string>

namespace test {

/** A relay on loopback between TLS 1.3 clients and a server.

    A closed gate lets a client's first flight through and keeps back what follows. The client has then finished its
    handshake, and the server cannot. So early data stays early, whatever the load of the machine.
*/
class gate
{
public:
    gate(asio::io_context& io, unsigned short server_port);

    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

    /// For connections from now on, which begin with a ClientHello and one record of early data.
    void close() { closed_ = std::make_shared<reprise::detail::event>(); }

    /// For connections from now on, and for those that wait.
    void open();

private:
    asio::awaitable<void> serve();
    asio::awaitable<void> relay(tcp::socket client);

    tcp::acceptor acceptor_;
    tcp::endpoint server_;
    std::shared_ptr<reprise::detail::event> closed_; // null: it is open
};

} // namespace test
