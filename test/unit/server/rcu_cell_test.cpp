// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/rcu_cell.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using reprise::detail::rcu_cell;

TEST_SUITE_BEGIN("published");

namespace {

std::atomic<int> alive{0};

// Its parts are equal as long as it lives.
struct value
{
    explicit value(int v) : one(v), other(v) { ++alive; }
    value(value const&) = delete;
    value& operator=(value const&) = delete;
    ~value()
    {
        one = -1;
        --alive;
    }

    int one;
    int other;
};

} // namespace

TEST_CASE("a value goes when it was replaced and nobody reads it any more")
{
    {
        rcu_cell<value> v{std::make_unique<value const>(1)};
        {
            auto const old = v.read();
            v.publish(std::make_unique<value const>(2));
            CHECK(old->one == 1);
            CHECK(v.read()->one == 2);
            CHECK(alive == 2);
            v.tidy();
            CHECK(alive == 2);
        }
        v.tidy();
        CHECK(alive == 1);
        v.publish(std::make_unique<value const>(3));
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
}

TEST_CASE("readers never see a value that is gone")
{
    rcu_cell<value> v{std::make_unique<value const>(0)};
    std::atomic<bool> stop{false};
    std::atomic<int> torn{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t)
        readers.emplace_back(
            [&]
            {
                int last = 0;
                while (!stop)
                {
                    auto const now = v.read();
                    if (now->one != now->other || now->one < last)
                        ++torn;
                    last = now->one;
                }
            });
    for (int i = 1; i < 20'000; ++i)
        v.publish(std::make_unique<value const>(i));
    stop = true;
    for (auto& t : readers)
        t.join();
    CHECK(torn == 0);
}

TEST_SUITE_END();
