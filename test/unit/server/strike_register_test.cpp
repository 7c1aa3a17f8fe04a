// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/early/strike_register.hpp"

#include "support/await.hpp"
#include "support/forked.hpp"
#include "support/plain_storage.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <optional>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
using enum early_data_reason;

TEST_SUITE_BEGIN("strike_register");

namespace {

std::string binder(int i)
{
    std::string result(32, 'b');
    result[0] = static_cast<char>(i);
    result[1] = static_cast<char>(i >> 8);
    return result;
}

// What is asked for is only how long ago something was.
struct shared_register
{
    explicit shared_register(replay_guard_options o = {}) : options(std::move(o))
    {
        options.now = clock;
        made = make();
    }

    [[nodiscard]] std::shared_ptr<strike_register> make() const
    {
        return replay_guard::shared(link, options).strikes();
    }

    strike hit(int i) { return test::now(strike_register::hit(made, binder(i))); }

    // Until there is no room. The oldest entry goes.
    void evict()
    {
        for (int i = 0; storage->stats().evicted == 0; ++i)
            storage->put_now("x" + std::to_string(i), secret_bytes{16}, clock.now() + 10s);
    }

    // Of a ticket that was issued so long ago.
    early_data_reason verdict(int i, std::chrono::milliseconds ticket_age = 0ms)
    {
        auto const s = hit(i);
        return made->rules().judge(s, clock.now() - ticket_age, clock.now(), false);
    }

    void lose_everything(int binders)
    {
        storage->erase_now("reprise replay guard begin");
        for (int i = 0; i <= binders; ++i)
            storage->erase_now("reprise early data " + binder(i));
        REQUIRE(storage->stats().entries == 0);
    }

    testing::manual_clock clock;
    std::shared_ptr<memory_storage> storage = memory_storage::make({.max_bytes = 1u << 20, .shards = 1, .now = clock});
    std::shared_ptr<testing::faulty_storage> link = testing::faulty_storage::make(storage);
    replay_guard_options options;
    std::shared_ptr<strike_register> made;
};

constexpr auto life = 12s + 2 * 10s;

} // namespace

TEST_CASE("a flight is new once, for a whole life")
{
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(life + 1ms); // the begin is rounded up
    CHECK(r.verdict(1, 60s) == none);
    CHECK(r.verdict(1, 60s) == replayed);
    CHECK(r.verdict(2, 60s) == none);
    r.clock.advance(life - 1ms);
    CHECK(r.verdict(1, 60s) == replayed);
}

TEST_CASE("several servers are one register")
{
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(1, 60s) == none);
    r.made = r.make();
    CHECK(r.verdict(1, 60s) == replayed);
    CHECK(r.verdict(2, 60s) == none); // a server that has just started relies on what the storage knows
}

TEST_CASE("a new storage knows nothing of tickets that are older, until a life has passed")
{
    shared_register r;
    CHECK(r.verdict(1) == guard_starting); // the very first begins it
    r.clock.advance(10s);
    CHECK(r.verdict(2, 10s) == guard_starting);
    CHECK(r.verdict(3, 0s) == guard_starting); // by a clock that may be 10 s wrong
    r.clock.advance(1ms);
    CHECK(r.verdict(4, 0s) == none);
    CHECK(r.verdict(5, 1ms) == guard_starting);
    r.clock.advance(life - 10s - 2ms);
    CHECK(r.verdict(6, 60s) == guard_starting);
    r.clock.advance(2ms);
    CHECK(r.verdict(7, 60s) == none);
}

TEST_CASE("a storage that has lost everything is a new one")
{
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(1, 60s) == none);
    r.lose_everything(1);
    CHECK(r.verdict(1, 60s) == guard_starting);
    CHECK(r.verdict(2, 60s) == guard_starting);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(3, 60s) == none);
}

TEST_CASE("one that has lost an entry for lack of room begins anew")
{
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(1, 60s) == none);
    r.evict();
    REQUIRE(r.storage->get_now("reprise replay guard begin"));
    CHECK(r.verdict(2, 60s) == guard_starting);
    CHECK(r.verdict(3, 60s) == guard_starting);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(4, 60s) == none);
}

TEST_CASE("an eviction is not forgotten when the new begin cannot be written")
{
    using testing::storage_fault;
    using testing::storage_operation;
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(1, 60s) == none);
    r.evict();
    r.link->set_plan(testing::each(storage_operation::put, storage_fault::fail));
    CHECK(r.verdict(2, 60s) == guard_failed);
    CHECK(r.verdict(3, 60s) == guard_failed);
    r.link->set_plan(testing::each(storage_operation::put, storage_fault::lose));
    CHECK(r.verdict(4, 60s) == guard_starting);
    r.link->set_plan({});
    CHECK(r.verdict(5, 60s) == guard_starting);
    CHECK(r.verdict(6, 60s) == guard_starting);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(7, 60s) == none);
}

TEST_CASE("a register that was made after an eviction sees it")
{
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(life + 1ms);
    r.evict();
    r.made = r.make();
    CHECK(r.verdict(1, 60s) == guard_starting);
}

namespace {

// A storage that several processes and servers might have: its epoch is what the test says.
class storage_with_epoch final : public storage
{
public:
    explicit storage_with_epoch(storage_ptr inner) : inner_(std::move(inner)) {}

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override { return inner_->get(name); }
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override
    {
        return inner_->put(name, std::move(value), expiry);
    }
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override { return inner_->take(name); }
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override
    {
        return inner_->put_if_absent(name, std::move(value), expiry);
    }
    asio::awaitable<bool> erase(std::string name) override { return inner_->erase(name); }
    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) override
    {
        with_epoch<bool> result;
        result.value = co_await inner_->put_if_absent(name, std::move(value), expiry);
        if (answer_to_strike)
            answer_to_strike();
        result.epoch = now;
        co_return result;
    }
    asio::awaitable<storage_epoch> epoch() override { co_return now; }
    asio::awaitable<std::size_t> flush() override { co_return 0; }
    [[nodiscard]] storage_stats stats() const override { return {}; }

    storage_epoch now{"first", 0};
    std::function<void()> answer_to_strike;

private:
    storage_ptr const inner_;
};

struct register_with_epoch
{
    early_data_reason verdict(int i)
    {
        auto const s = test::now(strike_register::hit(made, binder(i)));
        return made->rules().judge(s, clock.now() - 60s, clock.now(), false);
    }

    testing::manual_clock clock;
    std::shared_ptr<memory_storage> entries = memory_storage::make({.now = clock});
    std::shared_ptr<storage_with_epoch> storage = std::make_shared<storage_with_epoch>(entries);
    std::shared_ptr<strike_register> made = replay_guard::shared(storage, {.now = clock}).strikes();
};

} // namespace

TEST_CASE("where the storage has gone back in time, or another process has evicted, the register begins anew")
{
    for (storage_epoch const& changed : {storage_epoch{"second", 0}, storage_epoch{"first", 1}})
    {
        register_with_epoch r;
        CHECK(r.verdict(0) == guard_starting);
        r.clock.advance(life + 1ms);
        CHECK(r.verdict(1) == none);
        r.storage->now = changed;
        r.entries->erase_now("reprise early data " + binder(1)); // it was not in the snapshot; the begin was
        CHECK(r.verdict(1) == guard_starting);
        CHECK(r.verdict(2) == guard_starting);
        r.clock.advance(life + 1ms);
        CHECK(r.verdict(3) == none);
        r.storage->now = {"first", 0}; // that of a backup, say
        CHECK(r.verdict(4) == guard_starting);
    }
}

TEST_CASE("where the epoch is unknown early data is refused, and the begin stays")
{
    register_with_epoch r;
    CHECK(r.verdict(0) == guard_starting);
    r.clock.advance(life + 1ms);
    for (storage_epoch const& unknown : {storage_epoch{}, storage_epoch{"first", std::nullopt}, storage_epoch{"", 0}})
    {
        r.storage->now = unknown;
        CHECK(r.verdict(1 + static_cast<int>(unknown.incarnation.size())) == guard_unsure);
        CHECK_THROWS_AS(test::now(strike_register::check(r.made)), system_error);
        r.entries->erase_now("reprise early data " + binder(1));
    }
    r.storage->now = {"first", 0};
    CHECK(r.verdict(2) == none);
    CHECK_NOTHROW(test::now(strike_register::check(r.made)));
}

TEST_CASE("a begin is not sooner than the answer with its epoch")
{
    register_with_epoch r;
    r.storage->answer_to_strike = [&] { r.clock.advance(life); }; // an entry may be lost meanwhile
    CHECK(r.verdict(0) == guard_starting);
    r.storage->answer_to_strike = {};
    r.clock.advance(1ms);
    CHECK(r.verdict(1) == guard_starting);
    r.clock.advance(life);
    CHECK(r.verdict(2) == none);
}

TEST_CASE("a storage that does not say its epoch gives no guard")
{
    auto const guard = replay_guard::shared(std::make_shared<test::plain_storage>());
    CHECK(test::now(strike_register::hit(guard.strikes(), binder(1))).reason == guard_unsure);
    CHECK_THROWS_WITH_AS(test::now(guard.check()), doctest::Contains("storage::epoch"), system_error);
    CHECK_NOTHROW(test::now(replay_guard::in_memory().check()));
}

TEST_CASE("a begin is read as it was written")
{
    auto const at = time_point{std::chrono::microseconds{1'700'000'000'000'001}};
    for (storage_epoch const& epoch : {storage_epoch{"run id", 0}, storage_epoch{"a b c", 18'446'744'073'709'551'615u},
                                       storage_epoch{"", 7}, storage_epoch{"x", std::nullopt}, storage_epoch{}})
    {
        register_begin const begin{at, epoch};
        CHECK(register_begin::from_record(begin.to_record()) == begin);
    }
    CHECK_FALSE(register_begin::from_record(as_bytes("")));
    CHECK_FALSE(register_begin::from_record(as_bytes("1234567")));
    CHECK_FALSE(register_begin::from_record(as_bytes("12345678"))); // of a version that knew no epochs
    CHECK(register_begin::from_record(as_bytes("12345678-1 x"))->epoch == storage_epoch{"x", std::nullopt});
    CHECK(register_begin::from_record(as_bytes("1234567899999999999999999999 x"))->epoch ==
          storage_epoch{"x", std::nullopt});
}

#ifndef REPRISE_TEST_NO_FORK
TEST_CASE("in a child of fork(2) a guard in the parent's memory refuses, and says why")
{
    for (auto const& guard : {replay_guard::in_memory(), replay_guard::shared(memory_storage::make())})
    {
        (void)test::now(strike_register::hit(guard.strikes(), binder(0)));
        auto const here = test::now(strike_register::hit(guard.strikes(), binder(1)));
        CHECK(here.reason == none);
        int const status = test::in_child(
            [&]
            {
                if (test::now(strike_register::hit(guard.strikes(), binder(2))).reason != guard_unsure)
                    return 1;
                try
                {
                    test::now(guard.check());
                    return 2;
                }
                catch (system_error const& e)
                {
                    return e.code() == errc::made_before_fork ? 0 : 3;
                }
            });
        CHECK(status == 0);
        auto const of_the_child = test::in_child(
            []
            {
                auto const own = replay_guard::in_memory().strikes();
                return static_cast<int>(test::now(strike_register::hit(own, binder(1))).reason);
            });
        CHECK(of_the_child == 0);
        CHECK(test::now(strike_register::hit(guard.strikes(), binder(3))).reason == none);
    }
}
#endif

TEST_CASE("what is no time in place of the begin counts as none")
{
    shared_register r;
    r.storage->put_now("reprise replay guard begin", as_bytes("garbage"), r.clock.now() + 1h);
    CHECK(r.verdict(1, 60s) == guard_starting);
    r.clock.advance(life + 1ms);
    CHECK(r.verdict(2, 60s) == none);
}

TEST_CASE("a begin that no clock can show is not long ago")
{
    shared_register r;
    r.storage->put_now("reprise replay guard begin", as_bytes("\x7fgarbage0 memory"), r.clock.now() + 1h);
    CHECK(r.verdict(1, 60s) == guard_starting);
}

TEST_CASE("a begin in the future is not long ago")
{
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(-5s);
    CHECK(r.verdict(1, 60s) == guard_starting);
}

TEST_CASE("a storage that fails in either of its two answers is a refusal")
{
    using testing::storage_fault;
    using testing::storage_operation;
    shared_register r;
    (void)r.hit(0);
    r.clock.advance(life + 1ms);
    r.link->set_plan(testing::each(storage_operation::put_if_absent, storage_fault::fail));
    CHECK(r.verdict(1, 60s) == guard_failed);
    r.link->set_plan(testing::each(storage_operation::put_if_absent, storage_fault::fail_after));
    CHECK(r.verdict(2, 60s) == guard_failed);
    r.link->set_plan(testing::each(storage_operation::get, storage_fault::fail));
    CHECK(r.verdict(3, 60s) == guard_failed);
    r.link->set_plan({});
    CHECK(r.verdict(2, 60s) == replayed); // its answer was lost, and nobody knows to whom
    CHECK(r.verdict(4, 60s) == none);
}

TEST_CASE("a storage that hangs is a refusal when the deadline is over")
{
    shared_register r{{.storage_timeout = 5ms}};
    (void)r.hit(0);
    r.clock.advance(life + 1ms);
    r.link->set_plan(testing::each(testing::storage_operation::put_if_absent, testing::storage_fault::hang));
    asio::io_context io;
    std::optional<strike> result;
    asio::co_spawn(io, strike_register::hit(r.made, binder(1)),
                   [&](std::exception_ptr e, strike s)
                   {
                       CHECK_FALSE(e);
                       result = s;
                   });
    io.run_for(20s);
    REQUIRE(result.has_value());
    CHECK(result->reason == guard_late);
}

TEST_CASE("no more flights than there is room for, within a life")
{
    shared_register r{{.max_entries = 10}};
    r.clock.advance(life + 1ms);
    int accepted = 0;
    for (int i = 0; i < 100; ++i)
        if (r.hit(i).reason != guard_full)
            ++accepted;
    CHECK(accepted == 10);
    CHECK(r.storage->stats().entries == 11); // and the begin
    r.clock.advance(life + 1ms);
    CHECK(r.hit(200).reason == guard_full); // those of the last life may still count
    r.clock.advance(life + 1ms);
    CHECK(r.hit(201).reason == none);
}

TEST_CASE("at any time, no life has more strikes than the budget")
{
    strike_budget budget{100, 1s};
    testing::manual_clock clock;
    std::deque<time_point> spent;
    std::size_t refused = 0;
    for (int i = 0; i < 20'000; ++i)
    {
        clock.advance(std::chrono::milliseconds{(i * 7919) % 13});
        auto const now = clock.now();
        while (!spent.empty() && spent.front() <= now - 1s)
            spent.pop_front();
        if (budget.spend(now))
            spent.push_back(now);
        else
            ++refused;
        CHECK(spent.size() <= 100);
    }
    CHECK(refused > 0);
    CHECK(refused < 19'000);
}

TEST_CASE("in memory: complete since it was made, which is enough for keys that are as young")
{
    testing::manual_clock clock;
    auto const strikes = replay_guard::in_memory({.now = clock}).strikes();
    auto const& rules = strikes->rules();
    auto const first = test::now(strike_register::hit(strikes, binder(1)));
    CHECK(rules.judge(first, clock.now(), clock.now(), true) == none);
    CHECK(rules.judge(first, clock.now(), clock.now(), false) == guard_starting);
    CHECK(rules.judge(first, clock.now() + 1s, clock.now() + 1s, false) == none); // issued since
    auto const again = test::now(strike_register::hit(strikes, binder(1)));
    CHECK(rules.judge(again, clock.now(), clock.now(), true) == replayed);
    clock.advance(12s + 1us); // the begin is rounded up
    auto const later = test::now(strike_register::hit(strikes, binder(2)));
    CHECK(rules.judge(later, clock.now() - 1h, clock.now(), false) == none);
}

TEST_CASE("a guard in memory has room for all that it may remember")
{
    testing::manual_clock clock;
    auto const strikes = replay_guard::in_memory({.max_entries = 5000, .now = clock}).strikes();
    for (int i = 0; i < 5000; ++i)
        CHECK(test::now(strike_register::hit(strikes, binder(i))).is_complete);
    for (int i = 0; i < 5000; ++i)
        CHECK(test::now(strike_register::hit(strikes, binder(i))).reason == guard_full);
}

TEST_CASE("bad options say what is wrong")
{
    auto const storage = memory_storage::make({});
    CHECK_THROWS_AS((void)replay_guard::shared(nullptr), system_error);
    CHECK_THROWS_AS((void)replay_guard::shared(storage, {.max_entries = 0}), system_error);
    CHECK_THROWS_AS((void)replay_guard::shared(storage, {.storage_timeout = 0ms}), system_error);
    CHECK_THROWS_AS((void)replay_guard::shared(storage, {.max_clock_skew = -1ms}), system_error);
    CHECK_THROWS_AS((void)replay_guard::shared(storage, {.max_clock_skew = 2h}), system_error);
    CHECK_THROWS_AS((void)replay_guard::in_memory({.now = {}}), system_error);
}
