// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

using namespace test;
using reprise::full_handshake_reason;
using reprise::handshake_kind;

TEST_SUITE_BEGIN("resumption");

TEST_CASE("both ends say that a reconnect resumed, and how")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                auto const first = co_await w.visit(stream);
                CHECK(first.kind == handshake_kind::full);
                CHECK(first.reason == full_handshake_reason::nothing_stored);
                for (int i = 0; i < 3; ++i)
                {
                    auto const next = co_await stream.async_reconnect();
                    CHECK(next.kind == handshake_kind::resumed);
                    CHECK(next.reason == full_handshake_reason::none);
                    CHECK(next.resumption == k.on_client);
                    CHECK(next.session_age.has_value());
                    CHECK(stream.handshake().resumption == k.on_client);
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
            });
        REQUIRE(w.srv.handshakes.size() == 4);
        CHECK(w.srv.handshakes[0].kind == handshake_kind::full);
        CHECK(w.srv.handshakes[0].reason == full_handshake_reason::not_offered);
        for (std::size_t i = 1; i < 4; ++i)
            CHECK(w.srv.handshakes[i].resumption == k.on_server);
        CHECK(w.srv.failures.empty());
        auto const stats = w.cache.stats();
        CHECK(stats.full == 1);
        CHECK(stats.resumed == 3);
        CHECK(stats.resumed_by_kind[static_cast<std::size_t>(k.on_server)] == 3);
        CHECK(stats.lookups == (k.tickets ? 0 : 3)); // a ticket that a key opens is nobody else's business
    }
}

TEST_CASE("with everything on, TLS 1.3 and its stateless tickets are used")
{
    auto any = kinds[2];
    world w{{.of = any, .configure = [](auto& tls) { set_versions(tls, TLS1_2_VERSION, TLS1_3_VERSION); }}};
    set_versions(w.client_tls, TLS1_2_VERSION, TLS1_3_VERSION);
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            CHECK((co_await w.visit(stream)).resumed());
        });
    CHECK(w.srv.handshakes.at(1).resumption == reprise::resumption_kind::tls13_stateless);
    CHECK(w.cache.stats().lookups == 0); // the compatibility session id of a TLS 1.3 client is not looked up
}

TEST_CASE(
    "exactly this session is resumed where the caller says so; a stateful ticket once, and then both ends say why")
{
    world w{{.of = kinds[3]}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            std::optional<reprise::session> ticket;
            auto stream = w.stream();
            (void)co_await stream.async_connect("localhost", w.srv.port());
            co_await read_all(stream);
            auto const* live = ::SSL_get_session(stream.native_handle());
            ticket = reprise::session::snapshot(live, reprise::session_origin::of_full_handshake(
                                                          stream.native_handle(), std::chrono::system_clock::now()));
            co_await stream.async_shutdown();
            REQUIRE(ticket);
            auto const once = co_await stream.async_connect("localhost", w.srv.port(), {.exactly = &*ticket});
            CHECK(once.resumed());
            co_await read_all(stream);
            co_await stream.async_shutdown();
            auto const twice = co_await stream.async_connect("localhost", w.srv.port(), {.exactly = &*ticket});
            CHECK_FALSE(twice.resumed());
            CHECK(twice.reason == full_handshake_reason::declined);
            co_await read_all(stream);
            co_await stream.async_shutdown();
        });
    CHECK(w.srv.handshakes.at(2).reason == full_handshake_reason::unknown_session);
}

TEST_CASE("servers that verify their clients resume as well")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k,
                 .configure = [](asio::ssl::context& tls)
                 {
                     tls.add_certificate_authority(asio::buffer(authority().pem()));
                     tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
                 }}};
        auto const own = authority().issue({"client.test"});
        w.client_tls.use_certificate_chain(asio::buffer(own.certificate));
        w.client_tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).resumed());
            });
        CHECK(w.srv.handshakes.at(1).resumption == k.on_server);
        CHECK(w.srv.failures.empty());
    }
}

TEST_CASE("a session does not cross to a server with another id context or another certificate")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        // The same context, hence the same ticket keys, but another policy from here on.
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                auto const own = authority().issue({"localhost"});
                w.server_tls.use_certificate_chain(asio::buffer(own.certificate));
                w.server_tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
                CHECK((co_await w.visit(stream)).reason == full_handshake_reason::declined);
            });
        CHECK(w.srv.handshakes.at(1).reason == full_handshake_reason::policy_differs);
    }
}

TEST_CASE("a handshake that needs a HelloRetryRequest resumes")
{
    for (auto const& k : {kinds[2], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k,
                 .configure = [](auto& tls) { REQUIRE(SSL_CTX_set1_groups_list(tls.native_handle(), "P-384") == 1); }}};
        REQUIRE(SSL_CTX_set1_groups_list(w.client_tls.native_handle(), "X25519:P-384") == 1);
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).resumed());
                CHECK((co_await w.visit(stream)).resumed());
            });
        CHECK(w.srv.handshakes.at(2).resumption == k.on_server);
        CHECK(w.cache.stats().lookups == (k.tickets ? 0 : 2));
    }
}

TEST_CASE("openssl_internal and off do what OpenSSL does")
{
    using reprise::cache_mode;
    for (auto const& k : kinds)
        for (auto const mode :
             {cache_mode::openssl_internal, cache_mode::off, cache_mode::openssl_internal | cache_mode::no_auto_flush,
              cache_mode::openssl_internal | cache_mode::no_internal_store})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<unsigned>(mode));
            world w{{.of = k, .cache = {.mode = mode}}};
            bool const remembers = has(mode, cache_mode::openssl_internal) && !has(mode, cache_mode::no_internal_store);
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream();
                    co_await w.visit(stream);
                    CHECK((co_await w.visit(stream)).resumed() == (k.tickets || remembers));
                });
            CHECK(w.srv.handshakes.at(1).resumed() == (k.tickets || remembers));
            CHECK(w.srv.failures.empty());
        }
}

TEST_SUITE_END();
