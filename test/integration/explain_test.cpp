// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <reprise/explain.hpp>
#include <reprise/handshake_counters.hpp>

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("explain");

namespace {

bool contains(std::string const& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

reprise::explanation ask(world& w, reprise::client_options options = {})
{
    reprise::explanation result;
    w.io.restart();
    w.run(
        [&]() -> asio::awaitable<void>
        { result = co_await reprise::explain("localhost", w.srv.port(), w.client_tls, *w.store, std::move(options)); });
    return result;
}

void visit(world& w, reprise::client_options options = {})
{
    w.io.restart();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(std::move(options));
            co_await w.visit(stream);
        });
}

} // namespace

TEST_CASE("what would be offered is told, and is there afterwards")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        auto const before = ask(w);
        CHECK(before.reason == full_handshake_reason::nothing_stored);
        CHECK_FALSE(before.candidate);
        CHECK(contains(to_string(before), "full handshake: nothing-stored"));
        visit(w);
        auto const after = ask(w);
        CHECK(after.reason == full_handshake_reason::none);
        REQUIRE(after.candidate);
        CHECK(after.time_left > 290s);
        if (k.tickets || k.version == TLS1_3_VERSION) // for an id the server says nothing, and OpenSSL assumes
            CHECK(after.time_left <= 300s);           // otherwise
        CHECK(contains(to_string(after), k.version == TLS1_3_VERSION ? "a TLS 1.3 ticket is offered"
                                         : k.tickets                 ? "a TLS 1.2 ticket is offered"
                                                                     : "a TLS 1.2 session id is offered"));
        CHECK(contains(to_string(after), "localhost:" + w.srv.port()));
        CHECK(w.store->size() == 1);
        CHECK(w.srv.handshakes.size() == 1); // nothing was sent
        visit(w);
        CHECK(w.srv.handshakes.back().resumption == k.on_server);
    }
}

TEST_CASE("why nothing would be offered is told, for each reason that a client has before it connects")
{
    world w{{.of = kinds[2]}};
    visit(w);
    auto const reason = [&](auto change)
    {
        reprise::client_options options;
        change(options);
        auto const e = ask(w, std::move(options));
        CHECK_FALSE(e.candidate);
        CHECK(contains(to_string(e), reprise::to_string(e.reason)));
        CHECK(contains(to_string(e), reprise::advice(e.reason)));
        return e.reason;
    };
    CHECK(reason([](auto& o) { o.policy_tag = "other"; }) == full_handshake_reason::policy_differs);
    CHECK(reason([](auto& o) { o.alpn = {"h2"}; }) == full_handshake_reason::policy_differs);
    CHECK(reason([](auto& o) { o.partition = "other"; }) == full_handshake_reason::nothing_stored); // nobody's business
    CHECK(reason([](auto& o) { o.server_name = "a.test"; }) == full_handshake_reason::nothing_stored);
    CHECK(w.store->size() == 1);
    reprise::testing::manual_clock later;
    later.advance(301s);
    CHECK(reason([&](auto& o) { o.now = later; }) == full_handshake_reason::expired);
    CHECK(reason([](auto&) {}) == full_handshake_reason::tickets_in_use); // the expired one is gone
    SSL_CTX_set_tlsext_status_type(w.client_tls.native_handle(), TLSEXT_STATUSTYPE_ocsp);
    SSL_CTX_set_tlsext_status_cb(w.client_tls.native_handle(), +[](SSL*, void*) { return 1; });
    CHECK(reason([](auto&) {}) == full_handshake_reason::unrepeatable);
}

TEST_CASE("every reason has advice and a name of its own")
{
    for (std::size_t i = 0; i < reprise::full_reason_count; ++i)
    {
        auto const reason = static_cast<full_handshake_reason>(i);
        CAPTURE(i);
        CHECK(reprise::to_string(reason) != "unknown");
        CHECK(reprise::advice(reason) != "");
        for (std::size_t j = 0; j < i; ++j)
            CHECK(reprise::to_string(static_cast<full_handshake_reason>(j)) != reprise::to_string(reason));
    }
}

TEST_CASE("an observer hears of handshakes, failures and sessions, on both ends")
{
    auto const at_client = std::make_shared<reprise::handshake_counters>();
    auto const at_server = std::make_shared<reprise::handshake_counters>();
    world w{{.of = kinds[2], .cache = {.observer = at_server}}};
    reprise::client_options options;
    options.observer = at_client;
    visit(w, options);
    visit(w, options);
    visit(w, options);
    options.server_name = "wrong.test"; // the certificate is not for that
    w.io.restart();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            auto const [ec, info] =
                co_await stream.async_connect("localhost", w.srv.port(), asio::as_tuple(asio::use_awaitable));
            CHECK(ec);
            while (w.srv.failures.empty())
                co_await asio::post(asio::use_awaitable);
        });
    for (auto const& counters : {at_client, at_server})
    {
        auto const counts = counters->counts();
        CHECK(counts.full == 1);
        CHECK(counts.resumed == 2);
        CHECK(counts.failed == 1);
    }
    CHECK(at_client->counts().sessions == 3);
    CHECK(at_server->counts().sessions == 0); // its tickets are kept by nobody else
    auto const client = at_client->counts();
    CHECK(client.full_by_reason.at(static_cast<std::size_t>(full_handshake_reason::nothing_stored)) == 1);
    CHECK(client.resumed_by_kind.at(static_cast<std::size_t>(reprise::resumption_kind::tls13_ticket)) == 2);
    auto const server = at_server->counts();
    CHECK(server.full_by_reason.at(static_cast<std::size_t>(full_handshake_reason::not_offered)) == 1);
    CHECK(server.resumed_by_kind.at(static_cast<std::size_t>(reprise::resumption_kind::tls13_stateless)) == 2);
}

TEST_SUITE_END();
