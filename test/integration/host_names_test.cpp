// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a host may be is in test/client/peer_name_test.cpp; here is what becomes of it on a connection.

#include "support/harness.hpp"

#include <reprise/explain.hpp>

#include <openssl/x509v3.h>

using namespace test;
using reprise::errc;

TEST_SUITE_BEGIN("host names");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

// A server whose certificate is for nobody whom the tests ask for.
struct elsewhere
{
    elsewhere() : tls(server_context({"elsewhere.test"})), srv(io, reprise::session_cache{tls, {.id_context = "names"}})
    {
    }

    asio::io_context io;
    asio::ssl::context tls;
    asio::ssl::context client_tls = client_context();
    std::shared_ptr<reprise::memory_session_store> store = reprise::memory_session_store::make();
    server srv;
};

asio::awaitable<tcp::socket> socket_to(tcp::endpoint at)
{
    tcp::socket socket{co_await asio::this_coro::executor};
    co_await socket.async_connect(at, asio::use_awaitable);
    co_return socket;
}

} // namespace

TEST_CASE("a host that is none is refused before anything is sent, with an error that names it")
{
    elsewhere e;
    std::vector const endpoints{e.srv.endpoint()};
    run(e.io,
        [&]() -> asio::awaitable<void>
        {
            for (std::string const host : {"", ".test", "a b", "localhost:443"})
            {
                client_side stream{executor_of(e.io), e.client_tls, *e.store};
                auto const [by_name, info] = co_await stream.async_connect(host, e.srv.port(), as_tuple);
                CHECK(by_name == errc::bad_host);
                CHECK(info.failure.find("'" + host + "'") != std::string::npos);
                CHECK(stream.handshake().failure == info.failure);
                auto const [by_address, none] =
                    co_await stream.async_connect(host, port_of(endpoints), {.endpoints = endpoints}, as_tuple);
                CHECK(by_address == errc::bad_host);
                auto const connected = co_await socket_to(e.srv.endpoint());
                std::string what;
                try
                {
                    co_await stream.async_connect(host, e.srv.port());
                }
                catch (reprise::system_error const& error)
                {
                    what = error.what();
                }
                CHECK(what.find("'" + host + "'") != std::string::npos);
                CHECK(stream.key().host.empty());
            }
            // On a socket of the caller's as well: OpenSSL would check no name.
            auto socket = co_await socket_to(e.srv.endpoint());
            client_side::next_layer_type layer{std::move(socket)};
            client_side stream{std::move(layer), e.client_tls, *e.store};
            auto const [ec, info] = co_await stream.async_handshake("", "443", as_tuple);
            CHECK(ec == errc::bad_host);
        }());
    CHECK(e.srv.handshakes.empty());
}

TEST_CASE("a service that is none is refused, and no endpoint is no address")
{
    world w{};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            for (std::string const service : {"", "0", "65536", "https ", "-1"})
            {
                auto const [ec, info] = co_await stream.async_connect("localhost", service, as_tuple);
                CHECK(ec == errc::bad_service);
                CHECK(info.failure.find("'" + service + "'") != std::string::npos);
            }
            std::vector<tcp::endpoint> const none;
            CHECK(std::get<0>(co_await stream.async_connect("localhost", "443", {.endpoints = none}, as_tuple)) ==
                  asio::error::not_found);
            CHECK(std::get<0>(co_await stream.async_reconnect(as_tuple)) == asio::error::not_found);
            CHECK_THROWS_AS((void)co_await reprise::explain("a b", "443", w.client_tls, *w.store),
                            reprise::system_error);
        });
    CHECK(w.srv.handshakes.empty());
}

TEST_CASE("an absolute name is verified and sent without its dot, and shares its sessions with the name")
{
    world w{};
    std::vector<std::string> asked;
    std::vector const endpoints{w.srv.endpoint()};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            for (std::string const host : {"localhost.", "localhost", "LocalHost."})
            {
                auto const info = co_await stream.async_connect(host, port_of(endpoints), {.endpoints = endpoints});
                CHECK(info.resumed() == (host != "localhost."));
                CHECK(std::string{SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name)} ==
                      "localhost");
                CHECK(stream.key().host == "localhost");
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }
            CHECK((co_await stream.async_connect("localhost.", "0" + w.srv.port())).resumed()); // by the resolver's way
            stream.close();
        });
    for (std::size_t i = 1; i < w.srv.handshakes.size(); ++i)
        CHECK(w.srv.handshakes.at(i).resumed());
}

TEST_CASE("an address is verified without its zone, whose sessions are its own")
{
    auto tls = server_context({"::1", "127.0.0.1"});
    asio::io_context io;
    reprise::session_cache const cache{tls, {.id_context = "zones"}};
    tcp::acceptor acceptor{executor_of(io)};
    error_code no_v6;
    acceptor.open(tcp::v6(), no_v6);
    if (!no_v6)
        acceptor.bind({asio::ip::address_v6::loopback(), 0}, no_v6);
    REQUIRE_MESSAGE(!no_v6, "this machine has no ::1");
    acceptor.listen();
    auto const port = std::to_string(acceptor.local_endpoint().port());
    auto const serve = [&]() -> asio::awaitable<void>
    {
        for (;;)
        {
            auto socket = co_await acceptor.async_accept(asio::use_awaitable);
            server_side::next_layer_type layer{std::move(socket)};
            server_side stream{std::move(layer), cache};
            (void)co_await stream.async_handshake(as_tuple);
            co_await answer_and_shut_down(stream);
        }
    };
    asio::co_spawn(executor_of(io), serve(), asio::detached);
    auto client_tls = client_context();
    auto const store = reprise::memory_session_store::make();
    run(io,
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), client_tls, *store};
            for (auto const& [host, resumes] : std::vector<std::pair<std::string, bool>>{
                     {"::1", false}, {"[::1]", true}, {"::1%lo", false}, {"::1%lo", true}})
            {
                auto const [ec, info] = co_await stream.async_connect(host, port, as_tuple);
                CHECK_MESSAGE(!ec, host, ": ", ec.message(), " ", info.failure);
                CHECK(info.resumed() == resumes);
                CHECK(SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name) == nullptr);
                if (ec)
                    continue;
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }
        }());
}

TEST_CASE("what the caller's context demands of a certificate's name stays as it is")
{
    elsewhere e;
    auto* const param = SSL_CTX_get0_param(e.client_tls.native_handle());
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    std::vector const endpoints{e.srv.endpoint()};
    run(e.io,
        [&]() -> asio::awaitable<void>
        {
            {
                client_side stream{executor_of(e.io), e.client_tls, *e.store};
                CHECK(std::get<0>(co_await stream.async_connect("localhost", port_of(endpoints),
                                                                {.endpoints = endpoints}, as_tuple)));
                auto* const used = SSL_get0_param(stream.native_handle());
                CHECK((X509_VERIFY_PARAM_get_hostflags(used) & X509_CHECK_FLAG_NEVER_CHECK_SUBJECT) != 0);
                CHECK((X509_VERIFY_PARAM_get_hostflags(used) & X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS) != 0);
            }
            REQUIRE(X509_VERIFY_PARAM_set1_host(param, "elsewhere.test", 0) == 1);
            {
                client_side stream{executor_of(e.io), e.client_tls, *e.store};
                auto const [ec, info] =
                    co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints}, as_tuple);
                CHECK_MESSAGE(!ec, ec.message());
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }
            // An option of the stream is the caller's later word.
            reprise::client_options options;
            options.server_name = "other.test";
            client_side stream{executor_of(e.io), e.client_tls, *e.store, options};
            CHECK(std::get<0>(
                co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints}, as_tuple)));
        }());
}

TEST_CASE("a server name that is none, and a proxy that is none, are refused at construction")
{
    world w{};
    auto const refused = [&](reprise::client_options const& options, std::string const& part)
    {
        try
        {
            (void)w.stream(options);
        }
        catch (reprise::system_error const& e)
        {
            CHECK(e.code() == errc::bad_option);
            std::string const what = e.what();
            CAPTURE(what);
            CHECK(what.find(part) != std::string::npos);
            return;
        }
        FAIL_CHECK("it was accepted: ", part);
    };
    refused({.server_name = "127.0.0.1"}, "client_options::server_name: host '127.0.0.1'");
    refused({.server_name = "a..b"}, "client_options::server_name: host 'a..b'");
    refused({.proxy = reprise::http_proxy{"a b", "3128"}}, "client_options::proxy: host 'a b'");
    refused({.proxy = reprise::http_proxy{"proxy.test", "0"}}, "client_options::proxy: service '0'");
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream({.server_name = "A.Test."});
            std::vector const endpoints{w.srv.endpoint()};
            co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints});
            CHECK(stream.key().server_name == "a.test");
            stream.close();
        });
}

TEST_SUITE_END();
