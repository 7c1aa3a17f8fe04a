// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/child.hpp"
#include "support/lmdb.hpp"

#include <reprise/base/error.hpp>
#include <reprise/storage/lmdb_error.hpp>
#include <reprise/storage/lmdb_storage.hpp>
#include <reprise/testing/manual_clock.hpp>
#include <reprise/testing/storage_contract.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <deque>

using namespace reprise;
using namespace std::chrono_literals;
using test::completed;

TEST_SUITE_BEGIN("lmdb_storage");

TEST_CASE("lmdb_storage keeps the contract")
{
    test::temporary_directory const directory;
    int made = 0;
    for (auto const durability : {lmdb_durability::synced, lmdb_durability::unsynced})
        for (std::size_t const read_threads : {1, 3})
        {
            auto const results = testing::check_storage_contract(
                [&]() -> testing::storage_under_test
                {
                    testing::manual_clock time;
                    lmdb_storage_options options;
                    options.path = directory / std::to_string(made++);
                    options.max_bytes = 4 << 20;
                    options.durability = durability;
                    options.read_threads = read_threads;
                    options.now = time;
                    return {lmdb_storage::make(options), [time](auto by) mutable { time.advance(by); }};
                });
            CHECK(results.size() >= 18);
            for (auto const& row : results)
                CHECK_MESSAGE(row.holds(), row.expectation, ": ", row.failure);
        }
}

TEST_SUITE_END();
