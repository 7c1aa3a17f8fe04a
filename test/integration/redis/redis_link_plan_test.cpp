// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/link_plan.hpp"

#include <doctest/doctest.h>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("redis link plan");

namespace {

// Times are counted from an arbitrary moment.
link_plan::time_point at(std::chrono::milliseconds t)
{
    return link_plan::time_point{} + 1h + t;
}

link_plan plan()
{
    return {100ms, 450ms, 3};
}

} // namespace

TEST_CASE("at first it connects at once, and operations wait")
{
    auto const p = plan();
    CHECK(p.state() == redis_state::connecting);
    CHECK(p.next_attempt() <= at(0ms));
}

TEST_CASE("attempts that fail open the circuit, and the backoff doubles up to its bound")
{
    auto p = plan();
    p.attempt_failed(at(0ms), 0);
    CHECK(p.state() == redis_state::open);
    CHECK(p.next_attempt() == at(100ms));
    p.attempt_failed(at(100ms), 0);
    CHECK(p.next_attempt() == at(300ms));
    p.attempt_failed(at(300ms), 0);
    CHECK(p.next_attempt() == at(700ms));
    p.attempt_failed(at(1000ms), 0);
    CHECK(p.next_attempt() == at(1450ms));
}

TEST_CASE("jitter takes off up to half of the backoff")
{
    auto p = plan();
    p.attempt_failed(at(0ms), 1);
    CHECK(p.next_attempt() == at(50ms));
    p.attempt_failed(at(0ms), 0.5);
    CHECK(p.next_attempt() == at(150ms));
}

TEST_CASE("a healthy connection that ends is made again at once, and operations wait")
{
    auto p = plan();
    p.attempt_failed(at(0ms), 0);
    p.connected();
    CHECK(p.state() == redis_state::connected);
    p.answered();
    p.lost(loss::ended, at(500ms), 0);
    CHECK(p.state() == redis_state::connecting);
    CHECK(p.next_attempt() == at(500ms));
    p.attempt_failed(at(500ms), 0);
    CHECK(p.state() == redis_state::open);
    CHECK(p.next_attempt() == at(600ms));
}

TEST_CASE("a connection that ends without an answer counts as a failed attempt: no busy loop of connections")
{
    auto p = plan();
    p.connected();
    p.lost(loss::ended, at(0ms), 0);
    CHECK(p.state() == redis_state::open);
    CHECK(p.next_attempt() == at(100ms));
    p.connected();
    p.lost(loss::ended, at(100ms), 0);
    CHECK(p.next_attempt() == at(300ms));
}

TEST_CASE("a broken connection opens the circuit, however healthy it was")
{
    auto p = plan();
    p.connected();
    p.answered();
    p.lost(loss::broken, at(0ms), 0);
    CHECK(p.state() == redis_state::open);
    CHECK(p.next_attempt() == at(100ms));
}

TEST_CASE("misses in a row are too many at their bound, and an answer in between starts again")
{
    auto p = plan();
    CHECK_FALSE(p.missed()); // not connected: there is nothing to give up
    CHECK_FALSE(p.missed());
    CHECK_FALSE(p.missed());
    p.connected();
    CHECK_FALSE(p.missed());
    CHECK_FALSE(p.missed());
    p.answered();
    CHECK_FALSE(p.missed());
    CHECK_FALSE(p.missed());
    CHECK(p.missed());
}

TEST_CASE("a replica is left at once, and no more often than the backoff says while it stays one")
{
    auto p = plan();
    p.connected();
    CHECK(p.should_leave_replica(at(0ms), 0));
    CHECK_FALSE(p.should_leave_replica(at(99ms), 0));
    CHECK(p.should_leave_replica(at(100ms), 0));
    CHECK_FALSE(p.should_leave_replica(at(299ms), 0));
    CHECK(p.should_leave_replica(at(300ms), 1)); // up to half of it is taken off
    CHECK_FALSE(p.should_leave_replica(at(499ms), 0));
    CHECK(p.should_leave_replica(at(500ms), 0));
    CHECK_FALSE(p.should_leave_replica(at(949ms), 0)); // the bound is 450 ms
    CHECK(p.should_leave_replica(at(950ms), 0));
    p.wrote(); // a primary again: the next failover begins anew, though not within the wait
    CHECK_FALSE(p.should_leave_replica(at(1000ms), 0));
    CHECK(p.should_leave_replica(at(1400ms), 0));
    CHECK(p.should_leave_replica(at(1500ms), 0));
    CHECK(p.state() == redis_state::connected);
}

TEST_SUITE_END();
