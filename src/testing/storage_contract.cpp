// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/testing/storage_contract.hpp>

#include <reprise/detail/async/spawn_cancellable.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <set>
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

// Storages use the wall clock unless told otherwise. `later` is a minute from now, far from both ends of any test.
struct row_context
{
    storage& s;
    std::function<void(std::chrono::seconds)> const& advance;
    time_point later;
    storage_ptr& owner; // of `s`
};

using row_body = std::function<asio::awaitable<void>(row_context)>;

// Let several threads compete for the same names. `ask` returns whether it won.
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
        expect(count == 1, "a name did not have exactly one winner");
    co_return;
}

// Run `body` on several threads, each with an io_context of its own. Rethrows an exception of any of them.
void on_threads(std::size_t count, std::function<asio::awaitable<void>(std::size_t)> const& body)
{
    std::mutex mutex;
    std::exception_ptr failure;
    std::vector<std::jthread> pool;
    pool.reserve(count);
    for (std::size_t t = 0; t < count; ++t)
        pool.emplace_back(
            [&, t]
            {
                asio::io_context io;
                asio::co_spawn(io, body(t),
                               [&](std::exception_ptr e)
                               {
                                   std::lock_guard const lock{mutex};
                                   if (e)
                                       failure = e;
                               });
                io.run();
            });
    pool.clear();
    if (failure)
        std::rethrow_exception(failure);
}

std::string text_of(secret_bytes const& value)
{
    return {value.view().begin(), value.view().end()};
}

// Run all operations concurrently on few names. A value must never be served under another name, nor be taken twice.
asio::awaitable<void> mix(storage& s, time_point later, std::size_t thread, std::function<void(std::string)> taken)
{
    constexpr unsigned rounds = 300;
    std::minstd_rand random{static_cast<unsigned>(thread) + 1}; // reproducible, except for the order of threads
    for (unsigned i = 0; i < rounds; ++i)
    {
        std::string const name = "name" + std::to_string(random() % 7);
        std::string const mine = name + " " + std::to_string(thread) + " " + std::to_string(i);
        std::optional<secret_bytes> value;
        switch (random() % 6)
        {
        case 0: co_await s.put(name, bytes(mine), later); break;
        case 1: (void)co_await s.put_if_absent(name, bytes(mine), later); break;
        case 2: (void)co_await s.erase(name); break;
        case 3: (void)co_await s.flush(); break;
        case 4: value = co_await s.get(name); break;
        default:
            value = co_await s.take(name);
            if (value)
                taken(text_of(*value));
        }
        expect(!value || text_of(*value).starts_with(name + " "), "a value was served under another name");
    }
}

/// An operation of a storage on one name. The result is true if it found, kept or erased something.
struct operation
{
    char const* name;
    asio::awaitable<bool> (*start)(storage& s, std::string name, time_point later);
};

// Each operation uses the storage only before it suspends, because the storage may be gone afterwards.
constexpr operation get_it{"get", [](storage& s, std::string name, time_point) -> asio::awaitable<bool>
                           { co_return (co_await s.get(std::move(name))).has_value(); }};
constexpr operation take_it{"take", [](storage& s, std::string name, time_point) -> asio::awaitable<bool>
                            { co_return (co_await s.take(std::move(name))).has_value(); }};
constexpr operation put_two{"put", [](storage& s, std::string name, time_point later) -> asio::awaitable<bool>
                            {
                                co_await s.put(std::move(name), bytes("two"), later);
                                co_return true;
                            }};
constexpr operation put_two_if_absent{"put_if_absent",
                                      [](storage& s, std::string name, time_point later) -> asio::awaitable<bool>
                                      { co_return co_await s.put_if_absent(std::move(name), bytes("two"), later); }};
constexpr operation erase_it{"erase", [](storage& s, std::string name, time_point) -> asio::awaitable<bool>
                             { co_return co_await s.erase(std::move(name)); }};
constexpr operation flush_all{"flush", [](storage& s, std::string, time_point) -> asio::awaitable<bool>
                              { co_return co_await s.flush() > 0; }};
constexpr operation all_operations[] = {get_it, take_it, put_two, put_two_if_absent, erase_it, flush_all};

// How many handlers run before an operation is cancelled or abandoned: enough to hit each of its steps.
constexpr int stops[] = {0, 1, 2, 3, 4, 6, 8, 12};
constexpr auto a_moment = 5ms; // for a step that happens on another thread
constexpr auto too_long = 30s;

enum class ending
{
    no,
    yes,
    aborted,
};

bool is_aborted(std::exception_ptr const& failure)
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (boost::system::system_error const& e)
    {
        return e.code() == asio::error::operation_aborted;
    }
    catch (...)
    {
        return false;
    }
}

ending cancel_at(int stop, storage& s, operation const& what, std::string const& name, time_point later)
{
    asio::io_context io;
    asio::cancellation_signal cancel;
    std::optional<ending> result;
    bool failed = false;
    auto ended = [&](std::exception_ptr e, bool found)
    {
        failed = e && !is_aborted(e);
        result = e ? ending::aborted : found ? ending::yes : ending::no;
    };
    detail::spawn_cancellable(io.get_executor(), what.start(s, name, later),
                              asio::bind_cancellation_slot(cancel.slot(), std::move(ended)));
    for (int i = 0; i < stop && !result; ++i)
        io.run_one_for(a_moment);
    cancel.emit(asio::cancellation_type::terminal);
    auto const deadline = std::chrono::steady_clock::now() + too_long;
    while (!result && std::chrono::steady_clock::now() < deadline)
    {
        io.restart();
        io.run_one_until(deadline);
    }
    expect(result.has_value(), "the operation did not end");
    expect(!failed, "the cancelled operation ended with an error other than operation_aborted");
    return *result;
}

asio::awaitable<void> expect_works(storage& s, std::string name, time_point later)
{
    expect(co_await s.put_if_absent(name, bytes("one"), later), "put_if_absent no longer works");
    co_await s.put(name, bytes("two"), later);
    expect(is(co_await s.get(name), "two"), "get no longer works");
    expect(is(co_await s.take(name), "two"), "take no longer works");
    expect(!co_await s.erase(name), "erase found an entry that was taken");
}

// Whether this entry may be left after an operation on "one" has ended or was cancelled.
using aftermath = std::function<bool(ending, std::optional<secret_bytes> const& left)>;

row_body cancelled(operation what, aftermath is_right)
{
    return [=](row_context c) -> asio::awaitable<void>
    {
        for (int const stop : stops)
        {
            auto const name = std::to_string(stop);
            co_await c.s.put(name, bytes("one"), c.later);
            auto const ended = cancel_at(stop, c.s, what, name, c.later);
            expect(is_right(ended, co_await c.s.get(name)), "the operation left a wrong entry");
            if (what.start != put_two.start) // a put may still be on its way
            {
                bool const first = (co_await c.s.take(name)).has_value();
                bool const second = (co_await c.s.take(name)).has_value();
                expect(!first || !second, "a value was taken twice");
            }
            co_await expect_works(c.s, name + " again", c.later);
        }
    };
}

struct row
{
    char const* expectation;
    row_body body;
};

std::vector<row> rows()
{
    return {
        {"get returns a stored value, any number of times",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             expect(is(co_await c.s.get("a"), "one"), "get");
             expect(is(co_await c.s.get("a"), "one"), "get again");
         }},
        {"a miss is not an error",
         [](row_context c) -> asio::awaitable<void>
         {
             expect(!co_await c.s.get("a"), "get");
             expect(!co_await c.s.take("a"), "take");
             expect(!co_await c.s.erase("a"), "erase");
         }},
        {"put replaces a value",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("a", bytes("two"), c.later);
             expect(is(co_await c.s.get("a"), "two"), "get returned the old value");
         }},
        {"erase removes an entry and reports whether it existed",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             expect(co_await c.s.erase("a"), "erase did not find the entry");
             expect(!co_await c.s.get("a"), "get returned the erased entry");
         }},
        {"names and values may be any bytes, and values may be empty",
         [](row_context c) -> asio::awaitable<void>
         {
             using namespace std::string_literals;
             co_await c.s.put("a\0b"s, bytes("x\0\xff"s), c.later);
             co_await c.s.put("a"s, bytes(""), c.later);
             expect(is(co_await c.s.get("a\0b"s), "x\0\xff"s), "a zero byte truncated a name or a value");
             expect(is(co_await c.s.get("a"s), ""), "an empty value was lost");
         }},
        {"a large value is stored whole or not at all",
         [](row_context c) -> asio::awaitable<void>
         {
             std::string const large(65'536, 'x');
             co_await c.s.put("a", bytes(large), c.later);
             auto const value = co_await c.s.get("a");
             expect(!value || is(value, large), "the value was truncated");
         }},
        {"take returns a value once",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             expect(is(co_await c.s.take("a"), "one"), "take did not find the entry");
             expect(!co_await c.s.take("a"), "a value was taken twice");
             expect(!co_await c.s.get("a"), "get returned the taken entry");
         }},
        {"put_if_absent keeps the first value",
         [](row_context c) -> asio::awaitable<void>
         {
             expect(co_await c.s.put_if_absent("a", bytes("one"), c.later), "the first value was refused");
             expect(!co_await c.s.put_if_absent("a", bytes("two"), c.later), "the second value was accepted");
             expect(is(co_await c.s.get("a"), "one"), "get returned the second value");
         }},
        {"operations with an epoch have the same results as those without",
         [](row_context c) -> asio::awaitable<void>
         {
             auto const first = co_await c.s.put_if_absent_with_epoch("a", bytes("one"), c.later);
             auto const second = co_await c.s.put_if_absent_with_epoch("a", bytes("two"), c.later);
             expect(first.value && !second.value, "put_if_absent_with_epoch did not keep the first value alone");
             auto const taken = co_await c.s.take_with_epoch("a");
             auto const again = co_await c.s.take_with_epoch("a");
             expect(is(taken.value, "one"), "take_with_epoch did not find the entry");
             expect(!again.value, "a value was taken twice");
             expect(!co_await c.s.get("a"), "get returned the taken entry");
         }},
        {"the epoch stays the same while no data is lost, and all operations report the same epoch",
         [](row_context c) -> asio::awaitable<void>
         {
             auto const first = co_await c.s.put_if_absent_with_epoch("a", bytes("one"), c.later);
             auto const taken = co_await c.s.take_with_epoch("a");
             expect(taken.epoch == first.epoch, "the epoch changed between two operations");
             if (!first.epoch.incarnation.empty())
                 expect(co_await c.s.epoch() == first.epoch, "epoch() returned another epoch");
         }},
        {"get does not return an expired entry",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             c.advance(61s);
             expect(!co_await c.s.get("a"), "the expired entry was returned");
         }},
        {"take does not return an expired entry, and erase does not find one",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("b", bytes("one"), c.later);
             c.advance(61s);
             expect(!co_await c.s.take("a"), "the expired entry was returned");
             expect(!co_await c.s.erase("b"), "erase found the expired entry");
         }},
        {"an expired entry does not stop put_if_absent",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             c.advance(61s);
             expect(co_await c.s.put_if_absent("a", bytes("two"), c.later + 120s), "the new value was refused");
             expect(is(co_await c.s.get("a"), "two"), "the new value was not stored");
         }},
        {"an entry is returned until it expires",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             c.advance(58s);
             expect(is(co_await c.s.get("a"), "one"), "the entry was gone before its expiry");
         }},
        {"put with an expiry in the past erases the entry",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("a", bytes("two"), c.later - 3600s);
             expect(!co_await c.s.get("a"), "get returned a value");
         }},
        {"flush drops expired entries and no others",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             co_await c.s.put("b", bytes("two"), c.later + 3600s);
             c.advance(120s);
             co_await c.s.flush();
             expect(!co_await c.s.get("a"), "the expired entry was returned");
             expect(is(co_await c.s.get("b"), "two"), "an entry that had not expired was dropped");
         }},
        {"exactly one of many concurrent callers takes a value",
         [](row_context c) -> asio::awaitable<void>
         {
             for (int i = 0; i < 500; ++i)
                 co_await c.s.put("name" + std::to_string(i), bytes("one"), c.later);
             co_await expect_one_winner_each(c.s, [](storage& s, std::string name) -> asio::awaitable<bool>
                                             { co_return (co_await s.take(std::move(name))).has_value(); });
         }},
        {"exactly one of many concurrent callers of put_if_absent stores its value",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await expect_one_winner_each(
                 c.s, [later = c.later](storage& s, std::string name) -> asio::awaitable<bool>
                 { co_return co_await s.put_if_absent(std::move(name), bytes("x"), later); });
         }},
        {"exactly one of many concurrent callers takes or erases a value",
         [](row_context c) -> asio::awaitable<void>
         {
             for (int i = 0; i < 500; ++i)
                 co_await c.s.put("name" + std::to_string(i), bytes("one"), c.later);
             std::atomic<unsigned> turn{0};
             co_await expect_one_winner_each(c.s,
                                             [&turn](storage& s, std::string name) -> asio::awaitable<bool>
                                             {
                                                 if (turn++ % 2 == 0)
                                                     co_return co_await s.erase(std::move(name));
                                                 co_return (co_await s.take(std::move(name))).has_value();
                                             });
         }},
        {"concurrent take and put_if_absent lose no value and return no value twice",
         [](row_context c) -> asio::awaitable<void>
         {
             constexpr std::size_t names = 200;
             std::vector<std::atomic<int>> held(names);
             for (std::size_t i = 0; i < names; ++i)
             {
                 co_await c.s.put("name" + std::to_string(i), bytes("one"), c.later);
                 held[i] = 1;
             }
             on_threads(4,
                        [&](std::size_t thread) -> asio::awaitable<void>
                        {
                            for (std::size_t i = 0; i < names; ++i)
                            {
                                auto const name = "name" + std::to_string(i);
                                if (thread % 2 == 0)
                                    held[i] -= (co_await c.s.take(name)).has_value() ? 1 : 0;
                                else
                                    held[i] += co_await c.s.put_if_absent(name, bytes("two"), c.later) ? 1 : 0;
                            }
                        });
             for (std::size_t i = 0; i < names; ++i)
             {
                 bool const left = co_await c.s.erase("name" + std::to_string(i));
                 expect(held[i] == (left ? 1 : 0), "the numbers of stored and taken values differ");
             }
         }},
        {"concurrent operations on several threads keep values under their names, and each value is taken at most once",
         [](row_context c) -> asio::awaitable<void>
         {
             std::mutex mutex;
             std::set<std::string> taken;
             bool twice = false;
             on_threads(4,
                        [&](std::size_t thread)
                        {
                            return mix(c.s, c.later, thread,
                                       [&](std::string value)
                                       {
                                           std::lock_guard const lock{mutex};
                                           twice |= !taken.insert(std::move(value)).second;
                                       });
                        });
             expect(!twice, "a value was taken twice");
             co_return;
         }},
        {"a get that is cancelled at any step ends and changes nothing",
         cancelled(get_it, [](ending, auto const& left) { return is(left, "one"); })},
        {"a put that is cancelled at any step ends and has stored its value or not",
         cancelled(put_two, [](ending ended, auto const& left)
                   { return is(left, "two") || (ended == ending::aborted && is(left, "one")); })},
        {"a take that is cancelled at any step ends, and its value cannot be taken twice",
         cancelled(take_it, [](ending ended, auto const& left)
                   { return !left || (ended == ending::aborted && is(left, "one")); })},
        {"a put_if_absent that is cancelled at any step ends and does not replace",
         cancelled(put_two_if_absent,
                   [](ending ended, auto const& left) { return ended != ending::yes && is(left, "one"); })},
        {"an erase that is cancelled at any step ends and has erased or not",
         cancelled(erase_it, [](ending ended, auto const& left)
                   { return !left || (ended == ending::aborted && is(left, "one")); })},
        {"a flush that is cancelled at any step ends and drops nothing that has not expired",
         cancelled(flush_all, [](ending, auto const& left) { return is(left, "one"); })},
        {"operations in progress end after the storage is destroyed",
         [](row_context c) -> asio::awaitable<void>
         {
             co_await c.s.put("a", bytes("one"), c.later);
             auto const ex = co_await asio::this_coro::executor;
             auto const ended = std::make_shared<std::size_t>(0);
             for (auto const& what : all_operations)
                 asio::co_spawn(ex, what.start(c.s, "a", c.later), [ended](std::exception_ptr, bool) { ++*ended; });
             c.owner.reset();
             asio::steady_timer pause{ex};
             auto const deadline = std::chrono::steady_clock::now() + too_long;
             while (*ended < std::size(all_operations))
             {
                 expect(std::chrono::steady_clock::now() < deadline, "an operation did not end");
                 pause.expires_after(1ms);
                 co_await pause.async_wait(asio::use_awaitable);
             }
         }},
        {"operations destroyed with their io_context do not block later operations",
         [](row_context c) -> asio::awaitable<void>
         {
             for (int const stop : stops)
             {
                 auto const name = [&](operation const& what) { return what.name + std::to_string(stop); };
                 for (auto const& what : all_operations)
                     co_await c.s.put(name(what), bytes("one"), c.later);
                 {
                     asio::io_context io;
                     for (auto const& what : all_operations)
                         asio::co_spawn(io, what.start(c.s, name(what), c.later), [](std::exception_ptr, bool) {});
                     for (int i = 0; i < stop; ++i)
                         io.run_one_for(a_moment);
                 }
                 expect(is(co_await c.s.get(name(get_it)), "one"), "get changed the entry");
                 expect((co_await c.s.get(name(put_two))).has_value(), "put left no entry");
                 expect(is(co_await c.s.get(name(put_two_if_absent)), "one"), "put_if_absent replaced an entry");
                 bool const first = (co_await c.s.take(name(take_it))).has_value();
                 bool const second = (co_await c.s.take(name(take_it))).has_value();
                 expect(!first || !second, "take left a value that was taken twice");
                 co_await expect_works(c.s, std::to_string(stop), c.later);
             }
         }},
    };
}

contract_result run(row const& r, std::function<storage_under_test()> const& make)
{
    contract_result result{r.expectation, {}};
    try
    {
        auto subject = make();
        bool done = false;
        asio::io_context io;
        asio::co_spawn(
            io, r.body({*subject.storage, subject.advance, std::chrono::system_clock::now() + 60s, subject.storage}),
            [&](std::exception_ptr e)
            {
                done = true;
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
        auto const deadline = std::chrono::steady_clock::now() + 2 * too_long;
        while (!done && io.run_one_until(deadline) != 0)
            ;
        if (!done)
            result.failure = "the operation did not end";
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
