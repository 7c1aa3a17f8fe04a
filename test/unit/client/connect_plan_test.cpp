// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a client does on its way to a connection: each plan, failing and ending at each of its steps, without a socket.
#include "support/printers.hpp"

#include <reprise/detail/client/connect_plan.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
namespace error = boost::asio::error;

TEST_SUITE_BEGIN("connect_plan");

namespace {

using step = connect_step;
using steps = std::vector<step>;

struct trace
{
    steps taken;
    step end = step::failed;
    error_code why;
    unsigned attempts = 0;

    [[nodiscard]] auto count(step s) const { return std::ranges::count(taken, s); }
};

/// Take the steps of a plan. `how` says how each ends, by its place in the sequence.
trace follow(connect_task const& task, std::function<connect_progress(std::size_t, step)> const& how)
{
    connect_plan plan{task};
    trace t;
    while (plan.step() != step::done && plan.step() != step::failed)
    {
        REQUIRE(t.taken.size() < 1000);
        t.taken.push_back(plan.step());
        plan.ended(how(t.taken.size() - 1, plan.step()));
    }
    t.end = plan.step();
    t.why = plan.error();
    t.attempts = plan.attempt();
    return t;
}

trace succeed(connect_task const& task)
{
    return follow(task, [](std::size_t, step) { return connect_progress{}; });
}

connect_progress failing(error_code ec)
{
    return {.ec = ec};
}

/// Tasks of every kind, each with the steps that it takes where nothing fails.
struct example
{
    std::string name;
    connect_task task;
    steps expected;
};

std::vector<example> const examples = {
    {"plain", {}, {step::resolve, step::connect, step::shake_hands}},
    {"a connected layer", {.is_connected = true}, {step::shake_hands}},
    {"a connector", {.has_connector = true}, {step::call_connector, step::shake_hands}},
    {"a proxy",
     {.is_proxied = true, .proxy_requests = 2},
     {step::resolve, step::connect, step::ask_proxy, step::shake_hands}},
    {"fast open", {.fast_open = true}, {step::resolve, step::connect_fast, step::shake_hands}},
    {"fast open by a connector", {.has_connector = true, .fast_open = true}, {step::call_connector, step::shake_hands}},
    {"early data",
     {.sends_early = true, .sends_rest = true},
     {step::resolve, step::connect, step::shake_hands, step::send_rest}},
    {"early data without a rest", {.sends_early = true}, {step::resolve, step::connect, step::shake_hands}},
    {"all at once",
     {.fast_open = true, .sends_early = true, .sends_rest = true, .retry = {.max_attempts = 3, .first_delay = 1ms}},
     {step::resolve, step::connect_fast, step::shake_hands, step::send_rest}},
};

} // namespace

TEST_CASE("each task has its steps, in order, once")
{
    for (auto const& e : examples)
    {
        CAPTURE(e.name);
        auto const t = succeed(e.task);
        CHECK(t.taken == e.expected);
        CHECK(t.end == step::done);
        CHECK(t.attempts == 1);
    }
}

TEST_CASE("an error that will not pass ends each plan at each of its steps, and is what the plan tells")
{
    for (auto const& e : examples)
        for (std::size_t at = 0; at < e.expected.size(); ++at)
        {
            CAPTURE(e.name);
            CAPTURE(at);
            auto const t = follow(e.task, [&](std::size_t i, step)
                                  { return i == at ? failing(error::access_denied) : connect_progress{}; });
            CHECK(t.end == step::failed);
            CHECK(t.why == error::access_denied);
            CHECK(t.count(step::pause) == 0);
        }
}

TEST_CASE("a cancellation, the stream's end and the timeout end each plan at each of its steps")
{
    for (auto const& e : examples)
        for (std::size_t at = 0; at < e.expected.size(); ++at)
        {
            CAPTURE(e.name);
            CAPTURE(at);
            auto once = e.task;
            once.retry.max_attempts = 1;
            auto const end_with = [&](connect_progress const& last)
            { return follow(once, [&](std::size_t i, step) { return i == at ? last : connect_progress{}; }); };
            auto const cancelled = end_with(failing(error::operation_aborted));
            CHECK(cancelled.end == step::failed);
            CHECK(cancelled.why == error::operation_aborted);
            CHECK(cancelled.taken.size() == at + 1);
            auto const stopped = end_with({.is_stopped = true}); // even where the step itself succeeded
            CHECK(stopped.end == step::failed);
            CHECK(stopped.why == error::operation_aborted);
            CHECK(stopped.taken.size() == at + 1);
            auto const late = end_with({.is_late = true});
            CHECK(late.end == step::failed);
            CHECK(late.why == error::timed_out);
            CHECK(late.taken.size() == at + 1);
        }
}

TEST_CASE("an error that may pass is tried again, as often as the options say, with a pause before each attempt")
{
    connect_task task{.retry = {.max_attempts = 3, .first_delay = 100ms, .max_delay = 1s}};
    for (auto const where : {step::resolve, step::connect, step::shake_hands})
    {
        CAPTURE(static_cast<int>(where));
        auto const t = follow(task, [&](std::size_t, step s)
                              { return s == where ? failing(error::connection_refused) : connect_progress{}; });
        CHECK(t.end == step::failed);
        CHECK(t.why == error::connection_refused);
        CHECK(t.attempts == 3);
        CHECK(t.count(step::pause) == 2);
        CHECK(t.count(where) == 3);
    }

    connect_plan plan{task};
    plan.ended({.ec = error::timed_out, .random = 1.0});
    CHECK(plan.step() == step::pause);
    CHECK(plan.delay() == 100ms);
    CHECK_FALSE(plan.begins_attempt());
    plan.ended({});
    CHECK(plan.step() == step::resolve);
    CHECK(plan.begins_attempt());
    CHECK(plan.attempt() == 2);
    plan.ended({});
    CHECK_FALSE(plan.begins_attempt());
}

TEST_CASE("a late attempt may be followed by another, a stopped one not")
{
    connect_task const task{.retry = {.max_attempts = 2, .first_delay = 1ms}};
    auto const late = follow(task, [](std::size_t i, step) { return connect_progress{.is_late = i == 1}; });
    CHECK(late.end == step::done);
    CHECK(late.attempts == 2);
    auto const stopped = follow(task, [](std::size_t i, step) { return connect_progress{.is_stopped = i == 1}; });
    CHECK(stopped.end == step::failed);
    CHECK(stopped.attempts == 1);
}

TEST_CASE("a pause that is cut short ends the plan")
{
    connect_task const task{.retry = {.max_attempts = 5, .first_delay = 1ms}};
    auto const cut = [&](connect_progress const& how)
    { return follow(task, [&](std::size_t, step s) { return s == step::pause ? how : failing(error::timed_out); }); };
    CHECK(cut(failing(error::operation_aborted)).why == error::operation_aborted);
    CHECK(cut({.is_stopped = true}).why == error::operation_aborted);
    CHECK(cut({.is_stopped = true}).attempts == 1);
}

TEST_CASE("what has only one attempt is not tried again")
{
    connect_task const task{.is_only_attempt = true, .retry = {.max_attempts = 5}};
    auto const t = follow(task, [](std::size_t, step) { return failing(error::connection_refused); });
    CHECK(t.taken == steps{step::resolve});
    CHECK(t.end == step::failed);
}

TEST_CASE("a request that the server may have processed is not sent again")
{
    connect_task const task{.sends_early = true, .sends_rest = true, .retry = {.max_attempts = 5}};
    auto const t =
        follow(task,
               [](std::size_t, step s)
               {
                   bool const is_broken = s == step::shake_hands;
                   return connect_progress{.ec = is_broken ? error_code{error::connection_reset} : error_code{},
                                           .may_be_processed = is_broken || s == step::drain};
               });
    CHECK(t.taken == steps{step::resolve, step::connect, step::shake_hands, step::drain});
    CHECK(t.end == step::failed);
    CHECK(t.why == error::connection_reset);
}

TEST_CASE("early data that the server has certainly refused is dropped, and the connection is made again once")
{
    connect_task const task{.sends_early = true, .sends_rest = true};
    connect_plan plan{task};
    plan.ended({});
    plan.ended({});
    REQUIRE(plan.step() == step::shake_hands);
    CHECK(plan.sends_early());
    CHECK_FALSE(plan.has_dropped_early());
    plan.ended({.ec = error::connection_reset, .may_be_processed = true});
    REQUIRE(plan.step() == step::drain);
    plan.ended({.may_go_without_early = true, .may_be_processed = true});
    CHECK(plan.step() == step::resolve);
    CHECK_FALSE(plan.begins_attempt()); // the timeout goes on
    CHECK_FALSE(plan.sends_early());
    CHECK(plan.has_dropped_early());
    plan.ended({});
    plan.ended({});
    REQUIRE(plan.step() == step::shake_hands);
    plan.ended({.ec = error::connection_reset});
    CHECK(plan.step() == step::failed); // there is nothing left to drop
}

TEST_CASE("a layer that the caller has connected is not connected again without early data")
{
    auto const t = follow({.is_connected = true, .sends_early = true, .is_only_attempt = true},
                          [](std::size_t, step) { return failing(error::connection_reset); });
    CHECK(t.taken == steps{step::shake_hands});
}

TEST_CASE("a handshake that could not begin is no answer of the server's to early data")
{
    auto const t = follow({.sends_early = true},
                          [](std::size_t, step s)
                          {
                              return s == step::shake_hands
                                         ? connect_progress{.ec = errc::settings_lost, .has_thrown = true}
                                         : connect_progress{};
                          });
    CHECK(t.count(step::drain) == 0);
    CHECK(t.why == errc::settings_lost);
}

TEST_CASE("a first flight that did not arrive by Fast Open is sent again without, with its early data")
{
    for (error_code const ec : {error_code{error::connection_refused}, error_code{error::host_unreachable},
                                error_code{error::network_unreachable}})
    {
        bool is_first = true;
        connect_plan plan{{.fast_open = true, .sends_early = true}};
        steps taken;
        while (plan.step() != step::done)
        {
            REQUIRE(taken.size() < 10);
            taken.push_back(plan.step());
            CHECK(plan.sends_early());
            bool const fails = plan.step() == step::shake_hands && std::exchange(is_first, false);
            plan.ended({.ec = fails ? ec : error_code{}});
        }
        CHECK(taken == steps{step::resolve, step::connect_fast, step::shake_hands, step::resolve, step::connect,
                             step::shake_hands});
    }
}

TEST_CASE("a proxy is asked for each address until it takes one, unless the error is its own")
{
    connect_task const task{.is_proxied = true, .proxy_requests = 3};
    for (error_code const passing : {make_error_code(errc::proxy_failed), make_error_code(errc::proxy_refused)})
    {
        connect_plan plan{task};
        plan.ended({});
        for (std::size_t number = 0; number < 3; ++number)
        {
            REQUIRE(plan.step() == step::connect);
            plan.ended({});
            REQUIRE(plan.step() == step::ask_proxy);
            CHECK(plan.proxy_request() == number);
            plan.ended({.ec = passing});
        }
        CHECK(plan.step() == step::failed);
        CHECK(plan.error() == passing);
    }
    auto const t =
        follow(task, [](std::size_t, step s)
               { return s == step::ask_proxy ? failing(errc::proxy_authentication_required) : connect_progress{}; });
    CHECK(t.count(step::ask_proxy) == 1);
    CHECK(t.why == errc::proxy_authentication_required);
}

TEST_SUITE_END();
