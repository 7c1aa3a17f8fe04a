// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/await.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/storage/tiered_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <random>

using namespace reprise;
using namespace reprise::testing;
using namespace std::chrono_literals;
using operation = storage_operation;
using fault = storage_fault;
using test::now;

TEST_SUITE_BEGIN("tiered_storage");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

// One server of a fleet, whose link to what they share can be cut.
struct server
{
    server(storage_ptr shared, manual_clock time)
        : near(memory_storage::make({.now = time})), link(faulty_storage::make(std::move(shared))),
          tiered(tiered_storage::make({.near = near, .far = link, .near_ttl = 10s, .now = time}))
    {
    }

    void cut()
    {
        link->set_plan([](auto, auto) { return fault::fail; });
    }
    void mend() { link->set_plan({}); }

    std::shared_ptr<memory_storage> near;
    std::shared_ptr<faulty_storage> link;
    std::shared_ptr<tiered_storage> tiered;
};

struct fixture
{
    manual_clock time;
    time_point later = time.now() + 60s;
    std::shared_ptr<memory_storage> far = memory_storage::make({.now = time});
    server here{far, time};
    server there{far, time};
};

// An operation that has begun and goes on when its io_context does.
template <class T>
struct begun
{
    begun(asio::io_context& io, asio::awaitable<T> what)
    {
        asio::co_spawn(io, std::move(what),
                       asio::bind_cancellation_slot(cancel.slot(),
                                                    [this](std::exception_ptr e, T value)
                                                    {
                                                        failure = e;
                                                        result.emplace(std::move(value));
                                                    }));
        io.poll();
    }

    asio::cancellation_signal cancel;
    std::exception_ptr failure;
    std::optional<T> result;
};

asio::awaitable<bool> put(storage_ptr s, std::string name, std::string_view value, time_point expiry)
{
    co_await s->put(std::move(name), bytes(value), expiry);
    co_return true;
}

} // namespace

TEST_CASE("the second lookup of a name does not ask far away, and neither does the first one after a put")
{
    fixture f;
    now(f.there.tiered->put("a", bytes("one"), f.later));
    CHECK(now(f.here.tiered->get("a")) == bytes("one"));
    CHECK(now(f.here.tiered->get("a")) == bytes("one"));
    CHECK(f.here.link->operations() == 1);
    CHECK(now(f.there.tiered->get("a")) == bytes("one"));
    CHECK(f.there.link->operations() == 1); // the put
}

TEST_CASE("a value is taken once by all servers, whoever has a copy")
{
    fixture f;
    now(f.here.tiered->put("a", bytes("one"), f.later));
    CHECK(now(f.there.tiered->get("a")).has_value());
    CHECK(now(f.there.tiered->take("a")) == bytes("one"));
    CHECK_FALSE(now(f.here.tiered->take("a")).has_value());
    CHECK_FALSE(now(f.there.tiered->take("a")).has_value());
    CHECK_FALSE(now(f.there.tiered->get("a")).has_value());
    CHECK_FALSE(now(f.here.tiered->get("a")).has_value()); // asking for it has dropped the copy
}

TEST_CASE("one server puts if absent, and what was a copy of an older value is not served")
{
    fixture f;
    CHECK(now(f.here.tiered->put_if_absent("a", bytes("one"), f.later)));
    CHECK_FALSE(now(f.there.tiered->put_if_absent("a", bytes("two"), f.later)));
    CHECK(now(f.there.tiered->get("a")) == bytes("one"));
    CHECK(now(f.here.tiered->get("a")) == bytes("one"));
    CHECK(now(f.there.tiered->erase("a")));
    CHECK(now(f.here.tiered->put_if_absent("a", bytes("three"), f.later)));
    CHECK(now(f.here.tiered->get("a")) == bytes("three"));
}

TEST_CASE("what another server has taken is served by get for at most near_ttl")
{
    fixture f;
    now(f.here.tiered->put("a", bytes("one"), f.later));
    now(f.there.tiered->put("b", bytes("one"), f.later));
    CHECK(now(f.here.tiered->get("b")).has_value());
    CHECK(now(f.there.tiered->take("a")).has_value());
    CHECK(now(f.there.tiered->erase("b")));
    f.time.advance(9s);
    CHECK(now(f.here.tiered->get("a")).has_value());
    CHECK(now(f.here.tiered->get("b")).has_value());
    f.time.advance(1s);
    CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
    CHECK_FALSE(now(f.here.tiered->get("b")).has_value());
}

TEST_CASE("a copy does not outlive its record")
{
    fixture f;
    now(f.there.tiered->put("a", bytes("one"), f.time.now() + 5s));
    CHECK(now(f.here.tiered->get("a")).has_value());
    f.time.advance(5s);
    CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
    CHECK(f.here.tiered->stats().rejected == 0);
}

TEST_CASE("while far is down, get serves what is near, and nothing is taken")
{
    fixture f;
    now(f.here.tiered->put("a", bytes("one"), f.later));
    f.here.cut();
    CHECK(now(f.here.tiered->get("a")) == bytes("one"));
    CHECK_THROWS_AS(now(f.here.tiered->get("b")), system_error);
    CHECK_THROWS_AS(now(f.here.tiered->put("c", bytes("three"), f.later)), system_error);
    CHECK(now(f.here.tiered->get("c")) == bytes("three")); // near has it all the same
    CHECK_THROWS_AS(now(f.here.tiered->take("a")), system_error);
    CHECK_THROWS_AS(now(f.here.tiered->put_if_absent("d", bytes("four"), f.later)), system_error);
    CHECK_THROWS_AS(now(f.here.tiered->erase("c")), system_error);
    CHECK_THROWS_AS(now(f.here.tiered->flush()), system_error);
    f.here.mend();
    CHECK_FALSE(now(f.here.tiered->take("c")).has_value()); // far decides
    CHECK_FALSE(now(f.here.tiered->get("c")).has_value());
    CHECK(now(f.here.tiered->take("a")) == bytes("one"));
}

TEST_CASE("a far record that no tiered_storage has written is a miss and counted")
{
    fixture f;
    for (auto const* const record : {"", "\1", "\1\0\0\0", "a session from before"})
    {
        now(f.far->put("a", bytes(record), f.later));
        CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
    }
    CHECK_FALSE(now(f.here.tiered->take("a")).has_value());
    CHECK(f.here.tiered->stats().rejected == 5);
    now(f.far->put("a", secret_bytes{as_bytes(std::string(9, '\1') + "far in the future")}, f.later));
    CHECK(now(f.here.tiered->get("a")).has_value()); // an expiry that no clock can hold is only far away
}

TEST_CASE("a get that has read before a take, and comes back after it, leaves nothing near")
{
    struct row
    {
        char const* name;
        std::function<asio::awaitable<bool>(storage_ptr)> write;
        bool is_left;
    };
    fixture const times;
    auto const later = times.later;
    std::vector<row> const rows = {
        {"take", [](storage_ptr s) -> asio::awaitable<bool> { co_return (co_await s->take("a")).has_value(); }, false},
        {"erase", [](storage_ptr s) { return s->erase("a"); }, false},
        {"put", [=](storage_ptr s) { return put(s, "a", "two", later); }, true},
    };
    for (auto const& r : rows)
    {
        CAPTURE(r.name);
        fixture f;
        now(f.there.tiered->put("a", bytes("one"), f.later));
        f.here.link->set_plan(each(operation::get, fault::hold_after));
        asio::io_context io;
        begun get{io, f.here.tiered->get("a")};
        REQUIRE_FALSE(get.result.has_value());
        CHECK(now(r.write(f.here.tiered)));
        f.here.link->release();
        io.run();
        CHECK(*get.result == bytes("one")); // it was there when it was asked for
        f.here.mend();
        CHECK(now(f.here.tiered->get("a")) == (r.is_left ? std::optional{bytes("two")} : std::nullopt));
    }
}

TEST_CASE("a get that begins while a take is under way leaves nothing near")
{
    for (auto const when : {fault::hold, fault::hold_after})
    {
        fixture f;
        now(f.there.tiered->put("a", bytes("one"), f.later));
        f.here.link->set_plan([=](operation o, std::size_t)
                              { return o == operation::take ? when : fault::hold_after; });
        asio::io_context io;
        begun take{io, f.here.tiered->take("a")};
        begun get{io, f.here.tiered->get("a")};
        CHECK(f.here.link->waiting() == 2);
        f.here.link->release();
        io.run();
        CHECK(*take.result == bytes("one"));
        f.here.mend();
        CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
    }
}

TEST_CASE("a put that is overtaken by a take leaves nothing near")
{
    fixture f;
    f.here.link->set_plan(each(operation::put, fault::hold_after));
    asio::io_context io;
    begun writing{io, put(f.here.tiered, "a", "one", f.later)};
    CHECK(now(f.here.tiered->get("a")).has_value()); // near at once
    CHECK(now(f.here.tiered->take("a")) == bytes("one"));
    CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
    f.here.link->release();
    io.run();
    CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
}

TEST_CASE("a put that begins while a take is under way leaves nothing near that the take may have got")
{
    fixture f;
    f.here.link->set_plan(each(operation::take, fault::hold));
    asio::io_context io;
    begun take{io, f.here.tiered->take("a")};
    now(f.here.tiered->put("a", bytes("one"), f.later));
    CHECK(now(f.here.tiered->get("a")).has_value()); // from far
    f.here.link->release();
    io.run();
    CHECK(*take.result == bytes("one"));
    CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
}

TEST_CASE("of two puts that run into one another, near keeps neither")
{
    fixture f;
    f.here.link->set_plan(nth_operation(0, fault::hold)); // the first one is last far away
    asio::io_context io;
    begun first{io, put(f.here.tiered, "a", "first", f.later)};
    now(f.here.tiered->put("a", bytes("second"), f.later));
    f.here.link->release();
    io.run();
    CHECK(now(f.far->get("a")).has_value());
    CHECK(now(f.here.tiered->get("a")) == bytes("first"));
}

TEST_CASE("operations that are cancelled or go with their io_context stand in nobody's way")
{
    for (bool const cancelled : {true, false})
    {
        CAPTURE(cancelled);
        fixture f;
        now(f.there.tiered->put("a", bytes("one"), f.later));
        f.here.link->set_plan([](operation, std::size_t) { return fault::hang; });
        {
            asio::io_context io;
            begun get{io, f.here.tiered->get("a")};
            begun take{io, f.here.tiered->take("a")};
            CHECK(f.here.link->waiting() == 2);
            if (cancelled)
            {
                get.cancel.emit(asio::cancellation_type::terminal);
                take.cancel.emit(asio::cancellation_type::terminal);
                io.run();
                CHECK_THROWS_AS(std::rethrow_exception(get.failure), system_error);
                CHECK_THROWS_AS(std::rethrow_exception(take.failure), system_error);
            }
        }
        f.here.mend();
        CHECK(now(f.here.tiered->get("a")) == bytes("one"));
        CHECK(now(f.here.tiered->get("a")) == bytes("one"));
        CHECK(f.here.link->operations() == 1); // copies are made again
        CHECK(now(f.here.tiered->take("a")) == bytes("one"));
        CHECK_FALSE(now(f.here.tiered->get("a")).has_value());
    }
}

TEST_CASE("in any order of steps, after a take nothing older is near")
{
    std::mt19937 random{1}; // the same orders every time
    for (int round = 0; round < 300; ++round)
    {
        CAPTURE(round);
        fixture f;
        now(f.there.tiered->put("a", bytes("one"), f.later));
        asio::io_context io;
        f.here.link->set_plan(
            [&](operation o, std::size_t)
            {
                if (o == operation::take)
                    return fault::none;
                return random() % 2 == 0 ? fault::hold : fault::hold_after;
            });
        std::vector<std::unique_ptr<begun<std::optional<secret_bytes>>>> gets;
        std::unique_ptr<begun<bool>> write;
        for (int step = 0; step < 8; ++step)
            switch (random() % 3)
            {
            case 0:
                gets.push_back(std::make_unique<begun<std::optional<secret_bytes>>>(io, f.here.tiered->get("a")));
                break;
            case 1: f.here.link->release(); break;
            default: io.poll_one(); break;
            }
        if (random() % 2 == 0)
            write = std::make_unique<begun<bool>>(io, put(f.here.tiered, "a", "two", f.later));
        (void)now(f.here.tiered->take("a"));
        f.here.mend();
        f.here.link->release();
        io.restart();
        io.run();
        auto const near_first = now(f.here.tiered->get("a"));
        now(f.here.near->erase("a"));
        CHECK(near_first == now(f.here.tiered->get("a")));
    }
}

TEST_CASE("an option out of bounds is refused and named")
{
    auto const refused = [](std::function<void(tiered_storage_options&)> const& change, std::string const& naming)
    {
        tiered_storage_options options{.near = memory_storage::make(), .far = memory_storage::make()};
        change(options);
        try
        {
            (void)tiered_storage::make(options);
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option && std::string{e.what()}.find(naming) != std::string::npos;
        }
        return false;
    };
    CHECK_FALSE(refused([](auto&) {}, ""));
    CHECK(refused([](auto& o) { o.near = nullptr; }, "near"));
    CHECK(refused([](auto& o) { o.far = nullptr; }, "far"));
    CHECK(refused([](auto& o) { o.far = o.near; }, "far"));
    CHECK(refused([](auto& o) { o.near_ttl = 0s; }, "near_ttl"));
    CHECK(refused([](auto& o) { o.near_ttl = 24h * 7 + 1s; }, "near_ttl"));
    CHECK(refused([](auto& o) { o.now = nullptr; }, "now"));
}

TEST_SUITE_END();
