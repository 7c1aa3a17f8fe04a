// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/testing/storage_contract.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>

namespace reprise::testing {

namespace {

using namespace std::chrono_literals;

struct violation : std::runtime_error
{
    using std::runtime_error::runtime_error;
};

void expect(bool ok, char const* what)
{
    if (!ok)
        throw violation{what};
}

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

bool is(std::optional<secret_bytes> const& value, std::string_view text)
{
    return value && *value == bytes(text);
}

// Storages date by the wall clock unless told otherwise; a minute is far from both ends of any test.
struct row_context
{
    storage& s;
    std::function<void(std::chrono::seconds)> const& advance;
    time_point later;
};

using row_body = std::function<asio::awaitable<void>(row_context)>;

// Several threads ask for the same names; `ask` says whether it won.
asio::awaitable<void> expect_one_winner_each(storage& s,
                                             std::function<asio::awaitable<bool>(storage&, std::string)> const& ask)
{
    constexpr std::size_t names = 500;
    constexpr std::size_t threads = 4;
    std::vector<std::atomic<int>> winners(names);
    std::atomic<int> failures{0};
    std::vector<std::jthread> pool;
    pool.reserve(threads);
    for (std::size_t t = 0; t < threads; ++t)
        pool.emplace_back(
            [&]
            {
                asio::io_context io;
                for (std::size_t i = 0; i < names; ++i)
                    asio::co_spawn(io, ask(s, "name" + std::to_string(i)),
                                   [&, i](std::exception_ptr e, bool won)
                                   {
                                       winners[i] += won ? 1 : 0;
                                       failures += e ? 1 : 0;
                                   });
                io.run();
            });
    pool.clear();
    expect(failures == 0, "an operation failed");
    for (auto const& count : winners)
        expect(count == 1, "a name had no winner, or several");
    co_return;
}

struct row
{
    char const* expectation;
    row_body body;
};

std::vector<row> rows()
{
    return {
        {"a value that was put is got, as often as asked for",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             expect(is(co_await c.s.get("a"), "one"), "get");
             expect(is(co_await c.s.get("a"), "one"), "get again");
         }},
        {"a miss is an answer",
         [](row_context c) -> asio::awaitable<void>
         {
             expect(!co_await c.s.get("a"), "get");
             expect(!co_await c.s.take("a"), "take");
             expect(!co_await c.s.erase("a"), "erase");
         }},
        {"one that answers at once does not suspend",
         [](row_context c) -> asio::awaitable<void>
         {
             if (!c.s.answers_at_once())
                 co_return;
             auto const ex = co_await asio::this_coro::executor;
             auto const done = std::make_shared<int>(0);
             auto const start = [&](auto operation)
             {
                 asio::co_spawn(
                     ex,
                     [](auto op, std::shared_ptr<int> counter) -> asio::awaitable<void>
                     {
                         co_await std::move(op);
                         ++*counter;
                     }(std::move(operation), done),
                     asio::detached);
             };
             start(c.s.put("a", bytes("one"), c.later));
             start(c.s.put_if_absent("a", bytes("two"), c.later));
             start(c.s.get("a"));
             start(c.s.take("a"));
             start(c.s.erase("a"));
             start(c.s.flush());
             expect(*done == 6, "an operation suspended");
         }},
        {"put replaces",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("a", bytes("two"), c.later);
             expect(is(co_await c.s.get("a"), "two"), "the old value was there");
         }},
        {"erase forgets, and says whether there was something",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             expect(co_await c.s.erase("a"), "erase did not find it");
             expect(!co_await c.s.get("a"), "it was still there");
         }},
        {"names and values are any bytes, empty values too",
         [](row_context c) -> asio::awaitable<void>
         {
             using namespace std::string_literals;
             co_await c.s.put("a\0b"s, bytes("x\0\xff"s), c.later);
             co_await c.s.put("a"s, bytes(""), c.later);
             expect(is(co_await c.s.get("a\0b"s), "x\0\xff"s), "a zero byte ended something");
             expect(is(co_await c.s.get("a"s), ""), "an empty value was lost");
         }},
        {"a large value is kept whole or not at all",
         [](row_context c) -> asio::awaitable<void>
         {
             std::string const large(65'536, 'x');
             co_await c.s.put("a", bytes(large), c.later);
             auto const value = co_await c.s.get("a");
             expect(!value || is(value, large), "it was cut");
         }},
        {"take hands a value out once",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             expect(is(co_await c.s.take("a"), "one"), "take did not find it");
             expect(!co_await c.s.take("a"), "it was taken twice");
             expect(!co_await c.s.get("a"), "it could still be got");
         }},
        {"put_if_absent keeps the first value",
         [](row_context c) -> asio::awaitable<void>
         {
             expect(co_await c.s.put_if_absent("a", bytes("one"), c.later), "the first was refused");
             expect(!co_await c.s.put_if_absent("a", bytes("two"), c.later), "the second was accepted");
             expect(is(co_await c.s.get("a"), "one"), "the second value was there");
         }},
        {"what has expired is not served by get",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             c.advance(61s);
             expect(!co_await c.s.get("a"), "it was served");
         }},
        {"what has expired is not served by take, nor found by erase",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("b", bytes("one"), c.later);
             c.advance(61s);
             expect(!co_await c.s.take("a"), "it was served");
             expect(!co_await c.s.erase("b"), "it was found");
         }},
        {"what has expired does not stop put_if_absent",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             c.advance(61s);
             expect(co_await c.s.put_if_absent("a", bytes("two"), c.later + 120s), "it was refused");
             expect(is(co_await c.s.get("a"), "two"), "it was not kept");
         }},
        {"an entry is served until its time",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             c.advance(58s);
             expect(is(co_await c.s.get("a"), "one"), "it was gone early");
         }},
        {"an expiry in the past erases",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("a", bytes("two"), c.later - 3600s);
             expect(!co_await c.s.get("a"), "something was served");
         }},
        {"flush drops what has expired and nothing else",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("b", bytes("two"), c.later + 3600s);
             c.advance(120s);
             co_await c.s.flush();
             expect(!co_await c.s.get("a"), "the expired one was served");
             expect(is(co_await c.s.get("b"), "two"), "the other one was dropped");
         }},
        {"of all callers one takes a value",
         [](row_context c) -> asio::awaitable<void>
         {
             for (int i = 0; i < 500; ++i)
                 co_await c.s.put("name" + std::to_string(i), bytes("one"), c.later);
             co_await expect_one_winner_each(c.s, [](storage& s, std::string name) -> asio::awaitable<bool>
                                             { co_return (co_await s.take(std::move(name))).has_value(); });
         }},
        {"of all callers one puts if absent",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await expect_one_winner_each(
                 c.s, [later = c.later](storage& s, std::string name) -> asio::awaitable<bool>
                 { co_return co_await s.put_if_absent(std::move(name), bytes("x"), later); });
         }},
        {"a cancelled take ends, and never leaves a value to be taken twice",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             asio::io_context io;
             asio::cancellation_signal cancel;
             bool taken = false;
             std::exception_ptr failure;
             asio::co_spawn(io, c.s.take("a"),
                            asio::bind_cancellation_slot(cancel.slot(),
                                                         [&](std::exception_ptr e, std::optional<secret_bytes> value)
                                                         {
                                                             failure = e;
                                                             taken = value.has_value();
                                                         }));
             cancel.emit(asio::cancellation_type::terminal);
             io.run();
             try
             {
                 if (failure)
                     std::rethrow_exception(failure);
             }
             catch (boost::system::system_error const& e)
             {
                 expect(e.code() == asio::error::operation_aborted, "another error than operation_aborted");
             }
             bool const again = (co_await c.s.take("a")).has_value();
             expect(!(taken && again), "it was taken twice");
         }},
    };
}

contract_result run(row const& r, std::function<storage_under_test()> const& make)
{
    contract_result result{r.expectation, {}};
    try
    {
        auto const subject = make();
        asio::io_context io;
        asio::co_spawn(io, r.body({*subject.storage, subject.advance, std::chrono::system_clock::now() + 60s}),
                       [&result](std::exception_ptr e)
                       {
                           try
                           {
                               if (e)
                                   std::rethrow_exception(e);
                           }
                           catch (std::exception const& error)
                           {
                               result.failure = error.what();
                           }
                       });
        io.run();
    }
    catch (std::exception const& error)
    {
        result.failure = error.what();
    }
    return result;
}

} // namespace

std::vector<contract_result> check_storage_contract(std::function<storage_under_test()> const& make)
{
    std::vector<contract_result> results;
    for (auto const& r : rows())
        results.push_back(run(r, make));
    return results;
}

} // namespace reprise::testing
