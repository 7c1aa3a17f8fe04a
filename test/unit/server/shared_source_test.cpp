// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/fleet.hpp"

#include <reprise/error.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/thread_pool.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
using test::fleet_server;
using test::fleet_world;
using test::key_of;
using test::ticket_ledger;
using testing::each;
using testing::nth_operation;
using testing::storage_fault;
using testing::storage_operation;

TEST_SUITE_BEGIN("shared_source");

namespace {

shared_keys_options shop()
{
    return {.fleet_secret = key_of(1), .fleet = "shop", .every = 1h, .refresh_every = 1min, .max_clock_skew = 1min};
}

constexpr auto margin = 1min + 2 * 1min; // until the first key of a fleet issues

struct fixture : fleet_world
{
    fixture() : fleet_world{shop(), 2h} {}

    // Whoever is there asks once in a while, and all tickets open everywhere.
    void run(std::vector<fleet_server*> const& servers, std::chrono::seconds duration, std::chrono::seconds step = 55s)
    {
        for (auto const end = time.now() + duration; time.now() < end; time.advance(step))
        {
            for (auto* const server : servers)
                server->refresh();
            check(servers);
        }
    }

    void check(std::vector<fleet_server*> const& servers)
    {
        for (auto* const server : servers)
            tickets.issue(*server);
        for (auto* const server : servers)
        {
            tickets.check_alive(*server);
            tickets.check_over(*server);
        }
    }

    ticket_ledger tickets{*this};
};

struct failure
{
    error_code code;
    std::string what;
};

std::optional<failure> failure_of(std::function<void()> const& action)
{
    try
    {
        action();
    }
    catch (system_error const& e)
    {
        return failure{e.code(), e.what()};
    }
    return std::nullopt;
}

error_code error_of(fleet_server& server)
{
    auto const failed = failure_of([&] { server.refresh(); });
    return failed ? failed->code : error_code{};
}

// Several fetches at the same time.
class crowd
{
public:
    void begin(fleet_server& server)
    {
        asio::co_spawn(io_, server.source->fetch(server.ring.keys()),
                       [&server, this](std::exception_ptr e, ticket_key_set next)
                       {
                           REQUIRE_FALSE(e);
                           server.step_to(std::move(next));
                           ++done;
                       });
        go_on();
    }

    void go_on()
    {
        io_.restart();
        io_.poll();
    }

    int done = 0;

private:
    asio::io_context io_;
};

} // namespace

TEST_CASE("an option out of bounds is refused and named")
{
    auto const refused = [](auto change, errc why, std::string const& naming)
    {
        auto o = shop();
        storage_ptr storage = memory_storage::make();
        key_source_context context{2h, system_clock()};
        change(o, storage, context);
        auto const failed = failure_of([&] { (void)make_shared_source(storage, o, context); });
        return failed && failed->code == why && failed->what.find(naming) != std::string::npos;
    };
    using O = shared_keys_options&;
    using S = storage_ptr&;
    using C = key_source_context&;
    CHECK(refused([](O, S s, C) { s = nullptr; }, errc::bad_option, "storage"));
    CHECK(refused([](O o, S, C) { o.fleet_secret = {}; }, errc::weak_ticket_key, "fleet_secret"));
    CHECK(refused([](O o, S, C) { o.fleet_secret = secret_bytes{32}; }, errc::weak_ticket_key, "fleet_secret"));
    CHECK(refused([](O o, S, C) { o.fleet = ""; }, errc::bad_option, "fleet must be"));
    CHECK(refused([](O o, S, C) { o.fleet.assign(65, 'x'); }, errc::bad_option, "fleet must be"));
    CHECK(refused([](O o, S, C) { o.every = 0s; }, errc::bad_option, "every must be 1 s"));
    CHECK(refused([](O o, S, C) { o.every = 24h * 7 + 1s; }, errc::bad_option, "every must be 1 s"));
    CHECK(refused([](O o, S, C) { o.refresh_every = 9ms; }, errc::bad_option, "refresh_every"));
    CHECK(refused([](O o, S, C) { o.refresh_every = 15min + 1ms; }, errc::bad_option, "refresh_every"));
    CHECK(refused([](O o, S, C) { o.max_clock_skew = -1ms; }, errc::bad_option, "max_clock_skew"));
    CHECK(refused([](O o, S, C) { o.max_clock_skew = 15min + 1ms; }, errc::bad_option, "max_clock_skew"));
    CHECK(refused([](O o, S, C) { o.storage_timeout = 0ms; }, errc::bad_option, "storage_timeout"));
    CHECK(refused([](O, S, C c) { c.ticket_life = 58h - 3min + 1s; }, errc::bad_option, "every must be at least"));

    auto const source =
        make_shared_source(memory_storage::make(), shop(), {.ticket_life = 58h - 3min, .now = system_clock()});
    CHECK(source->refresh_every() == 1min);
    CHECK(source->fetch_timeout() == 5s);
    CHECK_FALSE(source->may_orphan_tickets());
    CHECK_FALSE(source->is_immediate());
}

TEST_CASE("the first key of a fleet issues when all others may have asked for it")
{
    fixture f;
    f.time.advance(20min);
    fleet_server a{f};
    a.refresh();
    CHECK(a.ring.size() == 2);
    CHECK(a.issuer().empty());
    f.time.advance(margin - 1ms);
    CHECK(a.issuer().empty());
    f.time.advance(1ms);
    CHECK(a.issuer() == f.stored(f.current())->name);
    CHECK(f.stored(f.current() + 1)->not_before == time_point{1h * (f.current() + 1)});
}

TEST_CASE("a first key that would come too late is not made: the next generation begins")
{
    fixture f;
    f.time.advance(59min);
    fleet_server a{f};
    a.refresh();
    auto const next = f.current() + 1;
    CHECK(a.ring.size() == 1);
    CHECK(f.stored(next)->not_before == f.time.now() + margin);
    f.time.advance(margin);
    CHECK(a.issuer() == f.stored(next)->name);
}

TEST_CASE("of two servers that make a generation at the same time, one wins and both have its key")
{
    fixture f;
    fleet_server a{f};
    fleet_server b{f};
    a.link->set_plan(each(storage_operation::put_if_absent, storage_fault::hold));
    b.link->set_plan(each(storage_operation::put_if_absent, storage_fault::hold));
    crowd both;
    both.begin(a);
    both.begin(b);
    CHECK(a.link->waiting() == 2);
    CHECK(b.link->waiting() == 2);
    b.link->release();
    both.go_on();
    CHECK(both.done == 1);
    a.link->release();
    both.go_on();
    CHECK(both.done == 2);
    CHECK(a.ring.size() == 2);
    CHECK(a.names() == b.names());
    CHECK(a.knows(*f.stored(f.current())));
}

TEST_CASE("everyone has a key before anyone issues with it")
{
    fixture f;
    fleet_server a{f};
    fleet_server b{f};
    f.run({&a, &b}, 30min);
    auto const next = f.stored(f.current() + 1);
    REQUIRE(next.has_value());
    for (auto* const server : {&a, &b})
    {
        CHECK(server->knows(*next));
        CHECK(server->issuer() != next->name);
    }
    f.run({&a, &b}, 12h);
    CHECK(f.tickets.checked > 2000);
    CHECK(f.tickets.over > 2000);
    CHECK(a.names() == b.names());
}

TEST_CASE("clocks may differ as far as max_clock_skew says, both ways")
{
    fixture f;
    fleet_server fast{f, 1min};
    fleet_server slow{f, -1min};
    // Whoever makes the first key, and whenever.
    SUBCASE("the fast one is first")
    {
        fast.refresh();
    }
    SUBCASE("the slow one is first")
    {
        slow.refresh();
    }
    SUBCASE("the fast one is first, late in a generation")
    {
        f.time.advance(56min);
        fast.refresh();
    }
    SUBCASE("the slow one is first, late in a generation")
    {
        f.time.advance(56min);
        slow.refresh();
    }
    SUBCASE("the slow one is first, where the fast one is in the next generation already")
    {
        f.time.advance(1h);
        slow.refresh();
    }
    auto const first = f.time.now();
    f.time.advance(1min - 1s); // the other one asks as late as it may
    f.run({&fast, &slow}, 5min, 1s);
    CHECK_FALSE(fast.issuer().empty());
    CHECK_FALSE(slow.issuer().empty());
    CHECK(f.time.now() - first < 7min);
    f.run({&slow, &fast}, 10h);
    CHECK(f.tickets.checked > 1000);
    CHECK(f.tickets.over > 1000);
}

TEST_CASE("the last ticket of a slow clock opens at a fast one until it is over")
{
    fixture f;
    fleet_server fast{f, 1min};
    fleet_server slow{f, -1min};
    f.run({&fast, &slow}, 30min, 1min);
    // So it does not know the next generation, and goes on with this one.
    auto const g = f.current();
    slow.restart();
    slow.step_to({*f.stored(g)});
    auto const times = regular_times(f.rules, g);
    f.time.advance(times.issue_until - slow.now() - 1ms);
    CHECK(slow.issuer() == f.stored(g)->name);
    f.tickets.issue(slow);
    fast.refresh();
    f.time.advance(f.ticket_life - 1ms);
    CHECK(fast.now() == times.accept_until - 2ms);
    auto const before = f.tickets.checked;
    f.tickets.check_alive(fast);
    CHECK(f.tickets.checked == before + 1);
    f.time.advance(2ms);
    CHECK(fast.now() == times.accept_until);
    f.tickets.check_over(fast);
}

TEST_CASE("one who comes late opens all tickets that are alive, and asks for their keys at the same time")
{
    fleet_world f{shop(), 57h};
    ticket_ledger tickets{f};
    fleet_server a{f};
    for (int hours = 0; hours < 80; ++hours)
    {
        a.refresh();
        f.time.advance(margin);
        tickets.issue(a);
        f.time.advance(1h - margin);
    }
    a.refresh();
    CHECK(a.ring.size() == 60);

    fleet_server late{f};
    late.link->set_plan(each(storage_operation::get, storage_fault::hold));
    crowd one;
    one.begin(late);
    CHECK(late.link->waiting() == 60);
    late.link->release();
    one.go_on();
    REQUIRE(one.done == 1);
    CHECK(late.names() == a.names());
    CHECK(late.issuer() == a.issuer());
    tickets.check_alive(late);
    CHECK(tickets.checked >= 57);
}

TEST_CASE("a storage that is down is not missed until the generation after the next one, and comes back by itself")
{
    fixture f;
    fleet_server a{f};
    fleet_server b{f};
    f.run({&a, &b}, 30min, 1min);
    auto const down_in = f.current();
    for (auto* const server : {&a, &b})
        server->link->set_plan([](auto, auto) { return storage_fault::fail; });
    for (auto const end = f.time.now() + 6h; f.time.now() < end; f.time.advance(1min))
    {
        for (auto* const server : {&a, &b})
        {
            // An old key may be over; then there is something to say.
            if (auto const error = error_of(*server))
                CHECK(error == asio::error::connection_refused);
            CHECK(server->issuer().empty() == (f.time.now() >= regular_times(f.rules, down_in + 1).issue_until));
        }
        f.check({&a, &b});
    }
    CHECK(a.issuer().empty());
    CHECK(a.ring.size() == 0); // all tickets are over
    for (auto* const server : {&a, &b})
        server->link->set_plan({});
    f.run({&a, &b}, margin, 30s);
    a.refresh();
    CHECK_FALSE(a.issuer().empty());
    CHECK(a.issuer() == b.issuer());
    f.run({&a, &b}, 3h);
}

TEST_CASE(
    "a key that was not made in time issues when all have learned it; the one before goes on for as long as it may")
{
    fixture f;
    fleet_server a{f};
    f.run({&a}, 30min, 1min);
    f.time.advance(90min); // nobody is awake for a generation
    auto const before = a.issuer();
    auto const g = f.current();
    REQUIRE(before == f.stored(g - 1)->name);
    a.refresh();
    CHECK(f.stored(g)->not_before == f.time.now() + margin);
    CHECK(f.stored(g + 1)->not_before == time_point{1h * (g + 1)});
    CHECK(a.issuer() == before);
    f.time.advance(1min);
    CHECK(a.issuer().empty());
    CHECK(a.knows(*f.stored(g - 1)));
    f.time.advance(margin - 1min);
    CHECK(a.issuer() == f.stored(g)->name);
}

TEST_CASE("a fetch fails if it has nothing to bring, and only then")
{
    fixture f;
    fleet_server a{f};
    a.refresh();
    fleet_server b{f};
    // One of the reads fails: what another one brings is not lost. (The first three are of old generations.)
    b.link->set_plan(nth_operation(3, storage_fault::fail));
    CHECK_FALSE(error_of(b));
    CHECK(b.ring.size() == 1);
    b.link->set_plan(each(storage_operation::get, storage_fault::fail));
    CHECK(error_of(b) == asio::error::connection_refused);
    CHECK(b.ring.size() == 1);
    b.link->set_plan({});
    CHECK_FALSE(error_of(b));
    CHECK(b.names() == a.names());
    b.link->set_plan(each(storage_operation::get, storage_fault::fail));
    f.time.advance(5h);
    CHECK_FALSE(error_of(b)); // that all are over is something
    CHECK(b.ring.size() == 0);
    CHECK(error_of(b) == asio::error::connection_refused);
}

TEST_CASE("whatever operation fails, and however, the next fetch makes up for it")
{
    for (auto const fault : {storage_fault::fail, storage_fault::fail_after, storage_fault::lose})
    {
        std::size_t nth = 0;
        for (std::size_t operations = 1; nth < operations; ++nth)
        {
            CAPTURE(nth);
            fixture f;
            fleet_server a{f};
            a.link->set_plan(nth_operation(nth, fault));
            (void)error_of(a);
            operations = a.link->operations();
            a.link->set_plan({});
            CHECK_FALSE(error_of(a));
            fleet_server b{f};
            b.refresh();
            CHECK(a.ring.size() == 2);
            CHECK(a.names() == b.names());
            f.time.advance(margin);
            CHECK(a.issuer() == f.stored(f.current())->name);
        }
        CHECK(nth >= 6);
    }
}

TEST_CASE("a storage that keeps nothing is reported, and its keys are not used")
{
    fixture f;
    fleet_server a{f};
    a.link->set_plan([](auto, auto) { return storage_fault::lose; });
    auto const failed = failure_of([&] { a.refresh(); });
    REQUIRE(failed.has_value());
    CHECK(failed->code == errc::bad_ticket_keys);
    CHECK(failed->what.find("not kept") != std::string::npos);
    CHECK(a.ring.size() == 0);
}

TEST_CASE("a record that was changed is reported and replaced by the key that is known")
{
    fixture f;
    fleet_server a{f};
    fleet_server b{f};
    f.run({&a, &b}, 90min);
    auto const known = a.names();
    auto const g = f.current();
    auto const key = f.stored(g);
    auto const name = f.records.name_of(g);

    secret_bytes record;
    SUBCASE("a bit of it")
    {
        record = *f.storage->get_now(name);
        record.data()[record.size() / 2] ^= 1;
    }
    SUBCASE("all of it")
    {
        record = secret_bytes{as_bytes("something else")};
    }
    SUBCASE("to nothing")
    {
        record = secret_bytes{};
    }
    SUBCASE("to that of another generation")
    {
        record = *f.storage->get_now(f.records.name_of(g + 1));
    }
    SUBCASE("to that of another fleet")
    {
        record = fleet_records{key_of(2), f.options.fleet, f.options.every}.seal(g, *key);
    }
    SUBCASE("to one with impossible times")
    {
        auto wrong = *key;
        wrong.accept_until = time_point::max();
        record = f.records.seal(g, wrong);
    }
    f.storage->put_now(name, record, f.time.now() + 10h);

    auto const failed = failure_of([&] { a.refresh(); });
    REQUIRE(failed.has_value());
    CHECK(failed->code == errc::bad_ticket_keys);
    CHECK(failed->what.find("generation " + std::to_string(g)) != std::string::npos);
    CHECK(a.names() == known);
    REQUIRE(f.stored(g).has_value());
    CHECK(f.stored(g)->name == key->name);
    CHECK_FALSE(error_of(a));
    CHECK_FALSE(error_of(b));
    f.run({&a, &b}, 3h);
}

TEST_CASE("a record that was changed, and that nobody knows, is replaced by a new key, and reported")
{
    fixture f;
    auto const g = f.current();
    f.storage->put_now(f.records.name_of(g), as_bytes("junk"), f.time.now() + 10h);
    f.storage->put_now(f.records.name_of(g - 1), as_bytes("junk"), f.time.now() + 10h);
    fleet_server a{f};
    a.refresh(); // it brings keys
    CHECK(a.ring.size() == 2);
    CHECK(f.stored(g)->not_before == f.time.now() + margin);
    CHECK_FALSE(f.storage->get_now(f.records.name_of(g - 1)).has_value());
    CHECK(error_of(a) == errc::bad_ticket_keys);
    CHECK_FALSE(error_of(a));
    fleet_server b{f};
    f.run({&a, &b}, 3h);
}

TEST_CASE("a key that another server has put in place of what was changed is not removed")
{
    fixture f;
    fleet_server member{f};
    f.run({&member}, 30min, 1min);
    auto const g = f.current();
    auto const key = f.stored(g);
    f.storage->put_now(f.records.name_of(g), as_bytes("junk"), f.time.now() + 10h);

    fleet_server joining{f};
    joining.link->set_plan(each(storage_operation::take, storage_fault::hold));
    crowd one;
    one.begin(joining);
    REQUIRE(joining.link->waiting() == 1);
    CHECK(error_of(member) == errc::bad_ticket_keys);
    CHECK(f.stored(g)->name == key->name);
    joining.link->release();
    one.go_on();
    CHECK(one.done == 1);
    REQUIRE(f.stored(g).has_value());
    CHECK(f.stored(g)->name == key->name);
    CHECK(joining.names() == member.names());
}

TEST_CASE("servers with another fleet secret, or fleet, or period, share a storage without meeting")
{
    fixture ours;
    std::vector<std::unique_ptr<fixture>> others;
    for (int i = 0; i < 3; ++i)
        others.push_back(std::make_unique<fixture>());
    others[0]->options.fleet_secret = key_of(2);
    others[1]->options.fleet = "other";
    others[2]->options.every = 2h;
    fleet_server a{ours};
    a.refresh();
    for (auto& other : others)
    {
        other->storage = ours.storage;
        fleet_server b{*other};
        CHECK_FALSE(error_of(b));
        for (auto const& key : a.ring.keys())
            CHECK_FALSE(b.knows(key));
        CHECK_FALSE(error_of(a));
    }
}

TEST_CASE("a storage that has lost its data is filled again by one who knows, old generations too")
{
    fixture f;
    fleet_server a{f};
    f.run({&a}, 5h);
    a.refresh();
    auto const before = f.all_stored();
    CHECK(before.size() == a.ring.size());
    CHECK(before.size() == 5);
    f.lose_everything();
    CHECK(f.all_stored().empty());
    CHECK_FALSE(error_of(a));
    CHECK(f.all_stored().size() == before.size());
    fleet_server b{f};
    b.refresh();
    CHECK(b.names() == a.names());
    CHECK(b.issuer() == a.issuer());
    f.check({&a, &b});
}

TEST_CASE("old generations are put back although that has failed at first, when the newer ones were")
{
    fixture f;
    fleet_server a{f};
    f.run({&a}, 5h);
    a.refresh();
    f.lose_everything();
    // Two puts for the newest, then the old ones.
    auto puts = std::make_shared<int>(0);
    a.link->set_plan(
        [puts](storage_operation operation, std::size_t)
        {
            bool const is_old = operation == storage_operation::put_if_absent && ++*puts > 3;
            return is_old ? storage_fault::fail : storage_fault::none;
        });
    CHECK(error_of(a) == asio::error::connection_refused);
    CHECK(f.stored(f.current()).has_value());
    CHECK(f.all_stored().size() < a.ring.size());
    a.link->set_plan({});
    CHECK_FALSE(error_of(a));
    CHECK(f.all_stored().size() == a.ring.size());
    auto const operations = [&]
    {
        a.link->set_plan({});
        a.refresh();
        return a.link->operations();
    };
    f.time.advance(10min);
    CHECK(operations() == 2); // that is over now
}

TEST_CASE("old generations are put back although so much time has passed that the newest are not known")
{
    fixture f;
    fleet_server a{f};
    f.run({&a}, 5h);
    a.refresh();
    f.lose_everything();
    f.time.advance(2h + 30min);
    a.refresh();
    auto const g = f.current();
    CHECK(f.stored(g).has_value());
    CHECK(f.stored(g - 1)->name == a.ring.opener(ticket_key_id(f.stored(g - 1)->secret), a.now())->key.name);
    fleet_server b{f};
    b.refresh();
    CHECK(b.names() == a.names());
}

TEST_CASE("one who comes first to a storage that has lost its data does no lasting harm")
{
    fixture f;
    fleet_server a{f};
    fleet_server b{f};
    f.run({&a, &b}, 5h, 50s);
    f.time.advance(-(f.time.now() - time_point{1h * f.current()}) + 20min);
    a.refresh();
    b.refresh();
    auto const old = a.issuer();
    REQUIRE_FALSE(old.empty());
    f.lose_everything();

    fleet_server joining{f};
    joining.refresh();
    CHECK(joining.ring.size() == 2);
    auto const g = f.current();
    auto const replaced = f.stored(g);
    f.time.advance(1min);
    a.refresh();
    b.refresh();
    joining.refresh();
    for (auto* const server : {&a, &b})
    {
        CHECK(server->knows(*replaced));
        CHECK(server->knows(*f.stored(g + 1)));
        CHECK(server->issuer() == old); // until the other one may
    }
    CHECK(joining.issuer().empty());
    CHECK(joining.ring.size() == a.ring.size() - 2); // all that opens, but for the two keys that it has replaced

    f.time.advance(margin - 1min);
    for (auto* const server : {&a, &b, &joining})
        CHECK(server->issuer() == replaced->name);
    // From here on it is as if nothing had happened.
    ticket_ledger tickets{f};
    for (int minutes = 0; minutes < 300; ++minutes, f.time.advance(1min))
        for (auto* const server : {&a, &b, &joining})
        {
            server->refresh();
            tickets.issue(*server);
            tickets.check_alive(*server);
        }
    CHECK(a.names() == joining.names());
}

TEST_CASE("the storage sees sealed records alone")
{
    struct witness final : storage
    {
        explicit witness(storage_ptr s) : inner(std::move(s)) {}
        asio::awaitable<std::optional<secret_bytes>> get(std::string name) override
        {
            return inner->get(std::move(name));
        }
        asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override
        {
            return inner->put(std::move(name), std::move(value), expiry);
        }
        asio::awaitable<std::optional<secret_bytes>> take(std::string name) override
        {
            return inner->take(std::move(name));
        }
        asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override
        {
            written.emplace_back(name, value);
            return inner->put_if_absent(std::move(name), std::move(value), expiry);
        }
        asio::awaitable<bool> erase(std::string name) override { return inner->erase(std::move(name)); }
        asio::awaitable<std::size_t> flush() override { return inner->flush(); }
        [[nodiscard]] storage_stats stats() const override { return inner->stats(); }

        storage_ptr inner;
        std::vector<std::pair<std::string, secret_bytes>> written;
    };

    fixture f;
    auto const seen = std::make_shared<witness>(f.storage);
    fleet_server a{f};
    a.link = testing::faulty_storage::make(seen);
    a.restart();
    for (int hours = 0; hours < 5; ++hours, f.time.advance(1h))
    {
        if (hours == 4)
            f.lose_everything();
        a.refresh();
        auto const contains = [](byte_view where, byte_view what) { return !std::ranges::search(where, what).empty(); };
        for (auto const& [name, value] : seen->written)
        {
            CHECK_FALSE(contains(value, f.options.fleet_secret));
            CHECK_FALSE(contains(as_bytes(name), f.options.fleet_secret));
            for (auto const& key : a.ring.keys())
                for (std::size_t at = 0; at + 8 <= key.secret.size(); ++at)
                {
                    CHECK_FALSE(contains(value, key.secret.view().subspan(at, 8)));
                    CHECK_FALSE(contains(as_bytes(name), key.secret.view().subspan(at, 8)));
                }
        }
    }
    CHECK(seen->written.size() >= 9);
    for (auto const& [name, value] : seen->written)
        for (auto g = f.current() - 9; g < f.current() + 3; ++g)
            CHECK_FALSE(fleet_records{key_of(2), f.options.fleet, f.options.every}.open(g, value).has_value());
}

TEST_CASE("servers that begin at the same time, on many threads, agree")
{
    fixture f;
    std::vector<std::unique_ptr<fleet_server>> servers;
    std::vector<ticket_key_set> keys(16);
    asio::thread_pool threads{4};
    for (auto& set : keys)
    {
        servers.push_back(std::make_unique<fleet_server>(f));
        asio::co_spawn(threads, servers.back()->source->fetch({}),
                       [&set](std::exception_ptr e, ticket_key_set found)
                       {
                           if (!e)
                               set = std::move(found);
                       });
    }
    threads.join();
    for (std::size_t i = 0; i < servers.size(); ++i)
    {
        servers[i]->step_to(std::move(keys[i]));
        CHECK(servers[i]->ring.size() == 2);
        CHECK(servers[i]->names() == servers[0]->names());
    }
}

TEST_CASE("a fetch that was abandoned goes on after its source")
{
    fixture f;
    fleet_server a{f};
    a.link->set_plan(each(storage_operation::put_if_absent, storage_fault::hold));
    asio::io_context io;
    std::optional<ticket_key_set> result;
    asio::co_spawn(io, a.source->fetch({}),
                   [&](std::exception_ptr e, ticket_key_set keys)
                   {
                       REQUIRE_FALSE(e);
                       result = std::move(keys);
                   });
    io.poll();
    CHECK(a.link->waiting() == 2);
    a.source.reset();
    a.link->release();
    io.restart();
    io.poll();
    REQUIRE(result.has_value());
    CHECK(result->size() == 2);
}

TEST_CASE("a fetch that never began may be dropped after its source")
{
    fixture f;
    fleet_server a{f};
    auto fetch = a.source->fetch({});
    a.source.reset();
    CHECK(test::now(std::move(fetch)).size() == 2);
}

TEST_CASE("cancelling a fetch cancels what it waits for, and it fails, even if it has something to bring")
{
    auto last_put = std::make_shared<int>(0);
    auto const hang_in_last_put = [last_put](storage_operation operation, std::size_t)
    {
        bool const is_last = operation == storage_operation::put_if_absent && ++*last_put == 2;
        return is_last ? storage_fault::hang : storage_fault::none;
    };
    for (auto const& plan :
         {each(storage_operation::get, storage_fault::hang),
          each(storage_operation::put_if_absent, storage_fault::hang), testing::fault_plan{hang_in_last_put}})
    {
        fixture f;
        fleet_server a{f};
        a.link->set_plan(plan);
        asio::io_context io;
        asio::cancellation_signal cancel;
        std::exception_ptr error;
        asio::co_spawn(io, a.source->fetch({}),
                       asio::bind_cancellation_slot(cancel.slot(),
                                                    [&](std::exception_ptr e, ticket_key_set const&) { error = e; }));
        io.poll();
        CHECK(a.link->waiting() >= 1);
        CHECK_FALSE(error);
        cancel.emit(asio::cancellation_type::terminal);
        io.restart();
        io.poll();
        REQUIRE(error);
        auto const failed = failure_of([&] { std::rethrow_exception(error); });
        CHECK(failed->code == asio::error::operation_aborted);
        CHECK(a.link->waiting() == 0);
    }
}

namespace {

/* Random histories of three servers and a storage:

   - Each server's clock stands still and jumps within the bound, and so does the storage's.
   - Each server reaches the storage or not, for a while. Servers restart, and for hours there may be none.
   - During a fetch an operation may fail before or after it is done, be lost, or be read with an error.
   - The storage loses everything.

   Properties:

   - A server issues a ticket with the keys that it has. The ticket opens, as long as it lives, at every server whose last
     fetch without a fault is at most refresh_every ago.
   - No ticket opens when its generation is over.
   - While the fleet is not without a fetch for most of a generation, a server that has just fetched can issue.

   Conditions:

   - Clocks are off by at most max_clock_skew.
   - A server fetches at least every refresh_every while there are handshakes, and gets its answer at once.
   - When the storage loses its data, some server knows all of it. Until that server has put it back, servers that know less do
     not reach the storage, and servers that know all do not restart. */
class history
{
public:
    explicit history(std::uint64_t seed)
        : random_(seed), world_{draw_options(), draw_life(), draw_skew()}, tickets(world_)
    {
        for (int i = 0; i < 3; ++i)
            servers_.push_back(std::make_unique<player>(world_, draw_skew()));
    }

    void run(int steps)
    {
        auto const step = world_.options.refresh_every / 3;
        for (int i = 0; i < steps; ++i)
        {
            bool const sleep = chance(0.003);
            world_.time.advance(sleep ? between(0ms, 3 * std::chrono::milliseconds{world_.options.every})
                                      : between(1ms, step));
            if (chance(0.01))
                try_to_lose();
            for (auto const& p : servers_)
            {
                perturb(*p);
                if (now() + step > p->asked + world_.options.refresh_every || chance(0.3))
                    refresh(*p);
            }
            for (auto const& p : servers_)
                tickets.issue(p->server);
            for (auto const& p : servers_)
                check(*p);
        }
    }

private:
    struct player
    {
        player(fleet_world& w, std::chrono::milliseconds skew) : server(w, skew) {}

        fleet_server server;
        time_point down_until = time_point::min();
        time_point asked = time_point::min();
        time_point learned = time_point::min(); // its last fetch without a fault
        bool can_heal = false;                  // knows all that was lost
    };

    std::mt19937_64 random_;
    shared_keys_options options_;
    fleet_world world_;
    std::vector<std::unique_ptr<player>> servers_;
    bool is_lost_ = false; // of these, not all have been put back
    std::vector<ticket_key> needed_;
    time_point last_fetch_ = time_point::min(); // of anybody, without a fault
    time_point calm_since_ = time_point::min();

public:
    ticket_ledger tickets;
    std::size_t fetches = 0;
    std::size_t failed = 0;
    std::size_t faults = 0;
    std::size_t restarts = 0;
    std::size_t losses = 0;
    std::size_t sure_to_issue = 0;

private:
    [[nodiscard]] bool chance(double p) { return std::bernoulli_distribution{p}(random_); }
    [[nodiscard]] std::chrono::milliseconds between(std::chrono::milliseconds a, std::chrono::milliseconds b)
    {
        return std::chrono::milliseconds{
            std::uniform_int_distribution<std::chrono::milliseconds::rep>{a.count(), b.count()}(random_)};
    }
    [[nodiscard]] time_point now() const { return world_.time.now(); }

    shared_keys_options draw_options()
    {
        options_ = shop();
        options_.every = std::chrono::floor<std::chrono::seconds>(between(1s, chance(0.5) ? 60s : 24h));
        std::chrono::milliseconds const every = options_.every;
        options_.refresh_every = between(every / 12, every / 4);
        options_.max_clock_skew = chance(0.2) ? 0ms : chance(0.2) ? every / 4 : between(0ms, every / 4);
        return options_;
    }
    std::chrono::seconds draw_life()
    {
        return std::chrono::floor<std::chrono::seconds>(between(1s, 1s + 6 * options_.every));
    }
    std::chrono::milliseconds draw_skew()
    {
        auto const most = options_.max_clock_skew;
        return chance(0.2) ? most : chance(0.2) ? -most : between(-most, most);
    }

    void perturb(player& p)
    {
        if (chance(0.02))
            p.server.set_skew(draw_skew());
        if (chance(0.01))
            p.down_until = now() + between(0ms, chance(0.8) ? std::chrono::milliseconds{world_.options.every}
                                                            : 3 * std::chrono::milliseconds{world_.options.every});
        if (chance(0.01) && !(is_lost_ && p.can_heal))
        {
            p.server.restart();
            p.learned = p.asked = time_point::min();
            ++restarts;
        }
    }

    void try_to_lose()
    {
        if (is_lost_)
            return;
        needed_ = world_.all_stored();
        drop_what_is_over();
        for (auto const& p : servers_)
        {
            p->can_heal = std::ranges::all_of(needed_, [&](ticket_key const& key) { return p->server.knows(key); });
            is_lost_ |= p->can_heal;
        }
        if (!is_lost_)
            return;
        world_.lose_everything();
        ++losses;
    }

    void drop_what_is_over()
    {
        std::erase_if(needed_,
                      [&](ticket_key const& key) { return key.accept_until <= now() + world_.options.max_clock_skew; });
    }

    [[nodiscard]] bool is_missing(ticket_key const& key) const
    {
        auto const stored = world_.stored(*generation_of(key));
        return !stored || stored->name != key.name;
    }

    // Of one fetch.
    testing::fault_plan draw_faults(player const& p, bool& is_faulty)
    {
        if (now() < p.down_until || (is_lost_ && !p.can_heal))
            return [&is_faulty](auto, auto)
            {
                is_faulty = true;
                return storage_fault::fail;
            };
        if (!chance(0.15))
            return {};
        auto const nth = std::uniform_int_distribution<std::size_t>{0, 5}(random_);
        if (chance(0.2))
            return [&is_faulty, nth](storage_operation operation, std::size_t n)
            {
                if (operation != storage_operation::get || n != nth)
                    return storage_fault::none;
                is_faulty = true;
                return storage_fault::corrupt;
            };
        return [&is_faulty, this](auto, auto)
        {
            if (!chance(0.3))
                return storage_fault::none;
            is_faulty = true;
            return chance(0.4) ? storage_fault::fail : chance(0.5) ? storage_fault::fail_after : storage_fault::lose;
        };
    }

    void refresh(player& p)
    {
        bool is_faulty = false;
        p.server.link->set_plan(draw_faults(p, is_faulty));
        p.asked = now();
        ++fetches;
        auto const error = error_of(p.server);
        p.server.link->set_plan({});
        if (error)
            ++failed;
        drop_what_is_over();
        is_lost_ = is_lost_ && std::ranges::any_of(needed_, [&](ticket_key const& key) { return is_missing(key); });
        if (is_faulty)
        {
            ++faults;
            return;
        }
        p.learned = now();
        auto const& o = world_.options;
        if (last_fetch_ == time_point::min() || now() - last_fetch_ > o.every - o.refresh_every - 4 * o.max_clock_skew)
            calm_since_ = now();
        last_fetch_ = now();
    }

    void check(player const& p)
    {
        tickets.check_over(p.server);
        auto const& o = world_.options;
        if (p.learned == time_point::min() || now() - p.learned >= o.refresh_every)
            return;
        tickets.check_alive(p.server);
        if (now() >= calm_since_ + o.refresh_every + 4 * o.max_clock_skew)
        {
            ++sure_to_issue;
            CHECK_FALSE(p.server.issuer().empty());
        }
    }
};

} // namespace

TEST_CASE("in any history, a ticket opens at all servers of the fleet as long as it lives")
{
    std::size_t issued = 0, checked = 0, over = 0, fetches = 0, failed = 0, faults = 0, restarts = 0, losses = 0,
                sure_to_issue = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed)
    {
        CAPTURE(seed);
        history h{seed};
        h.run(120);
        issued += h.tickets.issued;
        checked += h.tickets.checked;
        over += h.tickets.over;
        fetches += h.fetches;
        failed += h.failed;
        faults += h.faults;
        restarts += h.restarts;
        losses += h.losses;
        sure_to_issue += h.sure_to_issue;
    }
    // So that it does not hold for want of anything that could break it.
    INFO("issued " << issued << ", opened " << checked << ", over " << over << ", fetches " << fetches << ", failed "
                   << failed << ", with faults " << faults << ", restarts " << restarts << ", losses " << losses
                   << ", sure to issue " << sure_to_issue);
    CHECK(issued > 50'000);
    CHECK(checked > 50'000);
    CHECK(over > 5'000);
    CHECK(failed > 1'000);
    CHECK(restarts > 500);
    CHECK(losses > 100);
    CHECK(sure_to_issue > 20'000);
}

TEST_SUITE_END();
