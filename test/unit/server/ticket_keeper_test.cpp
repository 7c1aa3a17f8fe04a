// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_keeper.hpp"

#include "support/await.hpp"
#include "support/ticket_contexts.hpp"
#include "support/ticket_keys.hpp"

#include <reprise/error.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <doctest/doctest.h>

#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
using reprise::testing::manual_clock;
using test::make_ticket_key;
using test::ticket_contexts;

TEST_SUITE_BEGIN("ticket_keeper");

namespace {

constexpr policy_tag policy{};

struct ticket
{
    ticket_name name{};
    ticket_iv iv{};
    time_point end{};
};

// A cache's keys and what a handshake does with them.
struct keeper
{
    manual_clock time;
    std::shared_ptr<ticket_keeper> keys;

    keeper(ticket_keys const& from, manual_clock t, std::chrono::seconds life = 300s)
        : time(std::move(t)), keys(std::make_shared<ticket_keeper>(from, key_source_context{life, time}))
    {
    }

    std::optional<ticket> issue()
    {
        ticket_contexts c;
        ticket made;
        auto const end = keys->issued_until(time.now());
        if (keys->seal(policy, made.name, made.iv, c.cipher.get(), c.mac.get(), time.now()) != 1)
            return std::nullopt;
        REQUIRE(end.has_value());
        made.end = *end;
        return made;
    }

    int open(ticket const& t)
    {
        ticket_contexts c;
        return keys->open(policy, t.name, t.iv, c.cipher.get(), c.mac.get(), time.now());
    }
};

constexpr int no = 0;
constexpr int yes = 1;
constexpr int yes_and_renew = 2;

// A source under the test's control.
struct vault
{
    ticket_key_set keys;
    int calls = 0;
    bool fails = false;

    [[nodiscard]] ticket_keys source(callback_keys_options options = {})
    {
        return ticket_keys::from_callback(
            [this]() -> asio::awaitable<ticket_key_set>
            {
                ++calls;
                if (fails)
                    throw std::runtime_error{"the vault is closed"};
                co_return keys;
            },
            options);
    }
};

ticket_key lived(std::uint64_t seed, time_point from, std::chrono::seconds issue, std::chrono::seconds accept)
{
    auto key = make_ticket_key(seed);
    key.not_before = from;
    key.issue_until = from + issue;
    key.accept_until = from + accept;
    return key;
}

} // namespace

TEST_CASE("tickets are used where they help, and news is asked for where it may")
{
    CHECK(plan_tickets({.can_issue = true}) == ticket_step::use);
    CHECK(plan_tickets({.can_issue = true, .may_ask = true}) == ticket_step::use);
    CHECK(plan_tickets({.offered = true, .known = true}) == ticket_step::use); // though none comes back
    CHECK(plan_tickets({.offered = true, .known = true, .may_ask = true}) == ticket_step::use);
    CHECK(plan_tickets({.offered = true, .can_issue = true, .may_ask = true}) == ticket_step::ask);
    CHECK(plan_tickets({.offered = true, .can_issue = true}) == ticket_step::use);
    CHECK(plan_tickets({.may_ask = true}) == ticket_step::ask);
    CHECK(plan_tickets({}) == ticket_step::do_without);
    CHECK(plan_tickets({.offered = true}) == ticket_step::do_without);
    CHECK(plan_tickets({.offered = true, .may_ask = true}) == ticket_step::ask);
}

TEST_CASE("keys rotate by themselves, and old ones open until their tickets are over")
{
    manual_clock time;
    keeper k{ticket_keys::rotating({.every = 600s}), time};
    auto const first = k.issue();
    REQUIRE(first.has_value());
    CHECK(k.open(*first) == yes);
    time.advance(599s);
    auto const late = k.issue();
    CHECK(late->name.id == first->name.id);
    time.advance(1s);
    auto const second = k.issue();
    CHECK(second->name.id != first->name.id);
    CHECK(k.open(*first) == yes_and_renew);
    CHECK(k.open(*second) == yes);
    CHECK(first->end == late->end);
    time.advance(299s);
    CHECK(k.open(*late) == yes_and_renew);
    CHECK(k.keys->stats().keys == 2);
    time.advance(1s);
    CHECK(k.open(*late) == no);
    CHECK(k.keys->stats().keys == 1); // and its memory is given back
    CHECK(k.open(*second) == yes);
    auto const stats = k.keys->stats();
    CHECK(stats.issued == 3);
    CHECK(stats.opened == 5);
    CHECK(stats.unknown == 1);
    CHECK(stats.steps == 3);
    CHECK(stats.refused_steps == 0);
}

TEST_CASE("a server that was idle for long, or whose clock is put back, issues at once")
{
    manual_clock time;
    keeper k{ticket_keys::rotating({.every = 600s}), time};
    auto const first = k.issue();
    time.advance(24h * 30);
    CHECK(k.open(*first) == no);
    auto const second = k.issue();
    REQUIRE(second.has_value());
    CHECK(second->name.id != first->name.id);
    time.advance(-24h);
    auto const third = k.issue();
    REQUIRE(third.has_value());
    CHECK(k.open(*third) == yes);
    CHECK(k.open(*second) == yes_and_renew); // it counts as one of another server's whose clock is ahead
}

TEST_CASE("random histories: a ticket opens until its end and never after")
{
    std::mt19937_64 random{7};
    auto const upto = [&](int n) { return std::chrono::seconds{random() % static_cast<unsigned>(n)}; };
    for (int history = 0; history < 20; ++history)
    {
        manual_clock time;
        auto const every = 1s + upto(1000);
        auto const life = 1s + upto(static_cast<int>(every.count()) * 20);
        CAPTURE(history);
        CAPTURE(every.count());
        CAPTURE(life.count());
        keeper k{ticket_keys::rotating({.every = every}), time, life};
        std::vector<ticket> issued;
        for (int step = 0; step < 200; ++step)
        {
            time.advance(upto(static_cast<int>(every.count()) * 2));
            if (auto made = k.issue())
            {
                made->end = std::min(made->end, time.now() + life);
                CHECK(made->end + 1s >= time.now() + life); // it lives as long as a ticket should
                issued.push_back(*made);
            }
            else
                CHECK_MESSAGE(false, "nothing issues");
            for (auto const& t : issued)
                if (time.now() < t.end)
                    CHECK(k.open(t) != no);
                else if (time.now() >= t.end + every + 2s)
                    CHECK(k.open(t) == no);
        }
        CHECK(k.keys->stats().keys <= max_ticket_keys);
    }
}

TEST_CASE("keys that were made automatically are not copied with a configuration")
{
    manual_clock time;
    ticket_keys const configured = true;
    auto const copy = configured;
    keeper one{configured, time};
    keeper other{copy, time};
    CHECK(other.open(*one.issue()) == no);
    CHECK(one.open(*other.issue()) == no);
}

TEST_CASE("what is offered as options is checked")
{
    auto const refused = [](ticket_keys const& keys, std::string const& naming)
    {
        try
        {
            keeper const k{keys, {}};
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option && std::string{e.what()}.find(naming) != std::string::npos;
        }
        return false;
    };
    CHECK(refused(ticket_keys::rotating({.every = 0s}), "every"));
    CHECK(refused(ticket_keys::rotating({.every = 24h * 8}), "every"));
    CHECK(refused(ticket_keys::rotating({.every = 1s}), "too short")); // 300 keys for tickets of 5 min
    CHECK(refused(ticket_keys::rotating({.accept_for = -1s}), "accept_for"));
    CHECK(refused(ticket_keys::from_callback(nullptr), "callback"));
    vault v;
    CHECK(refused(v.source({.refresh_every = 9ms}), "refresh_every"));
    CHECK(refused(v.source({.fetch_timeout = 0ms}), "fetch_timeout"));
}

TEST_CASE("nothing is issued before there is a key")
{
    manual_clock time;
    vault v;
    keeper k{v.source(), time};
    CHECK_FALSE(k.keys->can_issue(time.now()));
    CHECK_FALSE(k.issue().has_value());
    CHECK(k.keys->may_ask(time.now()));
    test::now(ticket_keeper::refresh(k.keys)); // still none
    CHECK_FALSE(k.issue().has_value());
    v.keys = {make_ticket_key(1)};
    test::now(ticket_keeper::refresh(k.keys));
    CHECK(k.issue().has_value());
    CHECK(k.keys->stats().can_issue);
    CHECK(k.keys->stats().steps == 1);
}

TEST_CASE("a set that cannot be right is refused, counted and named, and the old keys go on")
{
    manual_clock time;
    vault v{.keys = {make_ticket_key(1)}};
    keeper k{v.source(), time};
    test::now(ticket_keeper::refresh(k.keys));
    auto const t = k.issue();
    auto const refused = [&](ticket_key_set keys, errc why, std::string const& naming)
    {
        v.keys = std::move(keys);
        auto const before = k.keys->stats().refused_steps;
        error_code code;
        try
        {
            test::now(ticket_keeper::refresh(k.keys));
        }
        catch (system_error const& e)
        {
            code = e.code();
        }
        CHECK(code == why);
        CHECK(k.keys->last_error().find(naming) != std::string::npos);
        CHECK(k.keys->stats().refused_steps == before + 1);
        CHECK(k.open(*t) == yes);
        CHECK(k.issue()->name.id == t->name.id);
    };
    refused({{locked_bytes{std::size_t{32}}, "zero"}, make_ticket_key(1)}, errc::weak_ticket_key, "zero");
    refused({{test::ticket_secret(2), "key 1"}, make_ticket_key(1)}, errc::bad_ticket_keys, "key 1");
    refused({lived(2, time.now(), 10s, 5s), make_ticket_key(1)}, errc::bad_ticket_keys, "key 2");
    refused({make_ticket_key(2)}, errc::tickets_orphaned, "key 1");
    refused({}, errc::tickets_orphaned, "key 1");
    v.keys = {make_ticket_key(1)};
    test::now(ticket_keeper::refresh(k.keys));
    CHECK(k.keys->last_error().empty());
    CHECK(k.keys->stats().failed_refreshes == 0);
}

TEST_CASE("tickets are orphaned where that is asked for")
{
    manual_clock time;
    vault v{.keys = {make_ticket_key(1)}};
    keeper k{v.source({.may_orphan_tickets = true}), time};
    test::now(ticket_keeper::refresh(k.keys));
    auto const stolen = k.issue();
    v.keys = {make_ticket_key(2)};
    test::now(ticket_keeper::refresh(k.keys));
    CHECK(k.open(*stolen) == no);
    CHECK(k.open(*k.issue()) == yes);
}

TEST_CASE("a source that fails or hangs changes nothing, and is asked again later")
{
    manual_clock time;
    vault v{.keys = {make_ticket_key(1)}};
    keeper k{v.source({.refresh_every = 60s}), time};
    test::now(ticket_keeper::refresh(k.keys));
    v.fails = true;
    CHECK_THROWS_WITH(test::now(ticket_keeper::refresh(k.keys)), "the vault is closed");
    CHECK(k.keys->last_error() == "the vault is closed");
    CHECK(k.issue().has_value());
    CHECK(k.keys->stats().failed_refreshes == 1);

    CHECK_FALSE(k.keys->may_ask(time.now())); // not at the wish of each client
    time.advance(1s);
    CHECK(k.keys->may_ask(time.now()));

    boost::asio::io_context io;
    auto const before = v.calls;
    k.keys->begin_refresh(io.get_executor());
    io.run();
    CHECK(v.calls == before + 1); // sooner than after a success
    v.fails = false;
    io.restart();
    time.advance(1s);
    k.keys->begin_refresh(io.get_executor());
    io.run();
    CHECK(v.calls == before + 2);
    CHECK(k.keys->last_error().empty());
    io.restart();
    time.advance(59s);
    k.keys->begin_refresh(io.get_executor());
    io.run();
    CHECK(v.calls == before + 2);
    time.advance(1s);
    io.restart();
    k.keys->begin_refresh(io.get_executor());
    io.run();
    CHECK(v.calls == before + 3);
}

TEST_CASE("a source that never answers is given up after its deadline")
{
    manual_clock time;
    boost::asio::io_context io;
    auto const never = ticket_keys::from_callback(
        []() -> asio::awaitable<ticket_key_set>
        {
            asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
            co_await timer.async_wait(asio::use_awaitable);
            co_return ticket_key_set{};
        },
        {.fetch_timeout = 20ms});
    keeper k{never, time};
    std::vector<std::string> said;
    for (int i = 0; i < 3; ++i) // they share one question
        asio::co_spawn(io, ticket_keeper::refresh(k.keys),
                       [&](std::exception_ptr e)
                       {
                           try
                           {
                               if (e)
                                   std::rethrow_exception(e);
                           }
                           catch (system_error const& error)
                           {
                               CHECK(error.code() == asio::error::timed_out);
                               said.emplace_back(error.what());
                           }
                       });
    io.run_for(20s);
    CHECK(said.size() == 3);
    CHECK(k.keys->stats().failed_refreshes == 1);
    CHECK(k.keys->last_error().find("source of the ticket keys") != std::string::npos);
}

TEST_CASE("a question goes on when those who wait for it, or their io_context, are gone")
{
    manual_clock time;
    vault v{.keys = {make_ticket_key(1)}};
    std::optional<keeper> k{std::in_place, v.source(), time};
    {
        boost::asio::io_context io;
        asio::co_spawn(io, ticket_keeper::refresh(k->keys), [](std::exception_ptr) {});
    }
    CHECK_FALSE(k->issue().has_value());
    test::now(ticket_keeper::refresh(k->keys)); // nobody waits for a question that is lost
    CHECK(k->issue().has_value());
    boost::asio::io_context io;
    time.advance(1h);
    k->keys->begin_refresh(io.get_executor());
    k.reset();
    io.run();
}

TEST_CASE("a question that was to begin on an io_context that goes before it runs is over with it")
{
    manual_clock time;
    vault v{.keys = {make_ticket_key(1)}};
    keeper k{v.source(), time};
    {
        boost::asio::io_context io;
        k.keys->begin_refresh(io.get_executor());
    }
    CHECK(v.calls == 0);
    CHECK(k.keys->stats().failed_refreshes == 1);
    test::now(ticket_keeper::refresh(k.keys));
    CHECK(v.calls == 1);
    CHECK(k.issue().has_value());
}

TEST_CASE("threads seal and open while keys rotate")
{
    manual_clock time;
    keeper k{ticket_keys::rotating({.every = 10s}), time, 10s};
    std::vector<std::thread> threads;
    std::atomic<int> lost{0};
    std::shared_mutex time_passes; // not while a ticket is sealed and opened
    for (int t = 0; t < 4; ++t)
        threads.emplace_back(
            [&]
            {
                ticket_contexts c;
                for (int i = 0; i < 2000; ++i)
                {
                    ticket made;
                    std::shared_lock const lock{time_passes};
                    auto const now = time.now();
                    if (k.keys->seal(policy, made.name, made.iv, c.cipher.get(), c.mac.get(), now) != 1 ||
                        k.keys->open(policy, made.name, made.iv, c.cipher.get(), c.mac.get(), now) == no)
                        ++lost;
                }
            });
    for (int i = 0; i < 200; ++i)
    {
        {
            std::lock_guard const lock{time_passes};
            time.advance(1s);
        }
        (void)k.keys->stats();
    }
    for (auto& t : threads)
        t.join();
    CHECK(lost == 0);
}

TEST_CASE("a thread that has looked at the clock a moment sooner than another makes no key of its own")
{
    manual_clock time;
    keeper k{ticket_keys::rotating({.every = 10s}), time, 10s};
    time.advance(10s);
    auto const later = k.issue();
    time.advance(-1ms);
    CHECK(k.issue()->name.id != later->name.id); // the old key still may
    time.advance(-500ms);
    CHECK(k.issue().has_value());
    CHECK(k.keys->stats().steps == 2);
}

TEST_SUITE_END();
