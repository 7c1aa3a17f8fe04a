// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/multi_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

using namespace test;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;

TEST_SUITE_BEGIN("layers");

namespace {

constexpr auto awaiting = asio::use_awaitable;

asio::awaitable<void> serve_http(server_side& stream)
{
    beast::flat_buffer buffer;
    http::request<http::string_body> request;
    co_await http::async_read(stream, buffer, request, awaiting);
    http::response<http::string_body> response{http::status::ok, request.version()};
    response.keep_alive(false);
    response.body() = "echo " + request.body();
    response.prepare_payload();
    co_await http::async_write(stream, response, awaiting);
    co_await stream.async_shutdown();
}

asio::awaitable<void> serve_websocket(server_side& stream)
{
    websocket::stream<server_side> ws{std::move(stream)};
    co_await ws.async_accept();
    beast::flat_buffer buffer;
    co_await ws.async_read(buffer, awaiting);
    co_await ws.async_write(buffer.data(), awaiting);
    beast::flat_buffer rest;
    auto const [ec, size] = co_await ws.async_read(rest, asio::as_tuple(awaiting));
    CHECK(ec == websocket::error::closed);
}

} // namespace

TEST_CASE("Beast HTTP works over a client_stream on a beast::tcp_stream, and reconnects resumed")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k, .talk = serve_http}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                reprise::client_stream<beast::tcp_stream> stream{executor_of(w.io), w.client_tls, *w.store};
                (void)co_await stream.async_connect("localhost", w.srv.port());
                for (bool const resumed : {false, true, true})
                {
                    CHECK(stream.handshake().resumed() == resumed);
                    stream.next_layer().expires_after(5s);
                    http::request<http::string_body> request{http::verb::post, "/", 11};
                    request.set(http::field::host, "localhost");
                    request.body() = "hello";
                    request.prepare_payload();
                    co_await http::async_write(stream, request, awaiting);
                    beast::flat_buffer buffer;
                    http::response<http::string_body> response;
                    co_await http::async_read(stream, buffer, response, awaiting);
                    CHECK(response.body() == "echo hello");
                    co_await stream.async_shutdown();
                    (void)co_await stream.async_reconnect();
                }
                stream.close();
            });
        CHECK(w.srv.handshakes.at(1).resumption == k.on_server);
    }
}

TEST_CASE("a WebSocket on top closes the transport in order, and the next one resumes")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k, .talk = serve_websocket}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                for (bool const resumed : {false, true})
                {
                    websocket::stream<client_side> ws{executor_of(w.io), w.client_tls, *w.store};
                    auto const info = co_await ws.next_layer().async_connect("localhost", w.srv.port());
                    CHECK(info.resumed() == resumed);
                    co_await ws.async_handshake("localhost", "/", awaiting);
                    co_await ws.async_write(asio::buffer("hello", 5), awaiting);
                    beast::flat_buffer buffer;
                    co_await ws.async_read(buffer, awaiting);
                    CHECK(beast::buffers_to_string(buffer.data()) == "hello");
                    co_await ws.async_close(websocket::close_code::normal, awaiting);
                    CHECK_FALSE(ws.next_layer().lowest_layer().is_open());
                }
            });
        CHECK(w.srv.handshakes.at(1).resumption == k.on_server);
    }
}

TEST_CASE("a header and a body written as one sequence travel in one record")
{
    // Counted by the client: one read of the whole means one record, for SSL_read never joins two.
    auto const write_sequence = [](server_side& stream) -> asio::awaitable<void>
    {
        std::array const parts{asio::buffer("head", 4), asio::buffer("body", 4), asio::buffer("tail", 4)};
        co_await asio::async_write(stream, parts, asio::transfer_all(), awaiting);
        co_await stream.async_shutdown();
    };
    world w{{.talk = write_sequence}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            (void)co_await stream.async_connect("localhost", w.srv.port());
            std::array<char, 64> buffer{};
            auto const size = co_await stream.async_read_some(asio::buffer(buffer));
            CHECK(std::string_view{buffer.data(), size} == "headbodytail");
            co_await stream.async_shutdown();
        });
}

TEST_SUITE_END();
