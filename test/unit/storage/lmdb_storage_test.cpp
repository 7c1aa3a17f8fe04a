// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/child.hpp"
#include "support/lmdb.hpp"

#include <reprise/storage/lmdb_storage.hpp>
#include <reprise/testing/manual_clock.hpp>
#include <reprise/testing/storage_contract.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <random>

using namespace reprise;
using namespace std::chrono_literals;
using test::completed;
using test::secret;

TEST_SUITE_BEGIN("lmdb_storage");

namespace {

struct fixture
{
    std::shared_ptr<lmdb_storage> make(std::uint64_t max_bytes = 4 << 20,
                                       lmdb_durability durability = lmdb_durability::unsynced) const
    {
        lmdb_storage_options options;
        options.path = path;
        options.max_bytes = max_bytes;
        options.durability = durability;
        options.now = time;
        return lmdb_storage::make(std::move(options));
    }

    // Many at a time.
    template <class Name>
    void put_all(lmdb_storage& storage, int count, Name name, std::size_t size, time_point expiry) const
    {
        boost::asio::io_context io;
        for (int i = 0; i < count; ++i)
        {
            boost::asio::co_spawn(io, storage.put(name(i), secret_bytes{size}, expiry + i * 1ms),
                                  [](std::exception_ptr e) { CHECK_FALSE(e); });
            if (i % 1000 == 999 || size * static_cast<std::size_t>(i % 1000) > (1 << 20))
            {
                io.run();
                io.restart();
            }
        }
        io.run();
    }

    test::temporary_directory const directory;
    std::string const path = directory / "storage";
    testing::manual_clock time;
};

std::string random_name(int i)
{
    std::mt19937_64 random{static_cast<std::uint64_t>(i)};
    std::string name;
    for (int part = 0; part < 4; ++part)
        name += std::to_string(random());
    return name;
}

} // namespace

TEST_CASE("lmdb_storage keeps the contract")
{
    test::temporary_directory const directory;
    int made = 0;
    auto const check = [&](std::size_t read_threads)
    {
        auto const results = testing::check_storage_contract(
            [&]() -> testing::storage_under_test
            {
                testing::manual_clock time;
                lmdb_storage_options options;
                options.path = directory / std::to_string(made++);
                options.max_bytes = 4 << 20;
                options.durability = lmdb_durability::unsynced; // a sync is all the same to the rest, but for its time
                options.read_threads = read_threads;
                options.now = time;
                return {lmdb_storage::make(options), [time](auto by) mutable { time.advance(by); }};
            });
        CHECK(results.size() >= 18);
        for (auto const& row : results)
            CHECK_MESSAGE(row.holds(), row.expectation, ": ", row.failure);
    };
    check(1);
    check(3);
}

TEST_CASE_FIXTURE(fixture, "what was kept is there after a restart, until it expires")
{
    {
        auto const storage = make(4 << 20, lmdb_durability::synced);
        completed(storage->put("a", secret("one"), time.now() + 60s));
        completed(storage->put("b", secret("two"), time.now() + 3600s));
    }
    {
        auto const storage = make();
        CHECK(storage->stats().entries == 2);
        CHECK(storage->stats().bytes > 0);
        CHECK(completed(storage->get("a")) == secret("one"));
    }
    time.advance(60s);
    auto const storage = make();
    CHECK_FALSE(completed(storage->get("a")));
    CHECK_FALSE(completed(storage->take("a")));
    CHECK(completed(storage->get("b")) == secret("two"));
}

TEST_CASE_FIXTURE(fixture, "names of any length and content are different names")
{
    auto const storage = make();
    auto const later = time.now() + 1h;
    std::vector<std::string> names;
    for (std::size_t const size : {0u, 1u, 127u, 128u, 129u, 510u, 511u, 512u, 70'000u})
        for (char const last : {'a', 'b', '\0'})
            names.push_back(size == 0 ? "" : std::string(size - 1, 'n') + last);
    for (auto const& name : names)
        completed(storage->put(name, secret(std::to_string(name.size()) + (name.empty() ? ' ' : name.back())), later));
    for (auto const& name : names)
        CHECK(completed(storage->get(name)) ==
              secret(std::to_string(name.size()) + (name.empty() ? ' ' : name.back())));
    CHECK(storage->stats().entries == names.size() - 2);
    for (auto const& name : names)
        completed(storage->erase(name));
    CHECK(storage->stats().entries == 0);
}

TEST_CASE_FIXTURE(fixture, "expiry is exact to the microsecond, at the ends of time too")
{
    auto const storage = make();
    auto const expiry = time.now() + 10s;
    completed(storage->put("a", secret("one"), expiry));
    completed(storage->put("last", secret("one"), time_point::max()));
    completed(storage->put("first", secret("one"), time_point::min()));
    time.advance(10s - 1us);
    CHECK(completed(storage->get("a")).has_value());
    time.advance(1us);
    CHECK_FALSE(completed(storage->get("a")).has_value());
    CHECK(completed(storage->flush()) == 1);
    CHECK(completed(storage->get("last")).has_value());
    CHECK_FALSE(completed(storage->get("first")).has_value());
}

TEST_CASE_FIXTURE(fixture, "flush drops what has expired, in slices, and counts it")
{
    auto const storage = make();
    put_all(*storage, 2000, random_name, 10, time.now() + 10s);
    put_all(*storage, 100, [](int i) { return "b" + std::to_string(i); }, 10, time.now() + 1h);
    time.advance(60s);
    auto const before = storage->more_stats().batches;
    CHECK(completed(storage->flush()) == 2000);
    CHECK(storage->more_stats().batches - before > 4);
    CHECK(storage->stats().entries == 100);
    CHECK(storage->stats().expired == 2000);
    CHECK(completed(storage->flush()) == 0);
}

TEST_CASE_FIXTURE(fixture, "writes alone keep a storage clear of what has expired")
{
    auto const storage = make();
    for (int second = 0; second < 500; ++second)
    {
        completed(storage->put(random_name(second), secret("x"), time.now() + 60s));
        time.advance(1s);
    }
    CHECK(storage->stats().entries <= 62);
    CHECK(storage->stats().expired >= 500 - 62);
}

TEST_CASE_FIXTURE(fixture, "what has expired is not served, however much waits to be dropped before it")
{
    auto const storage = make();
    put_all(*storage, 1000, random_name, 10, time.now() + 10s);
    time.advance(60s);
    CHECK_FALSE(completed(storage->get(random_name(999))));
    CHECK_FALSE(completed(storage->take(random_name(998))));
    CHECK_FALSE(completed(storage->erase(random_name(997))));
    CHECK(completed(storage->put_if_absent(random_name(996), secret("one"), time.now() + 1h)));
    CHECK(completed(storage->get(random_name(996))) == secret("one"));
    CHECK(storage->stats().entries > 500); // they did wait
}

TEST_CASE_FIXTURE(fixture, "bytes are bounded, and what expires first goes first")
{
    constexpr std::uint64_t max_bytes = 2 << 20;
    constexpr int count = 30'000;
    auto const storage = make(max_bytes);
    put_all(*storage, count, random_name, 200, time.now() + 1h);
    auto const stats = storage->stats();
    CHECK(stats.bytes <= max_bytes);
    CHECK(stats.entries > max_bytes / 1000); // 400 each, and half of a page is free
    CHECK(stats.evicted == count - stats.entries);
    CHECK(storage->more_stats().failed == 0);
    CHECK(std::filesystem::file_size(path + "/data.mdb") <= max_bytes + (4 << 20));
    CHECK(completed(storage->get(random_name(count - 1))).has_value());
    CHECK_FALSE(completed(storage->get(random_name(0))).has_value());
    auto const oldest_kept = count - static_cast<int>(stats.entries);
    CHECK(completed(storage->get(random_name(oldest_kept))).has_value());
    CHECK_FALSE(completed(storage->get(random_name(oldest_kept - 1))).has_value());
}

TEST_CASE_FIXTURE(fixture, "a smaller bound is reached step by step, and large values fit in")
{
    put_all(*make(8 << 20), 10'000, random_name, 200, time.now() + 1h);
    auto const storage = make(1 << 20);
    CHECK(storage->stats().bytes > 1 << 20);
    put_all(*storage, 400, [](int i) { return "large" + std::to_string(i); }, 100'000, time.now() + 2h);
    CHECK(storage->stats().bytes <= 1 << 20);
    CHECK(storage->more_stats().failed == 0);
    CHECK(completed(storage->get("large399")) == secret_bytes{std::size_t{100'000}});
}

TEST_CASE_FIXTURE(fixture, "a value that is too large is not kept, nor what it would have replaced")
{
    auto const storage = make(1 << 20);
    completed(storage->put("a", secret("one"), time.now() + 1h));
    completed(storage->put("a", secret_bytes{std::size_t{(1 << 17) + 1}}, time.now() + 1h));
    CHECK_FALSE(completed(storage->get("a")));
    CHECK(storage->stats().evicted == 1);
    completed(storage->put("a", secret_bytes{std::size_t{1 << 17}}, time.now() + 1h));
    CHECK(completed(storage->get("a")).has_value());
}

TEST_CASE_FIXTURE(fixture, "operations that come together are one transaction")
{
    auto const storage = make();
    auto const before = storage->more_stats().batches;
    put_all(*storage, 256, random_name, 10, time.now() + 1h);
    CHECK(storage->more_stats().batches - before <= 3);
}

TEST_SUITE_END();
