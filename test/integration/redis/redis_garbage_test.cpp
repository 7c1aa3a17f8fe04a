// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"
#include "support/peers/redis.hpp"

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <map>

using namespace reprise;
using namespace std::chrono_literals;
using test::connect_error_of;
using test::error_of;
using test::result_of;
using words = std::vector<std::string>;

TEST_SUITE_BEGIN("redis_storage and a server that answers nonsense");

namespace {

std::string bulk(std::string const& text)
{
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

asio::awaitable<void> silence()
{
    asio::steady_timer never{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    co_await never.async_wait(asio::use_awaitable);
}

// Ask five times at once; the errors, and how often each.
std::map<error_code, int> errors_of_five(storage& s)
{
    asio::io_context io;
    std::map<error_code, int> errors;
    for (int i = 0; i < 5; ++i)
        asio::co_spawn(io, s.get("a"),
                       [&](std::exception_ptr e, std::optional<secret_bytes>)
                       {
                           try
                           {
                               if (e)
                                   std::rethrow_exception(e);
                               ++errors[{}];
                           }
                           catch (system_error const& error)
                           {
                               ++errors[error.code()];
                           }
                       });
    io.run_for(20s);
    return errors;
}

struct nonsense
{
    char const* what;
    std::function<asio::awaitable<void>(test::fake_redis::socket&)> answer;
    redis_errc expected;
    bool is_counted;
};

std::vector<nonsense> const all_nonsense = {
    {"another protocol", [](auto& s) { return test::send(s, "HTTP/1.1 400 Bad Request\r\n\r\n"); },
     redis_errc::bad_answer, true},
    {"an answer of another type", [](auto& s) { return test::send(s, ":1\r\n"); }, redis_errc::bad_answer, true},
    {"a status instead of a value", [](auto& s) { return test::send(s, "+OK\r\n"); }, redis_errc::bad_answer, true},
    {"an array", [](auto& s) { return test::send(s, "*1\r\n$1\r\nx\r\n"); }, redis_errc::bad_answer, true},
    {"an array of a huge size", [](auto& s) { return test::send(s, "*2147483647\r\n"); }, redis_errc::bad_answer, true},
    {"a length out of range", [](auto& s) { return test::send(s, "$-2\r\n"); }, redis_errc::bad_answer, true},
    {"a value without end",
     [](auto& s) -> asio::awaitable<void>
     {
         co_await test::send(s, "$9223372036854775800\r\n");
         for (;;)
             co_await test::send(s, std::string(4096, 'x'));
     },
     redis_errc::bad_answer, true},
    {"a line without end",
     [](auto& s) -> asio::awaitable<void>
     {
         co_await test::send(s, "+");
         for (;;)
             co_await test::send(s, std::string(4096, 'x'));
     },
     redis_errc::bad_answer, true},
    {"half of an answer, and the end",
     [](auto& s) -> asio::awaitable<void>
     {
         co_await test::send(s, "$10\r\nabc");
         s.close();
     },
     redis_errc::connection_lost, false},
    {"the end at once",
     [](auto& s) -> asio::awaitable<void>
     {
         s.close();
         co_return;
     },
     redis_errc::connection_lost, false},
    {"half of an answer, and nothing more",
     [](auto& s) -> asio::awaitable<void>
     {
         co_await test::send(s, "$10\r\nabc");
         co_await silence();
     },
     redis_errc::timed_out, false},
    {"a huge length, and nothing more",
     [](auto& s) -> asio::awaitable<void>
     {
         co_await test::send(s, "$9223372036854775800\r\nabc");
         co_await silence();
     },
     redis_errc::timed_out, false},
};

} // namespace

TEST_CASE("nonsense fails everything that waits, closes the connection, and the next one is used")
{
    for (auto const& n : all_nonsense)
    {
        CAPTURE(n.what);
        std::atomic<bool> is_sane = false;
        test::fake_redis const server{[&](auto& s, words) -> asio::awaitable<void>
                                      { return is_sane ? test::send(s, bulk("value")) : n.answer(s); }};
        auto options = server.options();
        options.max_value_bytes = 100'000;
        if (n.expected == redis_errc::timed_out)
            options.request_timeout = 50ms;
        auto const storage = redis_storage::make(options);
        auto const errors = errors_of_five(*storage);
        CHECK(errors.size() == 1);
        CHECK_MESSAGE(errors.contains(n.expected), errors.begin()->first.message());
        CHECK(storage->connection_stats().bad_answers == (n.is_counted ? 1 : 0));
        is_sane = true;
        CHECK(test::eventually([&] { return !error_of(storage->get("a")); }));
        CHECK(storage->connection_stats().state == redis_state::connected);
    }
}

TEST_CASE("an answer that nobody asked for closes the connection")
{
    std::atomic<int> asked = 0;
    test::fake_redis const server{[&](auto& s, words) -> asio::awaitable<void>
                                  { return test::send(s, asked++ == 0 ? bulk("one") + bulk("two") : bulk("three")); }};
    auto const storage = redis_storage::make(server.options());
    CHECK(result_of(storage->get("a")) == secret_bytes{as_bytes("one")});
    CHECK(test::eventually([&] { return storage->connection_stats().bad_answers == 1; }));
    CHECK(test::eventually([&] { return !error_of(storage->get("a")); }));
    CHECK(result_of(storage->get("a")) == secret_bytes{as_bytes("three")});
}

TEST_CASE("answers may come in pieces of one byte")
{
    test::fake_redis const server{[](auto& s, words) -> asio::awaitable<void>
                                  {
                                      for (char const c : bulk("a value"))
                                          co_await test::send(s, std::string(1, c));
                                  }};
    auto const storage = redis_storage::make(server.options());
    for (int i = 0; i < 3; ++i)
        CHECK(result_of(storage->get("a")) == secret_bytes{as_bytes("a value")});
}

TEST_CASE("a server that greets with nonsense, or not at all, is no Redis server")
{
    auto const never = [](auto&, words) -> asio::awaitable<void> { co_return; };
    SUBCASE("nonsense")
    {
        test::fake_redis const server{never, "220 mail.test ESMTP\r\n"};
        auto const storage = redis_storage::make(server.options());
        CHECK(connect_error_of(*storage) == redis_errc::bad_answer);
        CHECK(storage->connection_stats().bad_answers >= 1);
    }
    SUBCASE("another status")
    {
        test::fake_redis const server{never, "+OK\r\n"};
        CHECK(connect_error_of(*redis_storage::make(server.options())) == redis_errc::bad_answer);
    }
    SUBCASE("LOADING")
    {
        test::fake_redis const server{never, "-LOADING Redis is loading the dataset in memory\r\n"};
        CHECK(connect_error_of(*redis_storage::make(server.options())) == redis_errc::server_loading);
    }
    SUBCASE("nothing")
    {
        test::fake_redis const server{never, ""};
        auto options = server.options();
        options.connect_timeout = 50ms;
        CHECK(connect_error_of(*redis_storage::make(options)) == asio::error::timed_out);
    }
}

TEST_CASE("a server that is loading opens the circuit after a few tries")
{
    test::fake_redis const server{[](auto& s, words) { return test::send(s, "-LOADING Redis is loading\r\n"); }};
    auto options = server.options();
    options.failures_to_open = 3;
    options.backoff_min = options.backoff_max = 1h;
    auto const storage = redis_storage::make(options);
    for (int i = 0; i < 3; ++i)
        CHECK(error_of(storage->get("a")) == redis_errc::server_loading);
    CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::open; }));
    CHECK(error_of(storage->get("a")) == redis_errc::circuit_open);
    CHECK(storage->connection_stats().error_replies == 3);
}

TEST_CASE("a request that was written to a loading server, and not answered, may have been carried out")
{
    // It has finished loading when the sixth comes, and the answer to that is held up.
    std::atomic<int> asked = 0;
    test::fake_redis const server{[&](auto& s, words) -> asio::awaitable<void>
                                  {
                                      if (++asked == 6)
                                          co_await silence();
                                      co_await test::send(s, "-LOADING Redis is loading\r\n");
                                  }};
    auto options = server.options();
    options.failures_to_open = 5;
    auto const storage = redis_storage::make(options);
    asio::io_context io;
    std::vector<error_code> errors;
    for (int i = 0; i < 6; ++i)
        asio::co_spawn(io, storage->put("a", secret_bytes{as_bytes("v")}, std::chrono::system_clock::now() + 1h),
                       [&](std::exception_ptr e)
                       {
                           try
                           {
                               if (e)
                                   std::rethrow_exception(e);
                               errors.emplace_back();
                           }
                           catch (system_error const& error)
                           {
                               errors.push_back(error.code());
                           }
                       });
    io.run_for(20s);
    REQUIRE(errors.size() == 6);
    CHECK(asked == 6);
    for (int i = 0; i < 5; ++i)
        CHECK(errors[i] == redis_errc::server_loading);
    CHECK(errors[5] == redis_errc::connection_lost);
    CHECK(errors[5] != storage_condition::unchanged);
    CHECK(storage->connection_stats().last_error == redis_errc::server_loading);
}

TEST_CASE("one that answers and hangs up each time is not connected to in a busy loop")
{
    test::fake_redis const server{[](auto&, words) -> asio::awaitable<void> { co_return; }, "+PONG\r\n-BYE\r\n"};
    auto options = server.options();
    options.backoff_min = options.backoff_max = 1h;
    auto const storage = redis_storage::make(options);
    CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::open; }));
    CHECK(storage->connection_stats().connects <= 1);
}

TEST_SUITE_END();
