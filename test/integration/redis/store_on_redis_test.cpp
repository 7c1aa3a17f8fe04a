// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// persistent_session_store in a Redis that processes share.
#include "support/harness.hpp"
#include "support/peers/redis.hpp"
#include "support/session_scopes.hpp"
#include "support/sessions.hpp"
#include "support/stores.hpp"

#include <set>

using namespace reprise;
using namespace std::chrono_literals;
using test::key_of_host;
using test::make_session;
using test::same;
using test::ticket_of;

TEST_SUITE_BEGIN("store_on_redis");

namespace {

struct fixture : test::store_fixture
{
    // With connections of its own, as another process has them.
    [[nodiscard]] std::shared_ptr<redis_storage> open()
    {
        auto options = server.options();
        options.now = time;
        return redis_storage::make(std::move(options));
    }

    test::redis_server server;
};

} // namespace

TEST_CASE_FIXTURE(fixture, "the next process has the sessions: tickets newest first and once, TLS 1.2 again and again")
{
    std::vector<session> made;
    auto const reusable = make_session({.version = TLS1_2_VERSION});
    {
        auto const store = store_on(open());
        CHECK_FALSE(store->is_immediate());
        for (int i = 0; i < 3; ++i)
        {
            made.push_back(make_session());
            done(store->insert(key_of_host("a"), made.back()));
        }
        done(store->insert(key_of_host("b"), reusable));
    }
    auto const next = store_on(open());
    auto const another = store_on(open());
    CHECK(same(done(next->take(key_of_host("a"))).ticket, made[2]));
    CHECK(same(done(another->take(key_of_host("a"))).ticket, made[1]));
    CHECK(same(done(next->take(key_of_host("a"))).ticket, made[0]));
    CHECK_FALSE(done(another->take(key_of_host("a"))).ticket);
    for (auto const& store : {next, another})
        CHECK(same(done(store->take(key_of_host("b"))).ticket, reusable));
    server.age("", 6min);
    time.advance(6min);
    CHECK_FALSE(done(store_on(open())->take(key_of_host("b"))).ticket);
}

TEST_CASE_FIXTURE(fixture, "processes that take at once never get one ticket twice")
{
    constexpr std::size_t hosts = 20;
    constexpr std::size_t each = 4;
    auto const first = store_on(open());
    for (std::size_t i = 0; i < each; ++i)
    {
        auto const ticket = make_session();
        for (std::size_t host = 0; host < hosts; ++host)
            first->capture(key_of_host("h" + std::to_string(host)), ticket);
        done(first->drain());
    }
    CHECK(first->stats().stored == hosts * each);

    auto const second = store_on(open());
    std::size_t running = 0;
    std::size_t taken = 0;
    std::set<std::string> different;
    auto const take_all = [&](persistent_session_store& store, std::string host) -> asio::awaitable<void>
    {
        for (std::size_t i = 0; i < each; ++i)
        {
            auto const got = co_await store.take(key_of_host(host));
            if (!got.ticket)
                continue;
            ++taken;
            auto const bytes = got.ticket->serialize();
            different.insert(host + std::string{bytes.view().begin(), bytes.view().end()});
        }
    };
    for (std::size_t host = 0; host < hosts; ++host)
        for (auto* const store : {first.get(), second.get()})
        {
            ++running;
            asio::co_spawn(io, take_all(*store, "h" + std::to_string(host)),
                           [&](std::exception_ptr failure)
                           {
                               CHECK_FALSE(failure);
                               --running;
                           });
        }
    run_until([&] { return running == 0; });
    CHECK(taken == hosts * each);
    CHECK(different.size() == taken);
    CHECK(server.command({"DBSIZE"}) == "0");
}

TEST_CASE_FIXTURE(fixture, "Redis is shown no host name and no ticket, and told when each session ends")
{
    auto const ticket = make_session();
    auto const store = store_on(open());
    done(store->insert(key_of_host("secret.example"), ticket));
    auto const name = server.command({"RANDOMKEY"});
    CHECK(name.starts_with("reprise:"));
    CHECK(name.find("secret") == std::string::npos);
    auto const record = server.command({"GET", name});
    CHECK(record.find("secret.example") == std::string::npos);
    auto const bytes = ticket_of(ticket);
    REQUIRE(bytes.size() > 32);
    CHECK(record.find(std::string{bytes.begin(), bytes.begin() + 32}) == std::string::npos);
    auto const left = std::stoll(server.command({"PTTL", name}));
    CHECK(left > 0);
    CHECK(left <= std::chrono::milliseconds{5min}.count());
}

TEST_CASE_FIXTURE(fixture, "without Redis a process keeps its own sessions, and uses it again when it is back")
{
    auto const storage = open();
    auto const store = store_on(storage);
    auto const away = make_session();
    done(store->insert(key_of_host("a"), make_session()));
    server.kill();
    CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::open; }));
    CHECK(test::error_of(storage->get("a")) == storage_condition::unchanged);
    CHECK(done(store->take(key_of_host("a"))).reason == full_handshake_reason::lookup_failed);
    done(store->insert(key_of_host("b"), away));
    CHECK(same(done(store->take(key_of_host("b"))).ticket, away));
    CHECK(store->stats().storage_errors >= 2);

    server.start();
    CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::connected; }));
    auto const back = make_session();
    done(store->insert(key_of_host("a"), back));
    CHECK(same(done(store_on(open())->take(key_of_host("a"))).ticket, back));
}

TEST_SUITE_END();
