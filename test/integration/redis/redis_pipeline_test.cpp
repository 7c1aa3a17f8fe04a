// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/pipeline.hpp"

#include <reprise/storage/storage_condition.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("redis pipeline");

namespace {

// Requests in one pipeline, which a test serves.
struct world
{
    struct request
    {
        std::shared_ptr<redis_request> of;
        std::optional<error_code> end;
    };

    request& submit(redis_effect effect = redis_effect::writes)
    {
        auto& added = *requests.emplace_back(std::make_unique<request>());
        redis_command command{"GETDEL", "a"};
        added.of = std::make_shared<redis_request>(io.get_executor(), std::move(command), redis_answer::value, effect);
        added.end = line->submit({added.of}, now);
        if (*added.end)
            return added;
        added.end.reset();
        asio::co_spawn(io, added.of->wait(),
                       [&added](std::exception_ptr e)
                       {
                           try
                           {
                               added.end = error_code{};
                               if (e)
                                   std::rethrow_exception(e);
                           }
                           catch (system_error const& error)
                           {
                               added.end = error.code();
                           }
                       });
        poll();
        return added;
    }

    void write()
    {
        std::vector<unsigned char> out;
        CHECK(line->take(out, now));
    }

    pipeline::reply_kind answer(redis_reply reply)
    {
        auto const result = line->answer(std::move(reply), now);
        poll();
        return result;
    }

    void poll()
    {
        io.restart();
        io.poll();
    }

    asio::io_context io;
    steady_time now{};
    std::shared_ptr<redis_counters> counters = std::make_shared<redis_counters>();
    std::unique_ptr<pipeline> line = std::make_unique<pipeline>(50ms, 10, counters);
    std::vector<std::unique_ptr<request>> requests;
};

redis_reply error_reply(std::string text)
{
    redis_reply reply;
    reply.type = redis_reply::kind::error;
    reply.text = std::move(text);
    return reply;
}

// All of ours, and some of others.
std::vector<error_code> all_errors()
{
    std::vector<error_code> result = {asio::error::connection_refused, asio::error::eof, asio::error::no_memory,
                                      asio::error::operation_aborted};
    for (int i = 1; make_error_code(static_cast<redis_errc>(i)).message() != "unknown redis error"; ++i)
        result.push_back(static_cast<redis_errc>(i));
    return result;
}

} // namespace

TEST_CASE("what was written may have been carried out, whatever its connection ends with")
{
    std::size_t unchanged = 0;
    for (auto const& why : all_errors())
        for (auto const state : {redis_state::open, redis_state::connecting})
        {
            CAPTURE(why.message());
            world w;
            w.line->connected();
            auto const& written = w.submit();
            auto const& cancelled = w.submit();
            cancelled.of->complete(asio::error::operation_aborted);
            w.write();
            auto const& queued = w.submit();
            w.line->disconnected(state, why);
            w.poll();
            REQUIRE(written.end);
            CHECK(*written.end != storage_condition::unchanged);
            CHECK(*written.end != error_code{});
            if (why == storage_condition::unchanged)
            {
                ++unchanged;
                CHECK(*written.end == redis_errc::connection_lost);
            }
            else
                CHECK(*written.end == why);
            CHECK(queued.end.has_value() == (state == redis_state::open)); // otherwise it waits for the next connection
            if (queued.end)
                CHECK(*queued.end == why);
            CHECK(w.line->last_error() == why);
        }
    CHECK(unchanged >= 26);
}

TEST_CASE("a request that is late, or whose storage is stopped or abandoned, may have been carried out")
{
    world w;
    w.line->connected();
    auto const& late = w.submit();
    w.write();
    w.now += 50ms;
    w.line->expire(w.now);
    w.poll();
    CHECK(late.end == redis_errc::timed_out);
    CHECK(*late.end != storage_condition::unchanged);
    auto const& written = w.submit();
    w.write();
    auto const& queued = w.submit();
    SUBCASE("stopped")
    {
        w.line->stop();
    }
    SUBCASE("abandoned")
    {
        w.line->abandon();
    }
    w.poll();
    CHECK(written.end == asio::error::operation_aborted);
    CHECK(queued.end == asio::error::operation_aborted);
    CHECK(*written.end != storage_condition::unchanged);
    CHECK(w.submit().end == asio::error::operation_aborted);
    w.line->serve();
    CHECK(w.submit().end.has_value() == w.line->is_stopped());
}

TEST_CASE("an answer says what became of its own request, and of no other")
{
    struct
    {
        char const* text;
        redis_errc expected;
        bool is_unchanged;
    } const answers[] = {
        {"NOAUTH Authentication required.", redis_errc::password_missing, true},
        {"NOPERM this user has no permissions", redis_errc::not_permitted, true},
        {"OOM command not allowed", redis_errc::server_out_of_memory, true},
        {"LOADING Redis is loading", redis_errc::server_loading, true},
        {"READONLY You can't write against a read only replica.", redis_errc::server_read_only, true},
        {"MASTERDOWN Link with MASTER is down", redis_errc::server_read_only, true},
        {"MOVED 3999 127.0.0.1:6381", redis_errc::cluster_unsupported, true},
        {"WRONGTYPE Operation against a key", redis_errc::foreign_key, true},
        {"MISCONF Redis is configured to save", redis_errc::server_not_saving, true},
        {"ERR unknown command 'GETDEL'", redis_errc::unknown_command, true},
        {"ERR script failed", redis_errc::server_error, false},
        {"BUSY Redis is busy running a script", redis_errc::server_error, false},
    };
    for (auto const& a : answers)
    {
        CAPTURE(a.text);
        world w;
        w.line->connected();
        auto const& asked = w.submit();
        auto const& next = w.submit();
        w.write();
        w.answer(error_reply(a.text));
        REQUIRE(asked.end);
        CHECK(*asked.end == a.expected);
        CHECK((*asked.end == storage_condition::unchanged) == a.is_unchanged);
        CHECK_FALSE(next.end);
        w.line->disconnected(redis_state::open, a.expected);
        w.poll();
        REQUIRE(next.end);
        CHECK(*next.end != storage_condition::unchanged);
    }
}

TEST_CASE("what is refused at once was never sent")
{
    world w;
    w.line->connected();
    for (int i = 0; i < 10; ++i)
        CHECK_FALSE(w.submit().end);
    CHECK(w.submit().end == redis_errc::queue_full);
    CHECK(*w.requests.back()->end == storage_condition::unchanged);
    w.line->disconnected(redis_state::open, redis_errc::timed_out);
    CHECK(w.submit().end == redis_errc::circuit_open);
    CHECK(*w.requests.back()->end == storage_condition::unchanged);
}

TEST_CASE("requests that belong together are queued all or none, and written together")
{
    world w;
    w.line->connected();
    auto const made = [&]
    {
        redis_command command{"INFO"};
        return std::make_shared<redis_request>(w.io.get_executor(), std::move(command), redis_answer::value,
                                               redis_effect::reads);
    };
    for (int i = 0; i < 7; ++i)
        CHECK_FALSE(w.submit().end);
    auto const a = made();
    auto const b = made();
    auto const c = made();
    CHECK(w.line->submit({made(), made(), made(), made()}, w.now) == redis_errc::queue_full); // room for 3
    CHECK(w.counters->requests == 7);
    CHECK_FALSE(w.line->submit({a, b, c}, w.now));
    CHECK(w.counters->requests == 10);
    CHECK(a->deadline == w.now + 50ms);
    CHECK(c->deadline == w.now + 50ms);
    w.write();
    std::vector<unsigned char> nothing;
    CHECK_FALSE(w.line->take(nothing, w.now));
    w.line->disconnected(redis_state::connecting, redis_errc::connection_lost);
    for (auto const& request : {a, b, c}) // none of them is left for the next connection
        CHECK(request->is_over());
}

TEST_CASE("answers are told apart: reads, writes, a server that loads, a replica")
{
    using enum pipeline::reply_kind;
    world w;
    w.line->connected();
    w.submit(redis_effect::reads);
    for (int i = 0; i < 3; ++i)
        w.submit(redis_effect::writes);
    w.write();
    CHECK(w.line->is_owed());
    CHECK(w.answer({}) == answered);
    CHECK(w.answer({}) == wrote);
    CHECK(w.answer(error_reply("LOADING")) == not_ready);
    CHECK(w.answer(error_reply("READONLY")) == read_only);
    CHECK_FALSE(w.line->is_owed());
    CHECK(w.answer({}) == garbage);
}

TEST_CASE("deadlines end requests in their order, those that are written and those that wait, each once")
{
    world w;
    w.line->connected();
    auto const& first = w.submit();
    w.write();
    w.now += 10ms;
    auto const& second = w.submit();
    w.write();
    w.now += 10ms;
    auto const& third = w.submit();
    CHECK(w.line->expire(w.now).next == steady_time{} + 50ms);
    w.now = steady_time{} + 50ms;
    CHECK(w.line->expire(w.now).timed_out == 1);
    CHECK(w.line->expire(w.now).timed_out == 0);
    w.answer({}); // of the first one, which is late
    w.now = steady_time{} + 60ms;
    CHECK(w.line->expire(w.now).timed_out == 1);
    w.now = steady_time{} + 70ms;
    CHECK(w.line->expire(w.now).timed_out == 1);
    w.poll();
    for (auto const* r : {&first, &second, &third})
        CHECK(r->end == redis_errc::timed_out);
    auto const& fourth = w.submit();
    w.write();
    w.answer({}); // of the second one
    w.answer({});
    CHECK(fourth.end == error_code{});
    CHECK(w.line->expire(w.now).next == steady_time::max());
}

TEST_CASE("whether the server can be reached is known after the first attempt, or when nothing more is tried")
{
    for (int how = 0; how < 4; ++how)
    {
        CAPTURE(how);
        world w;
        auto const first = std::make_shared<handoff>(w.io.get_executor());
        w.line->tell_when_settled(first);
        CHECK_FALSE(first->is_over());
        switch (how)
        {
        case 0: w.line->connected(); break;
        case 1: w.line->disconnected(redis_state::open, asio::error::connection_refused); break;
        case 2: w.line->stop(); break;
        default: w.line->abandon(); break;
        }
        CHECK(first->is_over());
        auto const second = std::make_shared<handoff>(w.io.get_executor());
        w.line->tell_when_settled(second);
        CHECK(second->is_over());
    }
}

TEST_SUITE_END();
