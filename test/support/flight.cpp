// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/flight.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

namespace test {

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

tcp::endpoint loopback(std::string const& port)
{
    return {asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(port))};
}

struct pair
{
    tcp::socket client;
    tcp::socket server;
    bool has_answered = false;
};

// Up to the end of `from`, whose end is handed on as well.
template <class Seen>
asio::awaitable<void> pump(tcp::socket& from, tcp::socket& to, Seen const& seen)
{
    std::vector<char> buffer(1 << 17);
    for (;;)
    {
        auto const [ec, size] = co_await from.async_read_some(asio::buffer(buffer), as_tuple);
        error_code ignored;
        if (ec)
        {
            to.shutdown(tcp::socket::shutdown_send, ignored);
            co_return;
        }
        seen(std::string_view{buffer.data(), size});
        (void)co_await asio::async_write(to, asio::buffer(buffer.data(), size), as_tuple);
    }
}

} // namespace

recorder::recorder(asio::io_context& io, std::string const& server_port)
    : server_(loopback(server_port)), acceptor_(executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0})
{
    asio::co_spawn(executor_of(io), accept(), asio::detached); // its failures end connections, which tests see
}

asio::awaitable<void> recorder::accept()
{
    for (;;)
    {
        auto [ec, socket] = co_await acceptor_.async_accept(as_tuple);
        if (ec)
            co_return;
        asio::co_spawn(acceptor_.get_executor(), relay(std::move(socket)), asio::detached);
    }
}

asio::awaitable<void> recorder::relay(tcp::socket client)
{
    using namespace asio::experimental::awaitable_operators;
    pair p{std::move(client), tcp::socket{acceptor_.get_executor()}};
    co_await p.server.async_connect(server_, asio::use_awaitable);
    p.server.set_option(tcp::no_delay{true});
    p.client.set_option(tcp::no_delay{true});
    auto const index = flights.size();
    flights.emplace_back();
    if (loses)
    {
        std::string flight(1 << 17, '\0');
        flight.resize(co_await p.client.async_read_some(asio::buffer(flight), asio::use_awaitable));
        flights[index] = flight;
        co_return;
    }
    // By reference: GCC 12 destroys a lambda twice that is made where something is awaited.
    auto const record = [&](std::string_view bytes)
    {
        if (!p.has_answered)
            flights[index] += bytes;
    };
    auto const note_answer = [&](std::string_view) { p.has_answered = true; };
    co_await (pump(p.client, p.server, record) && pump(p.server, p.client, note_answer));
}

asio::awaitable<std::string> replay(std::string flight, std::string server_port)
{
    tcp::socket socket{co_await asio::this_coro::executor};
    co_await socket.async_connect(loopback(server_port), asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer(flight), asio::use_awaitable);
    socket.shutdown(tcp::socket::shutdown_send);
    std::string answer;
    (void)co_await asio::async_read(socket, asio::dynamic_buffer(answer), asio::transfer_all(), as_tuple);
    co_return answer;
}

} // namespace test
