// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// TCP Fast Open, in a network of the test's own where the system lets it have one.

#include "support/early.hpp"
#include "support/own_network.hpp"

#include <reprise/fast_open.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace test;
using reprise::early_data_status;

TEST_SUITE_BEGIN("fast_open");

namespace {

// Whether the first flight went with the first packet and was taken.
bool was_fast(client_side& stream)
{
    tcp_info info{};
    socklen_t size = sizeof info;
    REQUIRE(::getsockopt(stream.lowest_layer().native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    constexpr unsigned syn_data = 0x20; // TCPI_OPT_SYN_DATA
    return (info.tcpi_options & syn_data) != 0;
}

bool with_fast_open(std::function<void()> const& test)
{
    return in_own_network("tcp_fastopen", "3", test);
}

asio::awaitable<bool> visit_fast(early_world& w, client_side& stream, std::string const& text,
                                 early_data_status expected)
{
    std::string const line = text + "\n";
    reprise::early_data const early{asio::buffer(line)};
    reprise::handshake_info info;
    if (stream.key().host.empty())
        info = co_await stream.async_connect("localhost", w.port, early);
    else
        info = co_await stream.async_reconnect(early);
    CHECK(info.early_data == expected);
    std::string answer;
    (void)co_await asio::async_read(stream, asio::dynamic_buffer(answer), asio::transfer_all(),
                                    asio::as_tuple(asio::use_awaitable));
    CHECK(answer == "yes\n");
    bool const fast = was_fast(stream);
    co_await stream.async_shutdown();
    co_return fast;
}

} // namespace

TEST_CASE("with a cookie of the server's, request and ClientHello go with the first packet")
{
    bool const allowed = with_fast_open(
        []
        {
            early_world w{kinds[2]};
            REQUIRE_FALSE(reprise::enable_fast_open(w.srv().acceptor()));
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream({.fast_open = true});
                    CHECK_FALSE(co_await visit_fast(w, stream, "first", early_data_status::not_offered));
                    for (int i = 0; i < 3; ++i)
                        CHECK(co_await visit_fast(w, stream, "again", early_data_status::accepted));
                    auto slow = w.stream();
                    CHECK_FALSE(co_await visit_fast(w, slow, "slow", early_data_status::accepted));
                });
            CHECK(w.times_heard("again") == 3);
        });
    if (!allowed)
        MESSAGE("no network of our own is allowed here: only the ordinary way was tested");
}

TEST_CASE("a server that is gone refuses, whether there is a cookie or not")
{
    auto const test = []
    {
        early_world w{kinds[2]};
        REQUIRE_FALSE(reprise::enable_fast_open(w.srv().acceptor()));
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream({.fast_open = true});
                co_await visit_fast(w, stream, "first", early_data_status::not_offered);
                co_await visit_fast(w, stream, "again", early_data_status::accepted);
                w.srv().stop();
                auto const [ec, info] = co_await stream.async_reconnect(asio::as_tuple(asio::use_awaitable));
                CHECK(ec == asio::error::connection_refused);
            });
    };
    test();
    (void)with_fast_open(test);
}

TEST_CASE(
    "where the server or the system does not have it, connections are made as ever, and the next address is tried")
{
    early_world w{kinds[2]};
    tcp::acceptor closed{executor_of(w.inner().io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    auto const nobody = closed.local_endpoint();
    closed.close();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream({.fast_open = true});
            co_await w.say(stream, "first");
            CHECK((co_await w.say(stream, "again")).early_data == early_data_status::accepted);
            std::vector const endpoints{nobody, w.srv().endpoint()};
            auto other = w.stream({.fast_open = true});
            reprise::early_data const early{asio::buffer("other\n", 6)};
            CHECK((co_await other.async_connect("localhost", port_of(endpoints),
                                                {.early_data = early, .endpoints = endpoints}))
                      .early_data == early_data_status::accepted);
            std::string answer;
            (void)co_await asio::async_read(other, asio::dynamic_buffer(answer), asio::transfer_all(),
                                            asio::as_tuple(asio::use_awaitable));
            std::vector const none{nobody};
            auto third = w.stream({.fast_open = true});
            auto const [ec, info] = co_await third.async_connect("localhost", port_of(none), {.endpoints = none},
                                                                 asio::as_tuple(asio::use_awaitable));
            CHECK(ec == asio::error::connection_refused);
        });
    CHECK(w.times_heard("other") == 1);
}

TEST_SUITE_END();
