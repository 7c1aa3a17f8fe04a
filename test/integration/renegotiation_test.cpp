// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

using namespace test;

TEST_SUITE_BEGIN("renegotiation");

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

void allow_renegotiation(asio::ssl::context& tls)
{
    tls.set_options(SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
}

/// Read one line. No read may succeed with nothing: a loop around it would spin.
template <class Stream>
asio::awaitable<std::string> read_line(Stream& stream)
{
    std::string line;
    while (!line.ends_with('\n'))
    {
        char piece[100];
        auto const [ec, size] = co_await stream.async_read_some(asio::buffer(piece), no_throw);
        CHECK_FALSE(ec);
        CHECK(size > 0);
        if (ec || size == 0)
            co_return line;
        line.append(piece, size);
    }
    co_return line;
}

enum class end
{
    client,
    server,
};

} // namespace

TEST_CASE("reading goes on through a renegotiation, and its session is as old as its verification")
{
    for (auto const& k : kinds)
        for (end const who : {end::client, end::server})
        {
            if (k.version != TLS1_2_VERSION)
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(who));
            reprise::testing::manual_clock time;
            long renegotiations = 0; // as the end that asked counts them
            bool renegotiates = true;
            auto const talk = [&](server_side& s) -> asio::awaitable<void>
            {
                if (renegotiates)
                {
                    CHECK((co_await read_line(s)) == "first\n");
                    time.advance(100s);
                    if (who == end::server)
                        REQUIRE(::SSL_renegotiate(s.native_handle()) == 1);
                    co_await asio::async_write(s, asio::buffer("answer\n", 7));
                    CHECK((co_await read_line(s)) == "second\n");
                    if (who == end::server)
                        renegotiations = ::SSL_num_renegotiations(s.native_handle());
                }
                co_await answer_and_shut_down(s);
            };
            world w{{.of = k,
                     .cache = {.session_lifetime = 24h, .now = time},
                     .talk = talk,
                     .configure = allow_renegotiation}};
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    reprise::client_options options;
                    options.now = time;
                    auto stream = w.stream(options);
                    co_await stream.async_connect("localhost", w.srv.port());
                    co_await asio::async_write(stream, asio::buffer("first\n", 6));
                    CHECK((co_await read_line(stream)) == "answer\n");
                    if (who == end::client)
                        REQUIRE(::SSL_renegotiate(stream.native_handle()) == 1);
                    co_await asio::async_write(stream, asio::buffer("second\n", 7));
                    co_await read_all(stream);
                    if (who == end::client)
                        renegotiations = ::SSL_num_renegotiations(stream.native_handle());
                    co_await stream.async_shutdown();

                    renegotiates = false;
                    time.advance(50s);
                    // If the server asks, a ticket is resumed in the renegotiation: nothing is verified anew.
                    auto const age = who == end::server && k.tickets ? 150s : 50s;
                    auto const info = co_await w.visit(stream);
                    CHECK(info.resumption == k.on_client);
                    CHECK(info.session_age == age);
                    REQUIRE(w.srv.handshakes.size() == 2);
                    CHECK(w.srv.handshakes[1].resumption == k.on_server);
                    CHECK(w.srv.handshakes[1].session_age == age);
                });
            CHECK(renegotiations == 1);
        }
}

TEST_CASE("a renegotiation is for the same host")
{
    for (bool const is_other : {false, true})
    {
        CAPTURE(is_other);
        error_code ended;
        auto const talk = [&](server_side& s) -> asio::awaitable<void>
        {
            char byte = 0;
            std::size_t size = 0;
            std::tie(ended, size) = co_await s.async_read_some(asio::buffer(&byte, 1), no_throw);
            CHECK(size == (ended ? 0u : 1u));
        };
        world w{{.of = kinds[1], .talk = talk, .configure = allow_renegotiation}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await stream.async_connect("localhost", w.srv.port());
                if (is_other)
                    REQUIRE(SSL_set_tlsext_host_name(stream.native_handle(), "a.test") == 1);
                REQUIRE(::SSL_renegotiate(stream.native_handle()) == 1);
                auto const [ec, size] = co_await stream.async_write_some(asio::buffer("x", 1), no_throw);
                CHECK(static_cast<bool>(ec) == is_other);
                char byte = 0;
                (void)co_await stream.async_read_some(asio::buffer(&byte, 1), no_throw);
            });
        CHECK(static_cast<bool>(ended) == is_other);
        if (is_other)
            CHECK(ended.category() == asio::error::get_ssl_category());
    }
}

TEST_SUITE_END();
