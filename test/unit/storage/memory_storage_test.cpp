// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/await.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <functional>
#include <random>
#include <thread>
#include <vector>

using namespace reprise;
using namespace std::chrono_literals;
using test::now;

TEST_SUITE_BEGIN("memory_storage");

namespace {

secret_bytes bytes(std::size_t size)
{
    return secret_bytes{size};
}

std::string name(int i)
{
    return "session " + std::to_string(i);
}

} // namespace

TEST_CASE("every entry is found, and no other, while there come to be many and few again")
{
    constexpr int many = 5000;
    auto const storage = memory_storage::make({.shards = 1});
    auto const later = std::chrono::system_clock::now() + 1h;
    std::vector<bool> kept(many, false);
    auto const is_right = [&]
    {
        int wrong = 0;
        for (int i = 0; i < many; ++i)
            wrong += storage->get_now(name(i)).has_value() != kept[static_cast<std::size_t>(i)] ? 1 : 0;
        return wrong == 0;
    };
    for (int round = 0; round < 3; ++round)
    {
        for (int i = 0; i < many; ++i)
        {
            storage->put_now(name(i), as_bytes("value"), later);
            kept[static_cast<std::size_t>(i)] = true;
            if (std::has_single_bit(static_cast<unsigned>(i)) && round == 0)
                CHECK(is_right());
        }
        CHECK(is_right());
        for (int i = 0; i < many; ++i)
            if (i % 100 != round)
            {
                CHECK(storage->erase_now(name(i)));
                kept[static_cast<std::size_t>(i)] = false;
                if (i % 1000 == 0)
                    CHECK(is_right());
            }
        CHECK(is_right());
        CHECK(storage->stats().entries == many / 100);
    }
}

TEST_CASE("an option out of bounds is refused and named")
{
    auto const refused = [](memory_storage_options options, std::string const& naming)
    {
        try
        {
            (void)memory_storage::make(std::move(options));
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option && std::string{e.what()}.find(naming) != std::string::npos;
        }
        return false;
    };
    CHECK(refused({.shards = 0}, "shards"));
    CHECK(refused({.shards = 3}, "shards"));
    CHECK(refused({.shards = 512}, "shards"));
    CHECK(refused({.max_bytes = 4095, .shards = 1}, "max_bytes"));
    CHECK(refused({.max_bytes = 8191, .shards = 2}, "max_bytes"));
    CHECK(refused({.now = nullptr}, "now"));
    CHECK_FALSE(refused({.max_bytes = 4096, .shards = 1}, ""));
    CHECK_FALSE(refused({}, ""));
}

TEST_CASE("bytes are bounded, and what was used least recently goes first")
{
    testing::manual_clock time;
    auto const storage = memory_storage::make({.max_bytes = 4096, .shards = 1, .now = time});
    auto const later = time.now() + 1h;
    now(storage->put(name(0), bytes(200), later));
    auto const each = storage->stats().bytes;
    CHECK(each > 200);
    CHECK(each < 350);
    auto const fit = static_cast<int>((4096 - 32 * sizeof(void*)) / each); // the table has a bucket for each 128 bytes
    for (int i = 1; i < fit; ++i)
        now(storage->put(name(i), bytes(200), later));
    CHECK(storage->stats().evicted == 0);
    time.advance(1s);
    CHECK(now(storage->get(name(0))).has_value()); // used
    now(storage->put(name(fit), bytes(200), later));
    CHECK(storage->stats().evicted == 1);
    CHECK(now(storage->get(name(0))).has_value());
    CHECK_FALSE(now(storage->get(name(1))).has_value());
    CHECK(now(storage->get(name(2))).has_value());
    CHECK(storage->stats().bytes <= 4096);
    CHECK(storage->stats().entries == static_cast<std::uint64_t>(fit));

    now(storage->put("too large", bytes(5000), later)); // makes no room for itself
    CHECK(storage->stats().entries == static_cast<std::uint64_t>(fit));
    CHECK_FALSE(now(storage->get("too large")).has_value());
    std::string const long_name(65536, 'n');
    now(storage->put(long_name, bytes(1), later));
    CHECK(storage->stats().entries == static_cast<std::uint64_t>(fit));
    CHECK_FALSE(now(storage->get(long_name)).has_value());
}

TEST_CASE("entries that are taken, erased or replaced give their bytes back")
{
    auto const storage = memory_storage::make();
    auto const later = std::chrono::system_clock::now() + 1h;
    for (int i = 0; i < 100; ++i)
        now(storage->put(name(i), bytes(100), later));
    now(storage->put(name(0), bytes(1), later));
    for (int i = 0; i < 50; ++i)
        CHECK(now(storage->take(name(i))).has_value());
    for (int i = 50; i < 100; ++i)
        CHECK(now(storage->erase(name(i))));
    CHECK(storage->stats().entries == 0);
    CHECK(storage->stats().bytes == 0);
    CHECK(storage->stats().evicted == 0);
    CHECK(storage->stats().expired == 0);
}

TEST_CASE("flush drops what has expired to the second, and nothing else")
{
    testing::manual_clock time;
    auto const storage = memory_storage::make({.now = time});
    for (int i = 0; i < 1000; ++i)
        now(storage->put(name(i), bytes(10), time.now() + (i < 600 ? 10s : 20000s)));
    CHECK(now(storage->flush()) == 0);
    time.advance(10s - 1ns);
    CHECK(now(storage->flush()) == 0);
    CHECK(now(storage->flush()) == 0);
    time.advance(1s);
    CHECK(now(storage->flush()) == 600);
    CHECK(storage->stats().entries == 400);
    CHECK(storage->stats().expired == 600);
    time.advance(19988s);
    CHECK(now(storage->flush()) == 0);
    time.advance(2s);
    CHECK(now(storage->flush()) == 400);
    CHECK(storage->stats().entries == 0);
    CHECK(storage->stats().bytes == 0);
}

TEST_CASE("a flush with much to do lets others run in between, and outlives its caller's storage")
{
    testing::manual_clock time;
    auto storage = memory_storage::make({.shards = 2, .now = time});
    for (int i = 0; i < 2000; ++i)
        now(storage->put(name(i), bytes(10), time.now() + 10s));
    time.advance(1h);
    boost::asio::io_context io;
    std::size_t dropped = 0;
    int others = 0;
    boost::asio::co_spawn(io, storage->flush(), [&](std::exception_ptr, std::size_t n) { dropped = n; });
    std::function<void()> const other = [&]
    {
        ++others;
        if (dropped == 0)
            boost::asio::post(io, other);
    };
    boost::asio::post(io, other);
    storage.reset();
    io.run();
    CHECK(dropped == 2000);
    CHECK(others >= 2000 / 256);
}

TEST_CASE("a flush that is cancelled stops, and what it did not reach is never served")
{
    testing::manual_clock time;
    auto const storage = memory_storage::make({.shards = 1, .now = time});
    for (int i = 0; i < 2000; ++i)
        now(storage->put(name(i), bytes(10), time.now() + 10s));
    time.advance(1h);
    boost::asio::io_context io;
    boost::asio::cancellation_signal cancel;
    std::exception_ptr failure;
    boost::asio::co_spawn(
        io, storage->flush(),
        boost::asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr e, std::size_t) { failure = e; }));
    io.poll_one();
    cancel.emit(boost::asio::cancellation_type::terminal);
    io.run();
    CHECK(failure != nullptr);
    auto const left = storage->stats().entries;
    CHECK(left > 0);
    CHECK_FALSE(now(storage->get(name(0))).has_value());
    CHECK_FALSE(now(storage->get(name(1999))).has_value());
    CHECK(now(storage->flush()) <= left);
    CHECK(storage->stats().entries == 0);
}

TEST_CASE("lifetimes of any length leave the memory by writes alone, not much later than they end")
{
    testing::manual_clock time;
    auto const storage = memory_storage::make({.shards = 1, .now = time});
    auto const made = time.now();
    std::chrono::seconds const lives[] = {1s, 63s, 300s, 2h, 24h, 24h * 7, 24h * 60};
    int i = 0;
    for (auto const life : lives)
        now(storage->put(name(i++), bytes(10), made + life));
    i = 0;
    for (auto const life : lives)
    {
        auto const which = name(i);
        auto const left = [&]
        {
            now(storage->put("a write", bytes(1), time.now() + 1s));
            now(storage->erase("a write"));
            return storage->stats().entries;
        };
        time.advance(made + life - 1s - time.now());
        CHECK(now(storage->get(which)).has_value());
        CHECK(left() == std::size(lives) - static_cast<std::size_t>(i));
        time.advance(made + life + life / 15 + 2s - time.now());
        CHECK(left() == std::size(lives) - static_cast<std::size_t>(i) - 1);
        ++i;
    }
    CHECK(storage->stats().expired == std::size(lives));
}

TEST_CASE("a clock that is set back serves nothing twice and loses nothing")
{
    testing::manual_clock time;
    auto const storage = memory_storage::make({.shards = 1, .now = time});
    time.advance(10h);
    now(storage->put(name(0), bytes(10), time.now() + 1h));
    time.advance(-9h);
    now(storage->put(name(1), bytes(10), time.now() + 1h));
    CHECK(now(storage->get(name(0))).has_value());
    CHECK(now(storage->get(name(1))).has_value());
    time.advance(3h);
    CHECK_FALSE(now(storage->get(name(1))).has_value());
    CHECK(now(storage->get(name(0))).has_value());
    time.advance(20h);
    now(storage->flush());
    CHECK(storage->stats().entries == 0);
}

TEST_CASE("writes alone keep a storage clear of what has expired")
{
    testing::manual_clock time;
    auto const storage = memory_storage::make({.shards = 1, .now = time});
    for (int second = 0; second < 10000; ++second)
    {
        now(storage->put(name(second), bytes(10), time.now() + 60s));
        time.advance(1s);
    }
    CHECK(storage->stats().entries <= 62);
    CHECK(storage->stats().expired >= 10000 - 62);
}

TEST_CASE("random use by many threads loses no count")
{
    testing::manual_clock time;
    auto const storage = memory_storage::make({.max_bytes = 64 << 10, .shards = 4, .now = time});
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
        threads.emplace_back(
            [&, t]
            {
                std::mt19937 random{t};
                boost::asio::io_context io;
                auto const use = [&](std::uint32_t dice) -> boost::asio::awaitable<void>
                {
                    auto const which = name(static_cast<int>(dice % 300));
                    switch (dice / 300 % 6)
                    {
                    case 0: co_await storage->get(which); break;
                    case 1: co_await storage->take(which); break;
                    case 2: co_await storage->erase(which); break;
                    case 3: co_await storage->flush(); break;
                    default: co_await storage->put(which, bytes(dice % 700), time.now() + 1s * (dice % 10)); break;
                    }
                };
                for (int i = 0; i < 4000; ++i)
                {
                    boost::asio::co_spawn(io, use(static_cast<std::uint32_t>(random())), boost::asio::detached);
                    io.run();
                    io.restart();
                    if (i % 100 == 0)
                        time.advance(1s);
                }
            });
    for (auto& thread : threads)
        thread.join();
    CHECK(storage->stats().bytes <= 64u << 10);
    for (int i = 0; i < 300; ++i)
        now(storage->erase(name(i)));
    CHECK(storage->stats().entries == 0);
    CHECK(storage->stats().bytes == 0);
}

TEST_SUITE_END();
