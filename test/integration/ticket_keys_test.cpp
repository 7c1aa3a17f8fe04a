// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"
#include "support/ticket_keys.hpp"

#include <reprise/storage/memory_storage.hpp>

#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <map>

using namespace test;
using reprise::full_handshake_reason;
using reprise::resumption_kind;
using reprise::ticket_keys;
using reprise::testing::manual_clock;

TEST_SUITE_BEGIN("ticket_keys");

namespace {

// The kinds that are sealed into tickets.
std::vector<kind> ticket_kinds()
{
    std::vector<kind> result;
    std::ranges::copy_if(kinds, std::back_inserter(result), &kind::tickets);
    REQUIRE(result.size() == 2);
    return result;
}

// Several servers behind one port, of which the test chooses the next.
class fleet
{
public:
    explicit fleet(kind const& k) : kind_(k), client_tls_(client_context())
    {
        set_versions(client_tls_, k.version, k.version);
    }

    reprise::session_cache& add(reprise::session_cache_options options)
    {
        auto& tls = contexts_.emplace_back(asio::ssl::context::tls_server);
        tls.use_certificate_chain(asio::buffer(own_.certificate));
        tls.use_private_key(asio::buffer(own_.key), asio::ssl::context::pem);
        set_versions(tls, kind_.version, kind_.version);
        if (options.id_context.empty())
            options.id_context = "fleet/v1";
        return caches_.emplace_back(tls, std::move(options));
    }

    void run(std::function<asio::awaitable<void>()> test)
    {
        asio::co_spawn(io_, serve(), asio::detached);
        test::run(io_, test());
    }

    // The server's view of one connection.
    asio::awaitable<reprise::handshake_info> visit(std::size_t server)
    {
        next_ = server;
        auto const info = co_await stream_.async_connect("localhost", port());
        co_await read_all(stream_);
        co_await stream_.async_shutdown();
        CHECK(info.resumed() == handshakes_.back().resumed());
        co_return handshakes_.back();
    }

    // Another client, that has no session.
    asio::awaitable<reprise::handshake_info> first_visit(std::size_t server)
    {
        auto const other = reprise::memory_session_store::make();
        next_ = server;
        client_side stream{io_.get_executor(), client_tls_, *other};
        co_await stream.async_connect("localhost", port());
        co_await read_all(stream);
        co_await stream.async_shutdown();
        co_return handshakes_.back();
    }

private:
    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

    asio::awaitable<void> serve()
    {
        for (;;)
        {
            server_side stream{co_await acceptor_.async_accept(asio::use_awaitable), caches_.at(next_)};
            handshakes_.push_back(co_await stream.async_handshake());
            co_await answer_and_shut_down(stream);
        }
    }

    kind const kind_;
    reprise::testing::identity const own_ = authority().issue({"localhost"});
    asio::io_context io_;
    asio::ssl::context client_tls_;
    std::deque<asio::ssl::context> contexts_;
    std::deque<reprise::session_cache> caches_;
    std::size_t next_ = 0;
    std::vector<reprise::handshake_info> handshakes_;
    tcp::acceptor acceptor_{io_, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    std::shared_ptr<reprise::memory_session_store> store_ = reprise::memory_session_store::make();
    client_side stream_{io_.get_executor(), client_tls_, *store_};
};

// A secret manager under the test's control.
struct vault
{
    reprise::ticket_key_set keys;
    int calls = 0;

    [[nodiscard]] ticket_keys source(std::chrono::milliseconds refresh_every = 1h)
    {
        return ticket_keys::from_callback(
            [this]() -> asio::awaitable<reprise::ticket_key_set>
            {
                ++calls;
                co_return keys;
            },
            {.refresh_every = refresh_every});
    }
};

// Never says anything.
asio::awaitable<reprise::ticket_key_set> hang()
{
    asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    co_await timer.async_wait(asio::use_awaitable);
    co_return reprise::ticket_key_set{};
}

} // namespace

TEST_CASE("a ticket resumes across a rotation, is renewed by it, and ends with its key")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        manual_clock time;
        world w{{.of = k,
                 .cache = {.session_lifetime = 300s, .tickets = ticket_keys::rotating({.every = 600s}), .now = time}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream); // at 0 s
                time.advance(200s);
                CHECK((co_await w.visit(stream)).resumed());
                time.advance(250s);
                if (k.version == TLS1_3_VERSION)
                    CHECK((co_await w.visit(stream)).resumed());
                else
                    CHECK_FALSE((co_await w.visit(stream)).resumed()); // of 0 s: nothing has renewed it
                time.advance(200s);                                    // 650 s: the second key
                CHECK((co_await w.visit(stream)).resumed());           // by the first
                time.advance(299s);
                CHECK((co_await w.visit(stream)).resumed()); // by the second: it was renewed, in TLS 1.2 too
                CHECK(w.cache.tickets().steps == 3);         // the first key has gone
                time.advance(1000s);
                CHECK_FALSE((co_await w.visit(stream)).resumed());
            });
        auto const stats = w.cache.tickets();
        CHECK(stats.unknown == 1);
        CHECK(stats.opened >= 3);
        CHECK(stats.without_issuer == 0);
        CHECK(w.srv.handshakes.back().reason == full_handshake_reason::unknown_ticket_key);
    }
}

TEST_CASE("a client is told not to use a ticket longer than its key opens it")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        manual_clock time;
        vault v{.keys = {make_ticket_key(1)}};
        v.keys[0].issue_until = v.keys[0].accept_until = time.now() + 100s;
        world w{{.of = k, .cache = {.session_lifetime = 300s, .tickets = v.source(), .now = time}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                reprise::client_options options;
                options.now = time;
                auto stream = w.stream(options);
                co_await w.visit(stream);
                time.advance(98s);
                CHECK((co_await w.visit(stream)).resumed());
                time.advance(3s);
                CHECK((co_await w.visit(stream)).reason == full_handshake_reason::expired);
            });
    }
}

TEST_CASE("max_session_age holds through renewals and rotations")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        manual_clock time;
        world w{{.of = k,
                 .cache = {.session_lifetime = 2h,
                           .tickets = ticket_keys::rotating({.every = 45min}),
                           .max_session_age = 24h,
                           .now = time}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                for (int hour = 1; hour < 24; ++hour)
                {
                    time.advance(1h);
                    CHECK((co_await w.visit(stream)).resumed());
                    CHECK(w.srv.handshakes.back().session_age == std::chrono::hours{hour});
                }
                time.advance(1h);
                CHECK_FALSE((co_await w.visit(stream)).resumed());
                time.advance(1h);
                CHECK((co_await w.visit(stream)).resumed());
                CHECK(w.srv.handshakes.back().session_age == 1h);
            });
    }
}

TEST_CASE("a ticket of one server does not open at another, unless they share keys and policy")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        vault v{.keys = {make_ticket_key(1)}};
        fleet f{k};
        reprise::session_cache_options const automatic{};
        f.add(automatic);
        f.add(automatic); // a copy
        f.add({.tickets = v.source()});
        f.add({.tickets = v.source()});
        f.add({.id_context = "fleet/v2", .tickets = v.source()});
        f.run(
            [&]() -> asio::awaitable<void>
            {
                CHECK((co_await f.visit(0)).reason == full_handshake_reason::not_offered);
                CHECK((co_await f.visit(0)).resumption == k.on_server);
                CHECK((co_await f.visit(1)).reason == full_handshake_reason::unknown_ticket_key);
                CHECK((co_await f.visit(2)).reason == full_handshake_reason::unknown_ticket_key);
                CHECK((co_await f.visit(3)).resumption == k.on_server);
                CHECK((co_await f.visit(2)).resumption == k.on_server);
                CHECK((co_await f.visit(4)).reason == full_handshake_reason::policy_differs);
                CHECK((co_await f.visit(3)).reason == full_handshake_reason::policy_differs);
            });
    }
}

TEST_CASE("a ticket of a key that another server was told first opens at once")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        manual_clock time;
        vault v{.keys = {make_ticket_key(1)}};
        fleet f{k};
        auto& first = f.add({.tickets = v.source(), .now = time});
        auto& second = f.add({.tickets = v.source(), .now = time});
        f.run(
            [&]() -> asio::awaitable<void>
            {
                co_await first.refresh_ticket_keys();
                co_await second.refresh_ticket_keys();
                time.advance(2s);
                v.keys.push_back(make_ticket_key(2));
                v.keys.back().not_before = time.now() - 1s;
                co_await first.refresh_ticket_keys();
                co_await f.visit(0);
                auto const calls = v.calls;
                CHECK((co_await f.visit(1)).resumption == k.on_server); // it has asked
                CHECK(v.calls == calls + 1);
                CHECK((co_await f.visit(1)).resumption == k.on_server);
                CHECK(v.calls == calls + 1);
            });
        CHECK(second.tickets().unknown == 0);
    }
}

TEST_CASE("strangers' tickets do not make a server ask its source all the time")
{
    auto const k = kinds[2];
    REQUIRE(k.tickets);
    manual_clock time;
    vault v{.keys = {make_ticket_key(1)}};
    fleet f{k};
    f.add({.tickets = v.source(), .now = time});
    f.add({}); // of a stranger
    f.run(
        [&]() -> asio::awaitable<void>
        {
            co_await f.visit(0);
            CHECK(v.calls == 1);
            for (int i = 0; i < 5; ++i)
            {
                co_await f.visit(1);
                CHECK((co_await f.visit(0)).reason == full_handshake_reason::unknown_ticket_key);
            }
            CHECK(v.calls == 1);
            time.advance(1s);
            co_await f.visit(1);
            co_await f.visit(0);
            CHECK(v.calls == 2);
        });
}

TEST_CASE("without a key, sessions are remembered; with one, tickets come back")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        manual_clock time;
        vault v;
        world w{{.of = k, .cache = {.tickets = v.source(), .now = time}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).resumed());
                CHECK((co_await w.visit(stream)).resumed());
                CHECK(w.cache.tickets().without_issuer == 3);
                CHECK_FALSE(w.cache.tickets().can_issue);
                v.keys = {make_ticket_key(1)};
                co_await w.cache.refresh_ticket_keys();
                co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).resumed());
                CHECK(w.srv.handshakes.back().resumption == k.on_server);
                CHECK(w.cache.tickets().without_issuer == 3);

                // What a key that has stopped issuing has sealed still opens; nothing is renewed.
                v.keys[0].issue_until = time.now();
                co_await w.cache.refresh_ticket_keys();
                auto const issued = w.cache.tickets().issued;
                CHECK((co_await w.visit(stream)).resumed());
                CHECK(w.srv.handshakes.back().resumption == k.on_server);
                CHECK(w.cache.tickets().issued == issued);
                CHECK(w.cache.tickets().without_issuer == 3);
            });
        auto const remembered =
            k.version == TLS1_2_VERSION ? resumption_kind::tls12_session_id : resumption_kind::tls13_stateful;
        CHECK(w.srv.handshakes.at(1).resumption == remembered);
        CHECK(w.srv.handshakes.at(2).resumption == remembered);
        CHECK(w.srv.failures.empty());
    }
}

TEST_CASE("without a key and without a storage, every handshake runs in full")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        vault v;
        world w{{.of = k, .cache = {.mode = reprise::cache_mode::off, .tickets = v.source()}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).reason == full_handshake_reason::not_resumable);
            });
        CHECK(w.cache.tickets().without_issuer == 2);
        CHECK(w.cache.stats().stored == 0);
        CHECK(w.srv.failures.empty());
    }
}

TEST_CASE("a source that hangs costs a handshake its lookup deadline at most, and no other handshake anything")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        manual_clock time; // stands still, so the source is asked once
        world w{{.of = k,
                 .cache = {.tickets = ticket_keys::from_callback(hang, {.fetch_timeout = 60ms}),
                           .lookup_timeout = 5ms,
                           .now = time}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).resumed()); // remembered
                while (w.cache.tickets().failed_refreshes == 0)
                    co_await w.visit(stream);
            });
        CHECK(w.cache.tickets().failed_refreshes == 1);
        CHECK(w.cache.ticket_key_error().find("source of the ticket keys") != std::string::npos);
        CHECK(w.srv.failures.empty());
    }
}

TEST_CASE("handshakes bring the keys up to date behind their back")
{
    auto const k = kinds[2];
    manual_clock time;
    vault v{.keys = {make_ticket_key(1)}};
    world w{{.of = k, .cache = {.tickets = v.source(60s), .now = time}}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            v.keys.push_back(make_ticket_key(2));
            v.keys.back().not_before = time.now();
            CHECK((co_await w.visit(stream)).resumed());
            CHECK(w.cache.tickets().keys == 1);
            time.advance(60s);
            CHECK((co_await w.visit(stream)).resumed());
            CHECK((co_await w.visit(stream)).resumed());
            CHECK(w.cache.tickets().keys == 2);
            CHECK(v.calls == 2);
        });
}

TEST_CASE("a plain asio::ssl::stream seals with the rotating keys as well")
{
    for (auto const& k : ticket_kinds())
    {
        CAPTURE(std::string{k.name});
        manual_clock time;
        asio::io_context io;
        auto tls = server_context();
        set_versions(tls, k.version, k.version);
        reprise::session_cache const cache{
            tls, {.id_context = "plain/v1", .tickets = ticket_keys::rotating({.every = 200s}), .now = time}};
        auto client_tls = client_context();
        set_versions(client_tls, k.version, k.version);
        auto const store = reprise::memory_session_store::make();
        tcp::acceptor acceptor{executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        auto const serve = [&](int count) -> asio::awaitable<void>
        {
            for (int i = 0; i < count; ++i)
            {
                asio::ssl::stream<tcp::socket> stream{co_await acceptor.async_accept(asio::use_awaitable), tls};
                co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
                co_await asio::async_write(stream, asio::buffer("!", 1), asio::use_awaitable);
                (void)co_await stream.async_shutdown(asio::as_tuple(asio::use_awaitable));
            }
        };
        asio::co_spawn(executor_of(io), serve(4), asio::detached);
        auto const test = [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), client_tls, *store};
            auto const visit = [&]() -> asio::awaitable<bool>
            {
                auto const info =
                    co_await stream.async_connect("localhost", std::to_string(acceptor.local_endpoint().port()));
                co_await read_all(stream);
                co_await stream.async_shutdown();
                co_return info.resumed();
            };
            CHECK_FALSE(co_await visit());
            time.advance(199s);
            CHECK(co_await visit());
            time.advance(100s);
            CHECK(co_await visit() == true);
            CHECK(cache.tickets().steps == 2);
            time.advance(1000s);
            CHECK_FALSE(co_await visit());
        };
        test::run(io, test());
    }
}

TEST_SUITE_END();
