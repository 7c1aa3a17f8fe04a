// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/gate.hpp"

#include "support/accept_each.hpp"

#include <boost/asio/write.hpp>

#include <array>
#include <utility>

namespace test {

namespace {

using reprise::detail::event;
using namespace asio::experimental::awaitable_operators;

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

void say_goodbye(tcp::socket& to)
{
    error_code ignored;
    to.shutdown(tcp::socket::shutdown_send, ignored);
}

// Record by record (RFC 8446, 5.1). Of a client that sends early data the first one with application data ends the
// flight.
asio::awaitable<void> pass_records(tcp::socket& from, tcp::socket& to, std::shared_ptr<event> closed)
{
    constexpr std::size_t header_size = 5;
    constexpr unsigned char application_data = 23;
    std::vector<unsigned char> record;
    for (;;)
    {
        record.resize(header_size);
        auto const [no_header, n] = co_await asio::async_read(from, asio::buffer(record), as_tuple);
        if (no_header)
            break;
        auto const body_size = static_cast<std::size_t>(record[3] << 8 | record[4]);
        record.resize(header_size + body_size);
        auto const [no_body, m] = co_await asio::async_read(from, asio::buffer(record) + header_size, as_tuple);
        if (no_body)
            break;
        auto const [no_peer, k] = co_await asio::async_write(to, asio::buffer(record), as_tuple);
        if (no_peer)
            break;
        if (closed && record[0] == application_data)
            co_await event::wait(std::exchange(closed, nullptr));
    }
    say_goodbye(to);
}

asio::awaitable<void> pass_all(tcp::socket& from, tcp::socket& to)
{
    std::array<char, 16384> buffer; // NOLINT: filled before it is read
    for (;;)
    {
        auto const [at_end, size] = co_await from.async_read_some(asio::buffer(buffer), as_tuple);
        if (at_end)
            break;
        auto const [no_peer, n] = co_await asio::async_write(to, asio::buffer(buffer, size), as_tuple);
        if (no_peer)
            break;
    }
    say_goodbye(to);
}

} // namespace

gate::gate(asio::io_context& io, unsigned short server_port)
    : acceptor_(executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}),
      server_(asio::ip::address_v4::loopback(), server_port)
{
    asio::co_spawn(executor_of(io), serve(), asio::detached);
}

void gate::open()
{
    if (auto const closed = std::exchange(closed_, nullptr))
        closed->set();
}

asio::awaitable<void> gate::serve()
{
    return accept_each(acceptor_, [this](tcp::socket socket) { return relay(std::move(socket)); });
}

asio::awaitable<void> gate::relay(tcp::socket client)
{
    auto const closed = closed_;
    tcp::socket server{client.get_executor()};
    co_await server.async_connect(server_, asio::use_awaitable);
    co_await (pass_records(client, server, closed) && pass_all(server, client));
}

} // namespace test
