// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// First flights that come again, byte by byte the same: the application hears of each at most once.

#include "support/early.hpp"
#include "support/flight.hpp"

#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>

using namespace test;
using reprise::early_data_reason;
using reprise::early_data_status;

TEST_SUITE_BEGIN("early_replay");

namespace {

asio::awaitable<void> replay_often(std::string flight, std::string port, int times)
{
    auto const ex = co_await asio::this_coro::executor;
    using operation = decltype(asio::co_spawn(ex, replay(flight, port), asio::deferred));
    std::vector<operation> all;
    for (int i = 0; i < times; ++i)
        all.push_back(asio::co_spawn(ex, replay(flight, port), asio::deferred));
    auto const [order, failures, answers] = co_await asio::experimental::make_parallel_group(std::move(all))
                                                .async_wait(asio::experimental::wait_for_all{}, asio::use_awaitable);
    for (auto const& failure : failures)
        CHECK_FALSE(failure);
}

} // namespace

TEST_CASE("a flight that was accepted is refused when it comes again, once or a hundred times at once")
{
    for (auto const& k : tls13_kinds())
    {
        CAPTURE(std::string{k.name});
        early_world w{k};
        recorder tap{w.inner().io, w.srv().port()};
        w.port = tap.port();
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.say(stream, "first");
                CHECK((co_await w.say(stream, "again")).early_data == early_data_status::accepted);
                REQUIRE(tap.flights.size() == 2);
                co_await replay(tap.flights[1], w.srv().port());
                CHECK(w.times_heard("again") == 1);
                co_await replay_often(tap.flights[1], w.srv().port(), 100);
                CHECK(w.times_heard("again") == 1);
                CHECK((co_await w.say(stream, "third")).early_data == early_data_status::accepted);
            });
        CHECK(w.srv().failures.size() == 101); // nobody was there to complete their handshakes
        auto const stats = w.cache().stats();
        CHECK(stats.early_accepted == 2);
        // A stateful ticket is not found a second time, so there is no early data to judge.
        CHECK(stats.early_rejected_by_reason.at(static_cast<std::size_t>(early_data_reason::replayed)) ==
              (k.tickets ? 101 : 0));
    }
}

TEST_CASE("of a hundred copies that come before the flight itself, one is accepted")
{
    for (auto const& k : tls13_kinds())
    {
        CAPTURE(std::string{k.name});
        early_world w{k};
        recorder tap{w.inner().io, w.srv().port()};
        w.port = tap.port();
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.say(stream, "first");
                tap.loses = true;
                CHECK_THROWS_AS(co_await w.say(stream, "again"), reprise::system_error);
                REQUIRE(tap.flights.size() == 2);
                co_await replay_often(tap.flights[1], w.srv().port(), 100);
                CHECK(w.times_heard("again") == 1);
            });
        CHECK(w.cache().stats().early_accepted == 1);
    }
}

TEST_CASE("a flight of which one bit is changed is not accepted, whatever the guard says")
{
    early_world w{kinds[2]};
    recorder tap{w.inner().io, w.srv().port()};
    w.port = tap.port();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            tap.loses = true;
            CHECK_THROWS_AS(co_await w.say(stream, "again"), reprise::system_error);
            auto changed = tap.flights.at(1);
            constexpr std::size_t in_client_random = 20;
            changed[in_client_random] ^= 1;
            co_await replay(changed, w.srv().port());
            CHECK(w.heard.size() == 1);
        });
}

TEST_CASE("where the guard fails, hangs or is new, data comes after the handshake, once")
{
    using reprise::testing::storage_fault;
    using reprise::testing::storage_operation;
    struct situation
    {
        reprise::testing::fault_plan plan;
        early_data_reason reason;
    };
    std::vector<situation> const situations = {
        {{}, early_data_reason::guard_starting},
        {reprise::testing::each(storage_operation::put_if_absent, storage_fault::fail),
         early_data_reason::guard_failed},
        {reprise::testing::each(storage_operation::put_if_absent, storage_fault::hang), early_data_reason::guard_late},
        {reprise::testing::each(storage_operation::get, storage_fault::hang), early_data_reason::guard_late},
    };
    for (auto const& s : situations)
    {
        CAPTURE(to_string(s.reason));
        auto const storage = reprise::testing::faulty_storage::make(reprise::memory_storage::make({}), s.plan);
        early_world w{
            kinds[2],
            {.early = {.max_bytes = 100, .guard = reprise::replay_guard::shared(storage, {.storage_timeout = 10ms})}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.say(stream, "first");
                auto const info = co_await w.say(stream, "again");
                CHECK(info.resumed());
                CHECK(info.early_data == early_data_status::rejected);
                CHECK(info.early_reason == early_data_reason::declined);
            });
        CHECK(w.srv().handshakes.at(1).early_reason == s.reason);
        CHECK(w.srv().handshakes.at(1).early_data == early_data_status::rejected);
        CHECK(w.times_heard("again") == 1);
        CHECK_FALSE(w.heard.at(1).is_early);
    }
}

TEST_CASE("a guard whose storage is taken away in the middle refuses what it may have accepted before")
{
    reprise::testing::manual_clock clock;
    auto const storage = reprise::memory_storage::make({.now = clock});
    early_world w{kinds[2],
                  {.early = {.max_bytes = 100,
                             .guard = reprise::replay_guard::shared(storage, {.storage_timeout = 1s, .now = clock})}}};
    recorder tap{w.inner().io, w.srv().port()};
    w.port = tap.port();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            co_await w.say(stream, "begins the guard");
            clock.advance(40s);
            CHECK((co_await w.say(stream, "again")).early_data == early_data_status::accepted);
            auto const entries = storage->stats().entries;
            REQUIRE(entries > 0);
            storage->erase_now("reprise replay guard begin"); // and with it all that was remembered
            clock.advance(33s);                               // of the register; OpenSSL's own clock stands still
            co_await replay_often(tap.flights.back(), w.srv().port(), 10);
            CHECK(w.times_heard("again") == 1);
            CHECK((co_await w.say(stream, "later")).early_data == early_data_status::rejected);
            clock.advance(33s);
            CHECK((co_await w.say(stream, "at last")).early_data == early_data_status::accepted);
        });
}

TEST_SUITE_END();
