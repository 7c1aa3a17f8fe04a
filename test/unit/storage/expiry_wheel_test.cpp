// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/memory/expiry_wheel.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace reprise;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("expiry_wheel");

namespace {

struct timed
{
    time_point expiry;
    detail::expiry_hook hook;
};
using wheel = detail::expiry_wheel<timed, &timed::hook>;

struct swept
{
    std::size_t looks;
    int expired;
};

// As if something were written every minute.
swept sweep_each_minute(wheel& w, time_point from, time_point to)
{
    swept result{0, 0};
    for (auto now = from; now <= to; now += 1min)
    {
        std::size_t budget = 1000;
        w.sweep(now, false, budget, [&](timed&) { ++result.expired; });
        result.looks += 1000 - budget;
    }
    return result;
}

} // namespace

TEST_CASE("what lives for up to a month is looked at once, when it has expired")
{
    time_point const start{1'800'000'000s};
    std::array<timed, 5> entries{};
    std::chrono::seconds const lives[] = {1s, 5min, 2h, 24h, 24h * 30};
    wheel w{start};
    for (std::size_t i = 0; i < entries.size(); ++i)
    {
        entries[i].expiry = start + lives[i];
        w.add(entries[i], start);
    }
    auto const [looks, expired] = sweep_each_minute(w, start, start + 24h * 33);
    CHECK(expired == 5);
    CHECK(looks == 5);
}

TEST_CASE("what was added while the clock was back is dropped at the next sweep, not a turn later")
{
    time_point const start{1'800'000'000s};
    timed e{start - 30s, {}};
    wheel w{start};
    sweep_each_minute(w, start, start + 1min);
    w.add(e, start - 40s); // in a slot that has been swept
    auto const [looks, expired] = sweep_each_minute(w, start + 62s, start + 62s);
    CHECK(expired == 1);
}

TEST_CASE("a sweep that has looked at enough goes on where it stopped")
{
    time_point const start{1'800'000'000s};
    std::array<timed, 10> entries{};
    wheel w{start};
    for (auto& e : entries)
    {
        e.expiry = start + 5s;
        w.add(e, start);
    }
    int expired = 0;
    auto const sweep = [&](std::size_t budget)
    { return w.sweep(start + 7s, false, budget, [&](timed&) { ++expired; }); };
    CHECK_FALSE(sweep(4));
    CHECK(expired == 4);
    CHECK_FALSE(sweep(4));
    CHECK(sweep(4));
    CHECK(expired == 10);
    CHECK(sweep(0));
}

TEST_SUITE_END();
