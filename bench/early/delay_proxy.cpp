// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "early/delay_proxy.hpp"

#include "coroutines.hpp"
#include "early/own_network.hpp"

#include <reprise/fast_open.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <tuple>
#include <utility>
#include <vector>

namespace bench {

namespace {

using asio::steady_timer;
using asio::ip::tcp;
using time_point = steady_timer::time_point;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t syn_room = 1420; // of 1460 bytes in a packet Linux leaves 40 to TCP's options
constexpr std::size_t read_size = 16384;

// One direction of a connection: bytes, and when they are due at the other end.
class pipe
{
public:
    pipe(asio::io_context& io, steady_timer::duration delay) : delay_(delay), news_(io, time_point::max()) {}

    /// What is read counts as sent no sooner than at `earliest`, but for the first `at_once` bytes.
    asio::awaitable<void> fill(tcp::socket& from, time_point earliest, std::size_t at_once)
    {
        for (bool is_first = at_once != 0, is_open = true; is_open; is_first = false)
        {
            std::vector<char> bytes(is_first ? at_once : read_size);
            auto const [ec, size] = co_await from.async_read_some(asio::buffer(bytes), no_throw);
            bytes.resize(size);
            auto const now = steady_timer::clock_type::now();
            auto const sent = is_first ? now : std::max(now, earliest);
            parcels_.push_back({sent + delay_, std::move(bytes)});
            news_.cancel();
            is_open = !ec;
        }
    }

    asio::awaitable<void> drain(tcp::socket& to)
    {
        steady_timer timer{to.get_executor()};
        for (;;)
        {
            if (parcels_.empty())
            {
                co_await news_.async_wait(no_throw);
                continue;
            }
            auto const next = std::move(parcels_.front());
            parcels_.pop_front();
            timer.expires_at(next.due);
            co_await timer.async_wait(asio::use_awaitable);
            boost::system::error_code ec;
            if (next.bytes.empty())
            {
                to.shutdown(tcp::socket::shutdown_send, ec);
                co_return;
            }
            std::tie(ec, std::ignore) = co_await asio::async_write(to, asio::buffer(next.bytes), no_throw);
            if (ec) // whoever was there has gone, which the other direction tells the peer
                co_return;
        }
    }

private:
    struct parcel
    {
        time_point due;
        std::vector<char> bytes; // none: the end
    };

    steady_timer::duration delay_;
    steady_timer news_; // never expires
    std::deque<parcel> parcels_;
};

} // namespace

delay_proxy::delay_proxy(tcp::endpoint server, bool fast_open)
    : server_(server), acceptor_(io_, {asio::ip::address_v4::loopback(), 0})
{
    if (fast_open)
        if (auto const ec = reprise::enable_fast_open(acceptor_))
            throw boost::system::system_error{ec, "Fast Open"};
    asio::co_spawn(io_, accept(), rethrow);
    thread_ = std::jthread{[this] { io_.run(); }};
}

delay_proxy::~delay_proxy()
{
    io_.stop();
    thread_.join();
}

asio::awaitable<void> delay_proxy::accept()
{
    for (;;)
        asio::co_spawn(io_, join(co_await acceptor_.async_accept(asio::use_awaitable)), rethrow);
}

asio::awaitable<void> delay_proxy::join(tcp::socket client)
{
    using namespace asio::experimental::awaitable_operators;
    auto const accepted = steady_timer::clock_type::now();
    std::chrono::milliseconds const distance = distance_;
    auto const at_once = syn_carried_data(client.native_handle()) ? syn_room : 0;

    tcp::socket server{io_};
    co_await server.async_connect(server_, asio::use_awaitable);
    client.set_option(tcp::no_delay{true});
    server.set_option(tcp::no_delay{true});
    pipe up{io_, distance};
    pipe down{io_, distance};
    co_await (up.fill(client, accepted + 2 * distance, at_once) && up.drain(server) && down.fill(server, accepted, 0) &&
              down.drain(client));
}

} // namespace bench
