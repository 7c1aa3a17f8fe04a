// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/await.hpp"
#include "support/session_scopes.hpp"
#include "support/sessions.hpp"

#include <reprise/error.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace reprise;
using namespace std::chrono_literals;
using test::key_of_host;
using test::make_session;
using test::now;

TEST_SUITE_BEGIN("memory_session_store");

namespace {

SSL_SESSION const* id_of(std::optional<session> const& s)
{
    return s ? s->native_handle() : nullptr;
}

} // namespace

TEST_CASE("TLS 1.3 tickets are handed out newest first, each once")
{
    auto const store = memory_session_store::make();
    auto const key = key_of_host("a");
    auto const old = make_session();
    auto const fresh = make_session();
    now(store->insert(key, old));
    now(store->insert(key, fresh));
    CHECK(store->size() == 2);
    CHECK(id_of(now(store->take(key)).ticket) == fresh.native_handle());
    CHECK(id_of(now(store->take(key)).ticket) == old.native_handle());
    CHECK_FALSE(now(store->take(key)).ticket.has_value());
    CHECK(store->size() == 0);
    CHECK(store->bytes() == 0);
}

TEST_CASE("a TLS 1.2 session may be used again, and the newest takes the place of the others")
{
    auto const store = memory_session_store::make();
    auto const key = key_of_host("a");
    auto const old = make_session({.version = TLS1_2_VERSION});
    auto const fresh = make_session({.version = TLS1_2_VERSION, .ticket = false});
    now(store->insert(key, old));
    now(store->insert(key, fresh));
    CHECK(store->size() == 1);
    for (int i = 0; i < 3; ++i)
        CHECK(id_of(now(store->take(key)).ticket) == fresh.native_handle());
    now(store->insert(key, make_session())); // the peer speaks TLS 1.3 now
    CHECK(store->size() == 1);
    CHECK(now(store->take(key)).ticket->protocol() == tls_version::tls13);
    CHECK_FALSE(now(store->take(key)).ticket.has_value());
}

TEST_CASE("sessions never cross to a key that differs in anything")
{
    auto const key = test::full_key();
    auto const store = memory_session_store::make();
    now(store->insert(key, make_session()));
    for (auto const& other : test::differing_keys())
    {
        CAPTURE(other.host);
        CHECK(other != key);
        CHECK_FALSE(now(store->take(other)).ticket.has_value());
        CHECK(now(store->remove(other)) == 0);
    }
    CHECK(now(store->take(key)).ticket.has_value());
}

TEST_CASE("an expired session is not handed out, and goes when it is asked for")
{
    testing::manual_clock time;
    auto const store = memory_session_store::make({.now = time});
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        auto const key = key_of_host("a");
        now(store->insert(key, make_session({.version = version, .lifetime = 60s, .issued = time.now()})));
        now(store->insert(key, make_session({.version = version, .lifetime = 90s, .issued = time.now()})));
        time.advance(89s);
        CHECK(now(store->take(key)).ticket.has_value());
        now(store->insert(key, make_session({.version = version, .lifetime = 60s, .issued = time.now()})));
        time.advance(61s);
        CHECK_FALSE(now(store->take(key)).ticket.has_value());
        CHECK(store->size() == 0);
        CHECK(store->bytes() == 0);
    }
}

TEST_CASE("the bounds hold: tickets of one key, sessions, bytes")
{
    SUBCASE("the oldest ticket of a key goes first")
    {
        auto const store = memory_session_store::make({.max_tickets_per_key = 2});
        std::vector<session> made;
        for (int i = 0; i < 3; ++i)
        {
            made.push_back(make_session());
            now(store->insert(key_of_host("a"), made.back()));
        }
        CHECK(store->size() == 2);
        CHECK(id_of(now(store->take(key_of_host("a"))).ticket) == made[2].native_handle());
        CHECK(id_of(now(store->take(key_of_host("a"))).ticket) == made[1].native_handle());
    }
    SUBCASE("the key that was used least recently loses its own first")
    {
        auto const store = memory_session_store::make({.max_sessions = 2});
        auto const reusable = make_session({.version = TLS1_2_VERSION});
        now(store->insert(key_of_host("a"), reusable));
        now(store->insert(key_of_host("b"), reusable));
        CHECK(now(store->take(key_of_host("a"))).ticket.has_value()); // used
        now(store->insert(key_of_host("c"), reusable));
        CHECK(store->size() == 2);
        CHECK(now(store->take(key_of_host("a"))).ticket.has_value());
        CHECK_FALSE(now(store->take(key_of_host("b"))).ticket.has_value());
        CHECK(now(store->take(key_of_host("c"))).ticket.has_value());
    }
    SUBCASE("bytes count as session::size counts them")
    {
        auto const one = make_session();
        auto const store = memory_session_store::make({.max_bytes = 3 * one.size()});
        for (int i = 0; i < 10; ++i)
            now(store->insert(key_of_host(std::to_string(i)), one));
        CHECK(store->size() == 3);
        CHECK(store->bytes() == 3 * one.size());
    }
    SUBCASE("what is larger than the whole store is not kept")
    {
        auto const store = memory_session_store::make({.max_bytes = 1});
        now(store->insert(key_of_host("a"), make_session()));
        CHECK(store->size() == 0);
        CHECK(store->bytes() == 0);
    }
}

TEST_CASE("remove forgets one key, clear everything")
{
    auto const store = memory_session_store::make();
    for (auto const* host : {"a", "a", "b", "c"})
        now(store->insert(key_of_host(host), make_session()));
    CHECK(now(store->remove(key_of_host("a"))) == 2);
    CHECK(now(store->remove(key_of_host("a"))) == 0);
    CHECK(store->size() == 2);
    now(store->clear());
    CHECK(store->size() == 0);
    CHECK(store->bytes() == 0);
    CHECK_FALSE(now(store->take(key_of_host("b"))).ticket.has_value());
}

TEST_CASE("an option out of bounds is refused")
{
    auto const refused = [](memory_session_store_options options)
    {
        try
        {
            (void)memory_session_store::make(std::move(options));
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option;
        }
        return false;
    };
    CHECK(refused({.max_sessions = 0}));
    CHECK(refused({.max_bytes = 0}));
    CHECK(refused({.max_tickets_per_key = 0}));
    CHECK(refused({.now = nullptr}));
    CHECK_FALSE(refused({}));
}

TEST_CASE("many threads take each ticket once")
{
    constexpr int tickets = 64;
    auto const store = memory_session_store::make({.max_tickets_per_key = tickets});
    auto const one = make_session();
    std::atomic<int> taken = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back(
            [&]
            {
                for (int i = 0; i < tickets / 4; ++i)
                    store->capture(key_of_host("a"), one);
                boost::asio::io_context io;
                for (int i = 0; i < tickets; ++i)
                    boost::asio::co_spawn(
                        io,
                        [&]() -> boost::asio::awaitable<void>
                        {
                            auto const got = (co_await store->take(key_of_host("a"))).ticket;
                            taken += got.has_value() ? 1 : 0;
                        },
                        boost::asio::detached);
                io.run();
            });
    for (auto& thread : threads)
        thread.join();
    CHECK(taken == tickets);
    CHECK(store->size() == 0);
    CHECK(store->bytes() == 0);
}

TEST_SUITE_END();
