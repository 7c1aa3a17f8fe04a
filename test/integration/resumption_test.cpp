// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

using namespace test;
using reprise::full_reason;
using reprise::handshake_kind;

TEST_SUITE_BEGIN("resumption");

namespace {

reprise::session_cache make_cache(asio::ssl::context& tls, kind const& k, reprise::session_cache_options options = {})
{
    options.id_context = "test/v1";
    options.tickets = k.tickets;
    set_versions(tls, k.version, k.version);
    return {tls, std::move(options)};
}

} // namespace

TEST_CASE("both ends say that a reconnect resumed, and how")
{
    for (auto const& k : kinds)
    {
        CAPTURE(k.name);
        asio::io_context io;
        auto server_tls = server_context();
        auto const cache = make_cache(server_tls, k);
        server srv{io, cache};
        auto client_tls = client_context();
        set_versions(client_tls, k.version, k.version);
        auto const store = reprise::memory_session_store::make();
        run(io,
            [&]() -> asio::awaitable<void>
            {
                reprise::client_stream<> stream{io.get_executor(), client_tls, *store};
                auto const first = co_await stream.async_connect("localhost", srv.port());
                CHECK(first.kind == handshake_kind::full);
                CHECK(first.reason == full_reason::nothing_stored);
                co_await read_all(stream);
                co_await stream.async_shutdown();
                for (int i = 0; i < 3; ++i)
                {
                    auto const next = co_await stream.async_reconnect();
                    CHECK(next.kind == handshake_kind::resumed);
                    CHECK(next.reason == full_reason::none);
                    CHECK(next.resumption == k.on_client);
                    CHECK(stream.handshake().resumption == k.on_client);
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
            }());
        REQUIRE(srv.handshakes.size() == 4);
        CHECK(srv.handshakes[0].kind == handshake_kind::full);
        CHECK(srv.handshakes[0].reason == full_reason::not_offered);
        for (std::size_t i = 1; i < 4; ++i)
            CHECK(srv.handshakes[i].resumption == k.on_server);
        CHECK(srv.failures.empty());
        auto const stats = cache.stats();
        CHECK(stats.full == 1);
        CHECK(stats.resumed == 3);
        CHECK(stats.resumed_by_kind[static_cast<std::size_t>(k.on_server)] == 3);
        CHECK(stats.lookups == (k.tickets ? 0 : 3)); // a ticket that a key opens is nobody else's business
    }
}

TEST_SUITE_END();
