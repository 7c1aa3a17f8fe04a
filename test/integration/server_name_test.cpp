// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/accept_each.hpp"
#include "support/any_key_store.hpp"
#include "support/harness.hpp"

#include <optional>
#include <string>
#include <vector>

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("server names");

namespace {

// A client that offers what it has, whatever name it asks for. The certificate is good for all of them.
struct names
{
    explicit names(kind const& k) : of(k), tls(server_context({"a.test", "b.test"}))
    {
        set_versions(tls, k.version, k.version);
        set_versions(client_tls, k.version, k.version);
    }

    // Nothing for the SNI: it says none.
    asio::awaitable<reprise::handshake_info> visit(tcp::endpoint to, std::string sni)
    {
        if (store->sessions.empty() && last) // of TLS 1.2, which may be used again
            store->sessions.push_front(*last);
        reprise::client_options options;
        options.server_name = sni;
        client_side stream{executor_of(io), client_tls, *store, options};
        std::vector const endpoints{to};
        auto const info = co_await stream.async_connect("a.test", port_of(endpoints), {.endpoints = endpoints});
        co_await read_all(stream);
        co_await stream.async_shutdown();
        if (!store->sessions.empty())
            last = store->sessions.front();
        co_return info;
    }

    kind const& of;
    asio::io_context io;
    asio::ssl::context tls;
    asio::ssl::context client_tls = client_context();
    std::shared_ptr<any_key_store> store = any_key_store::make();
    std::optional<reprise::session> last{};
};

} // namespace

TEST_CASE("a session is not resumed under another server name than it was made under, every kind")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        names n{k};
        reprise::session_cache const cache{n.tls, {.id_context = "names/v1", .tickets = k.tickets}};
        server srv{n.io, cache};
        auto const visit = [&](std::string sni) -> asio::awaitable<void>
        {
            auto const info = co_await n.visit(srv.endpoint(), std::move(sni));
            CHECK(info.resumed() == srv.handshakes.back().resumed());
        };
        run(n.io,
            [&]() -> asio::awaitable<void>
            {
                for (char const* sni : {"a.test", "a.test", "A.TEST", "b.test", "b.test", "", "", "a.test"})
                    co_await visit(sni);
            }());
        REQUIRE(srv.handshakes.size() == 8);
        for (std::size_t const i : {1u, 2u, 4u, 6u})
            CHECK(srv.handshakes[i].resumption == k.on_server);
        CHECK(srv.handshakes[0].reason == full_handshake_reason::not_offered);
        for (std::size_t const i : {3u, 5u, 7u})
        {
            CAPTURE(i);
            CHECK_FALSE(srv.handshakes[i].resumed());
            CHECK(srv.handshakes[i].reason == full_handshake_reason::name_differs);
        }
    }
}

TEST_CASE("nor is one of a plain asio::ssl::stream on a context with a cache")
{
    for (auto const& k : kinds)
    {
        if (!k.tickets) // a plain stream asks no storage
            continue;
        CAPTURE(std::string{k.name});
        names n{k};
        reprise::session_cache const cache{n.tls, {.id_context = "names/v1"}};
        tcp::acceptor acceptor{executor_of(n.io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        std::vector<bool> resumed;
        auto const answer = [&](tcp::socket socket) -> asio::awaitable<void>
        {
            asio::ssl::stream<tcp::socket> stream{std::move(socket), n.tls};
            co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
            resumed.push_back(::SSL_session_reused(stream.native_handle()) == 1);
            co_await asio::async_write(stream, asio::buffer("!", 1), asio::use_awaitable);
            (void)co_await stream.async_shutdown(asio::as_tuple(asio::use_awaitable));
        };
        asio::co_spawn(executor_of(n.io), accept_each(acceptor, answer), asio::detached);
        run(n.io,
            [&]() -> asio::awaitable<void>
            {
                for (char const* sni : {"a.test", "a.test", "b.test", "b.test", "", "", "a.test"})
                    (void)co_await n.visit(acceptor.local_endpoint(), sni);
                acceptor.close();
            }());
        CHECK(resumed == std::vector{false, true, false, true, false, true, false});
    }
}

TEST_SUITE_END();
