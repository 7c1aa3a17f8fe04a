// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Error responses of https_server, and the requests that https_client sends for a URL.

#include "support/child.hpp"
#include "support/harness.hpp"
#include "support/peers/https_examples.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <future>

using namespace test;
namespace beast = boost::beast;
namespace http = beast::http;

TEST_SUITE_BEGIN("example requests, peers");

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

struct visitor
{
    asio::awaitable<void> send(std::string_view text)
    {
        co_await asio::async_write(stream, asio::buffer(text), asio::transfer_all(), asio::use_awaitable);
    }

    asio::awaitable<http::response<http::string_body>> receive(http::verb method = http::verb::get)
    {
        http::response_parser<http::string_body> parser;
        parser.skip(method == http::verb::head);
        co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
        co_return parser.release();
    }

    // Everything up to close_notify.
    asio::awaitable<std::string> rest()
    {
        std::string text = beast::buffers_to_string(buffer.data());
        auto const [ec, size] =
            co_await asio::async_read(stream, asio::dynamic_buffer(text), asio::transfer_all(), no_throw);
        CHECK(ec == asio::error::eof);
        co_return text;
    }

    asio::io_context& io;
    std::string port;
    asio::ssl::context tls = client_context();
    client_side stream{executor_of(io), tls};
    beast::flat_buffer buffer{};
};

void with_server(std::vector<std::string> const& options,
                 std::function<asio::awaitable<void>(asio::io_context&, std::string const& port)> talk)
{
    credentials const c;
    example_server const server{c, options};
    asio::io_context io;
    run(io, talk(io, server.port));
}

std::string const good = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

} // namespace

TEST_CASE("https_server answers every request, and keeps the connection where the request's end is known")
{
    struct row
    {
        std::string name;
        std::string request;
        unsigned status;
        bool goes_on = false;
        http::verb method = http::verb::get;
    };
    std::string const host = "Host: localhost\r\n";
    std::string const post = "POST / HTTP/1.1\r\n" + host;
    with_server(
        {},
        [&](asio::io_context& io, std::string const& port) -> asio::awaitable<void>
        {
            for (auto const& r : {
                     row{"GET", good, 200, true},
                     row{"GET with a body", "GET / HTTP/1.1\r\n" + host + "Content-Length: 4\r\n\r\nbody", 200, true},
                     row{"HEAD", "HEAD / HTTP/1.1\r\n" + host + "\r\n", 200, true, http::verb::head},
                     row{"close", "GET / HTTP/1.1\r\nConnection: x\r\nConnection: close\r\n" + host + "\r\n", 200},
                     row{"1.0", "GET / HTTP/1.0\r\n\r\n", 200},
                     row{"a whole URL", "GET https://localhost/ HTTP/1.1\r\n" + host + "\r\n", 200, true},
                     row{"an empty line before", "\r\n" + good, 200, true},
                     row{"POST", post + "Content-Length: 4\r\n\r\nbody", 405, true},
                     row{"POST in chunks", post + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 405,
                         true},
                     row{"DELETE", "DELETE / HTTP/1.1\r\n" + host + "\r\n", 405, true},
                     row{"OPTIONS", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", 405, true},
                     row{"BREW", "BREW / HTTP/1.1\r\n" + host + "\r\n", 501, true},
                     row{"a large body", post + "Content-Length: 2000000\r\n\r\n", 413},
                     row{"large chunks", post + "Transfer-Encoding: chunked\r\n\r\n200000\r\n", 413},
                     row{"a long target", "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", 414},
                     row{"a long field", "GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n", 431},
                     row{"no HTTP", "hello\r\n\r\n", 400},
                     row{"a bad field", "GET / HTTP/1.1\r\nno colon\r\n\r\n", 400},
                     row{"no host", "GET / HTTP/1.1\r\n\r\n", 400, true},
                     row{"no host, HEAD", "HEAD / HTTP/1.1\r\n\r\n", 400, true, http::verb::head},
                     row{"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400, true},
                     row{"a bad host", "GET / HTTP/1.1\r\nHost: ::1:8443\r\n\r\n", 400, true},
                     row{"a bad target", "GET x HTTP/1.1\r\n" + host + "\r\n", 400, true},
                     row{"a bad length", post + "Content-Length: x\r\n\r\n", 400},
                     row{"two lengths", post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody", 400},
                     row{"length and chunks", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                         400},
                     row{"gzip", post + "Transfer-Encoding: gzip\r\n\r\n", 501},
                     row{"gzip in chunks", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, true},
                     row{"an expectation", "GET / HTTP/1.1\r\nExpect: x\r\n" + host + "\r\n", 417, true},
                     row{"2.0", "GET / HTTP/2.0\r\n" + host + "\r\n", 505},
                 })
            {
                CAPTURE(r.name);
                visitor v{io, port};
                co_await v.stream.async_connect("localhost", port);
                co_await v.send(r.request);
                auto const response = co_await v.receive(r.method);
                CHECK(response.result_int() == r.status);
                CHECK(response.version() == (r.name == "1.0" ? 10 : 11));
                CHECK(response.body().empty() == (r.method == http::verb::head));
                CHECK(response.count(http::field::allow) == (r.status == 405 ? 1 : 0)); // RFC 9110, 15.5.6
                CHECK(response.keep_alive() == r.goes_on);
                if (r.goes_on)
                {
                    co_await v.send(good);
                    CHECK((co_await v.receive()).result_int() == 200);
                }
                else
                    CHECK(co_await v.rest() == "");
                co_await v.stream.async_shutdown();
            }
        });
}

TEST_CASE("https_server sends 100 Continue for a body within its limit, and 413 otherwise")
{
    std::string const head = "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ";
    with_server({},
                [&](asio::io_context& io, std::string const& port) -> asio::awaitable<void>
                {
                    visitor v{io, port};
                    co_await v.stream.async_connect("localhost", port);
                    co_await v.send(head + "4\r\n\r\n");
                    CHECK((co_await v.receive()).result_int() == 100);
                    co_await v.send("body");
                    CHECK((co_await v.receive()).result_int() == 405);
                    co_await v.send(head + "2000000\r\n\r\n");
                    CHECK((co_await v.receive()).result_int() == 413);
                    CHECK(co_await v.rest() == "");
                });
}

TEST_CASE("https_server answers an incomplete request with 408, and closes an idle connection silently")
{
    with_server({"--request-timeout", "1"},
                [&](asio::io_context& io, std::string const& port) -> asio::awaitable<void>
                {
                    for (std::string const begin : {"G", "GET / HTTP/1.1\r\nHost: local",
                                                    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nb"})
                    {
                        CAPTURE(begin);
                        visitor v{io, port};
                        co_await v.stream.async_connect("localhost", port);
                        co_await v.send(begin);
                        auto const response = co_await v.receive();
                        CHECK(response.result_int() == 408);
                        CHECK_FALSE(response.keep_alive());
                        CHECK(co_await v.rest() == "");
                        co_await v.stream.async_shutdown();
                    }
                    visitor silent{io, port};
                    co_await silent.stream.async_connect("localhost", port);
                    CHECK(co_await silent.rest() == "");
                    visitor idle{io, port};
                    co_await idle.stream.async_connect("localhost", port);
                    co_await idle.send(good);
                    CHECK((co_await idle.receive()).result_int() == 200);
                    CHECK(co_await idle.rest() == "");
                });
}

TEST_CASE("curl sends a body of 8 MB to https_server, and reads its 413")
{
    credentials const c;
    example_server const server{c, std::vector<std::string>{}};
    auto const body = c.directory.write("body", std::string(std::size_t{8} * 1024 * 1024, 'x'));
    auto const url = "https://localhost:" + server.port + "/";
    for (char const* framing : {"Expect:", "Transfer-Encoding: chunked"})
    {
        CAPTURE(framing);
        child client{{"curl", "--silent", "--show-error", "--ipv4", "--http1.1", "--cacert", c.ca, "--header",
                      "Expect:", "--header", framing, "--data-binary", "@" + body, "--write-out", "status %{http_code}",
                      url}};
        CHECK(client.wait() == 0);
        CHECK(client.output() == "the body is too large\nstatus 413");
    }
}

namespace {

// The request that https_client sends for a URL. PORT stands for the port of this server.
std::string request_of(std::string url, asio::ip::address const& at)
{
    credentials const c;
    auto tls = server_context({"localhost", "127.0.0.1", "::1"});
    reprise::session_cache const cache{tls, {.id_context = "test/v1"}};
    asio::io_context io;
    tcp::acceptor acceptor{executor_of(io), {at, 0}};
    url.replace(url.find("PORT"), 4, std::to_string(acceptor.local_endpoint().port()));
    auto status = std::async(std::launch::async,
                             [&]
                             {
                                 child client{{example("https_client"), url, "--ca", c.ca, "--repeat", "1"}};
                                 auto const ended = client.wait();
                                 CAPTURE(client.output());
                                 CHECK(ended == 0);
                             });
    std::string text;
    run(io,
        [&]() -> asio::awaitable<void>
        {
            server_side stream{co_await acceptor.async_accept(asio::use_awaitable), cache};
            co_await stream.async_handshake();
            beast::flat_buffer buffer;
            http::request<http::string_body> request;
            co_await http::async_read(stream, buffer, request, asio::use_awaitable);
            text = std::string{request.target()} + " of";
            auto const [first, last] = request.equal_range(http::field::host);
            for (auto host = first; host != last; ++host)
                text.append(" ").append(host->value());
            std::string_view const page = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            co_await asio::async_write(stream, asio::buffer(page), asio::transfer_all(), asio::use_awaitable);
            co_await stream.async_shutdown();
        }());
    status.get();
    auto const port = std::to_string(acceptor.local_endpoint().port());
    if (auto const found = text.find(":" + port); found != std::string::npos)
        text.replace(found + 1, port.size(), "PORT");
    return text;
}

} // namespace

TEST_CASE("https_client sends the URL's path and query as target, and its authority as Host")
{
    asio::ip::address const v4 = asio::ip::address_v4::loopback();
    asio::ip::address const v6 = asio::ip::address_v6::loopback();
    CHECK(request_of("https://[::1]:PORT", v6) == "/ of [::1]:PORT");
    CHECK(request_of("HTTPS://[::1]:PORT/x?y=z", v6) == "/x?y=z of [::1]:PORT");
    CHECK(request_of("https://127.0.0.1:PORT?a=/b", v4) == "/?a=/b of 127.0.0.1:PORT");
    CHECK(request_of("hTTps://localhost:PORT/%7Ex?y#z", v4) == "/%7Ex?y of localhost:PORT");
}

TEST_CASE("https_client names an invalid URL before it connects to any")
{
    for (std::string const url : {"http://localhost/", "localhost:8443", "https://::1:8443/", "https://[::1", ""})
    {
        CAPTURE(url);
        child client{{example("https_client"), "https://localhost:1/", url}};
        CHECK(client.wait() == 1);
        CHECK(contains(client.output(), "https_client: '" + url + "': "));
        CHECK_FALSE(contains(client.output(), "failed"));
    }
}

TEST_SUITE_END();
