// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/net/attempt_plan.hpp>

#include <doctest/doctest.h>

using namespace reprise::detail;

TEST_SUITE_BEGIN("attempt_plan");

TEST_CASE("attempts start one after the other, each when the one before has had its time")
{
    attempt_plan plan{3};
    for (int i = 0; i < 3; ++i)
    {
        CHECK(plan.next() == race_step::start);
        plan.started();
        CHECK(plan.next() == race_step::wait);
        CHECK(plan.has_more() == (i < 2));
        plan.delay_over();
    }
    CHECK(plan.next() == race_step::wait); // there is nobody left to start
    plan.connected();
    CHECK(plan.next() == race_step::won);
}

TEST_CASE("one that fails lets the next one start at once, and when all have failed the race is lost")
{
    attempt_plan plan{2};
    plan.started();
    plan.failed();
    CHECK(plan.next() == race_step::start);
    plan.started();
    CHECK(plan.next() == race_step::wait);
    plan.failed();
    CHECK(plan.next() == race_step::lost);
    CHECK(attempt_plan{0}.next() == race_step::lost);
}

TEST_CASE("a late failure does not undo a win")
{
    attempt_plan plan{2};
    plan.started();
    plan.delay_over();
    plan.started();
    plan.connected();
    plan.failed();
    CHECK(plan.next() == race_step::won);
}

TEST_SUITE_END();
