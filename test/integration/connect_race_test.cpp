// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/net/connect_race.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;
using reprise::error_code;
using reprise::detail::connect_race;

namespace {

// A socket that notes on which executor the ends of its attempts are to run.
class watched_socket : public tcp::socket
{
public:
    using tcp::socket::basic_stream_socket;

    template <class Handler>
    void async_connect(tcp::endpoint const& to, Handler handler)
    {
        noted->emplace_back(asio::get_associated_executor(handler, asio::any_io_executor{get_executor()}));
        tcp::socket::async_connect(to, std::move(handler));
    }

    inline static std::vector<asio::any_io_executor>* noted = nullptr; // of the test that runs
};

} // namespace

TEST_CASE("the ends of a race's attempts run on the operation's executor, not on the sockets'")
{
    asio::io_context io;
    asio::io_context of_sockets; // run by the same thread, so that it is no data race without the guard
    tcp::acceptor const listening{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    tcp::acceptor refusing{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    std::vector const endpoints{refusing.local_endpoint(), listening.local_endpoint()};
    refusing.close();

    asio::any_io_executor const operation = asio::make_strand(io);
    std::vector<asio::any_io_executor> noted;
    watched_socket::noted = &noted;
    auto const race = std::make_shared<connect_race<watched_socket>>(operation, of_sockets.get_executor(), endpoints);
    bool done = false;
    error_code result = asio::error::would_block;
    asio::co_spawn(operation, race->run(10s, std::chrono::steady_clock::now() + 10s),
                   [&](std::exception_ptr failure, error_code ec)
                   {
                       done = true;
                       result = ec;
                       CHECK_FALSE(failure);
                   });
    auto const end = std::chrono::steady_clock::now() + 10s;
    while (!done && std::chrono::steady_clock::now() < end)
    {
        of_sockets.poll();
        of_sockets.restart();
        io.run_one_for(1ms);
        io.restart();
    }
    REQUIRE(done);
    CHECK_FALSE(result);
    CHECK(race->take_winner().remote_endpoint() == listening.local_endpoint());
    race->close_all();
    REQUIRE(noted.size() == 2);
    for (auto const& executor : noted)
        CHECK(executor == operation);
}
