// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// How https_server ends.

#include "support/child.hpp"
#include "support/harness.hpp"
#include "support/peers/https_examples.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <csignal>

using namespace test;
namespace beast = boost::beast;
namespace http = beast::http;

TEST_SUITE_BEGIN("stop");

namespace {

struct visitor
{
    explicit visitor(asio::io_context& io) : stream{executor_of(io), tls, *store} {}

    asio::awaitable<void> send(std::string_view text)
    {
        co_await asio::async_write(stream, asio::buffer(text), asio::use_awaitable);
    }

    asio::awaitable<http::response<http::string_body>> receive()
    {
        http::response<http::string_body> response;
        co_await http::async_read(stream, buffer, response, asio::use_awaitable);
        co_return response;
    }

    asio::ssl::context tls = client_context();
    std::shared_ptr<reprise::memory_session_store> store = reprise::memory_session_store::make();
    client_side stream;
    beast::flat_buffer buffer;
};

std::string const request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

// Once nobody listens any more, the signal has been seen.
asio::awaitable<void> refused(std::string const& port)
{
    for (;;)
    {
        tcp::socket socket{co_await asio::this_coro::executor};
        auto const [ec] = co_await socket.async_connect(
            {asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(port))},
            asio::as_tuple(asio::use_awaitable));
        if (ec == asio::error::connection_refused)
            co_return;
    }
}

} // namespace

TEST_CASE("a server that is told to stop closes what is idle, finishes what has begun, and says how it went")
{
    for (auto const* const threads : {"1", "3"})
    {
        CAPTURE(std::string{threads});
        credentials const c;
        example_server srv{c, std::vector<std::string>{"--threads", threads}};
        asio::io_context io;
        run(io,
            [&]() -> asio::awaitable<void>
            {
                visitor idle{io};
                visitor late{io};
                visitor halfway{io};
                co_await idle.stream.async_connect("localhost", srv.port);
                co_await idle.send(request);
                CHECK((co_await idle.receive()).keep_alive());
                co_await late.stream.async_connect("localhost", srv.port);
                co_await halfway.stream.async_connect("localhost", srv.port);
                co_await halfway.send(request.substr(0, 20));

                srv.process.signal(SIGTERM);
                co_await refused(srv.port);
                char byte = 0;
                auto const [ec, size] =
                    co_await idle.stream.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
                CHECK(ec == asio::error::eof); // said with close_notify
                co_await idle.stream.async_shutdown();

                co_await late.send(request);
                co_await halfway.send(request.substr(20));
                for (auto* const v : {&late, &halfway})
                {
                    auto const response = co_await v->receive();
                    CHECK(response.result() == http::status::ok);
                    CHECK_FALSE(response.keep_alive());
                    co_await v->stream.async_shutdown();
                }
            }());
        CHECK(srv.process.wait() == 0);
        CHECK(contains(srv.process.output(), "requests 3"));
    }
}

TEST_CASE("a second signal ends a server at once")
{
    credentials const c;
    example_server srv{c, std::vector<std::string>{}};
    asio::io_context io;
    run(io,
        [&]() -> asio::awaitable<void>
        {
            visitor silent{io};
            co_await silent.stream.async_connect("localhost", srv.port);
            srv.process.signal(SIGTERM);
            co_await refused(srv.port);
            srv.process.signal(SIGTERM);
            auto const begin = std::chrono::steady_clock::now();
            CHECK(srv.process.wait() == 0);
            CHECK(std::chrono::steady_clock::now() - begin < 4s); // less than the server's patience
        }());
    CHECK(contains(srv.process.output(), "requests 0"));
}

TEST_SUITE_END();
