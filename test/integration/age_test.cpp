// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("age");

namespace {

reprise::client_options client_clock(reprise::testing::manual_clock const& time, std::chrono::seconds max_age = 24h)
{
    reprise::client_options options;
    options.now = time;
    options.max_session_age = max_age;
    return options;
}

} // namespace

TEST_CASE("renewals do not extend a session beyond the server's max_session_age")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        reprise::testing::manual_clock time;
        world w{{.of = k, .cache = {.session_lifetime = 24h, .max_session_age = 300s, .now = time}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                for (int i = 0; i < 2; ++i)
                {
                    time.advance(140s);
                    auto const info = co_await w.visit(stream);
                    CHECK(info.resumed());
                }
                time.advance(25s); // 305 s after the full handshake, 25 s after the last renewal
                CHECK_FALSE((co_await w.visit(stream)).resumed());
                time.advance(140s);
                CHECK((co_await w.visit(stream)).resumed()); // the new full handshake counts anew
            });
        REQUIRE(w.srv.handshakes.size() == 5);
        CHECK(w.srv.handshakes[2].session_age == 280s);
        bool const remembered = !k.tickets; // what the storage has dropped is unknown, what a ticket says is known
        CHECK(w.srv.handshakes[3].reason ==
              (remembered ? full_handshake_reason::unknown_session : full_handshake_reason::expired));
        CHECK(w.srv.handshakes[4].resumption == k.on_server);
    }
}

TEST_CASE("renewals do not extend a session beyond the client's max_session_age")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        reprise::testing::manual_clock time;
        world w{{.of = k, .cache = {.session_lifetime = 24h}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream(client_clock(time, 300s));
                co_await w.visit(stream);
                time.advance(200s);
                auto const info = co_await w.visit(stream);
                CHECK(info.resumed());
                CHECK(info.session_age == 200s);
                time.advance(101s);
                CHECK((co_await w.visit(stream)).reason == full_handshake_reason::age_cap);
            });
    }
}

TEST_CASE("an expired session is not offered")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        reprise::testing::manual_clock time;
        world w{{.of = k, .cache = {.session_lifetime = 60s, .now = time}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream(client_clock(time));
                co_await w.visit(stream);
                time.advance(61s);
                auto const info = co_await w.visit(stream);
                CHECK_FALSE(info.resumed());
                // A TLS 1.2 server says nothing of how long it remembers an id; OpenSSL's client assumes 2 hours.
                CHECK(info.reason == (k.version == TLS1_2_VERSION && !k.tickets ? full_handshake_reason::declined
                                                                                : full_handshake_reason::expired));
            });
    }
}

TEST_CASE("a session does not outlive the server's certificate")
{
    reprise::testing::manual_clock time;
    auto const own = authority().issue({"localhost"}, 1h);
    world w{{.of = kinds[3],
             .cache = {.session_lifetime = 24h, .max_session_age = 72h},
             .configure = [&](asio::ssl::context& tls)
             {
                 tls.use_certificate_chain(asio::buffer(own.certificate));
                 tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
             }}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(client_clock(time, 72h));
            co_await w.visit(stream);
            time.advance(59min);
            CHECK((co_await w.visit(stream)).resumed());
            time.advance(2min);
            CHECK((co_await w.visit(stream)).reason == full_handshake_reason::chain_expired);
        });
}

TEST_CASE("flush drops what has expired and says how much it was")
{
    reprise::testing::manual_clock time;
    world w{{.of = kinds[3], .cache = {.session_lifetime = 60s, .now = time}}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            co_await w.cache.drain();
            CHECK(w.cache.stats().entries == 1);
            CHECK((co_await w.cache.flush()) == 0);
            time.advance(61s);
            CHECK((co_await w.cache.flush()) == 1);
            CHECK(w.cache.stats().entries == 0);
            CHECK(w.cache.stats().expired == 1);
            CHECK((co_await w.visit(stream)).reason == full_handshake_reason::declined);
        });
    CHECK(w.srv.handshakes.at(1).reason == full_handshake_reason::unknown_session);
}

TEST_SUITE_END();
