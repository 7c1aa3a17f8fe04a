// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Storages whose callers, or whose own threads, run out of memory.
#include "server/early/strike_register.hpp"
#include "server/handshake/server_context.hpp"
#include "support/allocations.hpp"
#include "support/child.hpp"
#include "support/harness.hpp"
#include "support/keys.hpp"
#include "support/session_scopes.hpp"
#include "support/sessions.hpp"

#include <reprise/error.hpp>
#include <reprise/persistent_session_store.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/storage/storage.hpp>
#include <reprise/testing/faulty_storage.hpp>

#ifdef REPRISE_TEST_LMDB
#include <reprise/storage/lmdb_storage.hpp>
#endif
#ifdef REPRISE_TEST_REDIS
#include "support/peers/redis.hpp"
#endif

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace reprise;
using namespace std::chrono_literals;
using namespace test;
using reprise::testing::faulty_storage;

TEST_SUITE_BEGIN("no memory, storages");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

time_point later()
{
    return std::chrono::system_clock::now() + 1h;
}

enum class ending
{
    none,
    done,
    no_memory,
    failed,
};

ending ending_of(std::exception_ptr e)
{
    try
    {
        if (e)
            std::rethrow_exception(e);
        return ending::done;
    }
    catch (std::bad_alloc const&)
    {
        return ending::no_memory;
    }
    catch (system_error const& error)
    {
        return error.code() == asio::error::no_memory ? ending::no_memory : ending::failed;
    }
}

struct operation
{
    char const* name;
    std::function<asio::awaitable<void>(storage_ptr)> start;
};

// Named arguments: GCC 12 mishandles temporaries in an expression with co_await.
std::vector<operation> const operations = {
    {"get", [](storage_ptr s) -> asio::awaitable<void> { (void)co_await s->get("a"); }},
    {"put",
     [](storage_ptr s) -> asio::awaitable<void>
     {
         auto value = bytes("two");
         co_await s->put("b", std::move(value), later());
     }},
    {"take", [](storage_ptr s) -> asio::awaitable<void> { (void)co_await s->take("a"); }},
    {"put_if_absent",
     [](storage_ptr s) -> asio::awaitable<void>
     {
         auto value = bytes("three");
         (void)co_await s->put_if_absent("c", std::move(value), later());
     }},
    {"erase", [](storage_ptr s) -> asio::awaitable<void> { (void)co_await s->erase("a"); }},
    {"flush", [](storage_ptr s) -> asio::awaitable<void> { (void)co_await s->flush(); }},
};

// Begin an operation and wait for its end, however the memory is.
ending run(storage_ptr const& s, operation const& what)
{
    undisturbed const pause;
    asio::io_context io;
    auto result = ending::none;
    asio::co_spawn(io, what.start(s), [&](std::exception_ptr e) { result = ending_of(e); });
    io.run_for(20s);
    return result;
}

ending run_disturbed(storage_ptr const& s, operation const& what)
{
    asio::io_context io;
    auto result = ending::none;
    asio::co_spawn(io, what.start(s), [&](std::exception_ptr e) { result = ending_of(e); });
    io.run_for(20s);
    return result;
}

void put(storage_ptr const& s)
{
    operation const prepare{"prepare", [](storage_ptr to) -> asio::awaitable<void>
                            {
                                auto value = bytes("one");
                                co_await to->put("a", std::move(value), later());
                            }};
    REQUIRE(run(s, prepare) == ending::done);
}

/// Each allocation of a caller fails once.
void fail_callers(storage_ptr const& s)
{
    int failed = 0;
    for (auto const& what : operations)
    {
        CAPTURE(what.name);
        for (std::size_t n = 1;; ++n)
        {
            CAPTURE(n);
            REQUIRE(n < 1000);
            put(s);
            bool has_failed = false;
            auto result = ending::none;
            {
                asio::io_context io;
                auto started = what.start(s);
                failing_allocation const armed{allocator::ours, n};
                asio::co_spawn(io, std::move(started), [&](std::exception_ptr e) { result = ending_of(e); });
                io.run_for(20s);
                has_failed = armed.has_failed();
            }
            CHECK((result == ending::done || result == ending::no_memory));
            failed += result == ending::no_memory ? 1 : 0;
            if (!has_failed)
                break;
        }
        CHECK(run(s, what) == ending::done);
    }
    CHECK(failed > 0);
}

/// Each allocation of the storage's own threads fails once, while an operation is carried out.
void fail_threads(storage_ptr const& s, std::function<void()> const& wait_until_it_works = [] {})
{
    std::size_t failed = 0;
    for (auto const& what : operations)
    {
        CAPTURE(what.name);
        for (std::size_t n = 1;; ++n)
        {
            CAPTURE(n);
            REQUIRE(n < 1000);
            put(s);
            std::size_t failures = 0;
            {
                failing_elsewhere const armed{n};
                CHECK(run_disturbed(s, what) != ending::none);
                failures = armed.failures();
            }
            wait_until_it_works();
            if (failures == 0)
                break;
            failed += failures;
        }
        CHECK(run(s, what) == ending::done);
    }
    CHECK(failed > 0);
}

} // namespace

TEST_CASE("memory_storage: a caller without memory fails an operation, and nothing else")
{
    fail_callers(memory_storage::make());
}

#ifdef REPRISE_TEST_LMDB

namespace {

struct lmdb_fixture
{
    temporary_directory const directory;
    std::shared_ptr<lmdb_storage> const storage =
        lmdb_storage::make({.path = directory / "storage", .durability = lmdb_durability::unsynced});
};

} // namespace

TEST_CASE_FIXTURE(lmdb_fixture, "lmdb_storage: a caller without memory fails an operation, and nothing else")
{
    fail_callers(storage);
}

TEST_CASE_FIXTURE(lmdb_fixture, "lmdb_storage: threads without memory fail an operation, and nothing else")
{
    fail_threads(storage);
}

TEST_CASE_FIXTURE(lmdb_fixture, "lmdb_storage: while there is no memory at all nothing is lost, and then it goes on")
{
    put(storage);
    asio::io_context io;
    std::vector<ending> results(operations.size(), ending::none);
    std::size_t failures = 0;
    {
        auto const work = asio::make_work_guard(io);
        failing_elsewhere const armed{1, static_cast<std::size_t>(-1)};
        for (std::size_t i = 0; i < operations.size(); ++i)
            asio::co_spawn(io, operations[i].start(storage),
                           [&, i](std::exception_ptr e) { results[i] = ending_of(e); });
        auto const deadline = std::chrono::steady_clock::now() + 20s;
        while (armed.failures() < 10 && std::chrono::steady_clock::now() < deadline)
            io.run_one_for(1ms);
        failures = armed.failures();
    }
    REQUIRE(failures >= 10);
    io.run_for(20s);
    for (auto const& result : results)
        CHECK((result == ending::done || result == ending::no_memory));
    for (auto const& what : operations)
        CHECK(run(storage, what) == ending::done);
}

TEST_CASE_FIXTURE(lmdb_fixture, "lmdb_storage: a context may go while there is no memory to tell it of an answer")
{
    auto const alive = std::make_shared<int>();
    std::size_t failures = 0;
    {
        failing_elsewhere const armed{1, static_cast<std::size_t>(-1)};
        {
            asio::io_context io;
            auto const get = [](storage_ptr s, [[maybe_unused]] std::shared_ptr<int> mark) -> asio::awaitable<void>
            { (void)co_await s->get("a"); };
            asio::co_spawn(io, get(storage, alive), [](std::exception_ptr) {});
            auto const deadline = std::chrono::steady_clock::now() + 20s;
            while (armed.failures() < 10 && std::chrono::steady_clock::now() < deadline)
                io.run_one_for(1ms);
        }
        CHECK(alive.use_count() == 1);
        failures = armed.failures();
    }
    CHECK(failures >= 10);
    CHECK(run(storage, operations[0]) == ending::done);
}

#endif
#ifdef REPRISE_TEST_REDIS

namespace {

// Whatever was lost for lack of memory, the storage comes back by itself.
void wait_for(redis_storage& s)
{
    REQUIRE(eventually([&] { return !error_of(s.get("a")); }));
}

} // namespace

TEST_CASE("redis_storage: a caller without memory fails an operation, and nothing else")
{
    redis_server const server;
    fail_callers(redis_storage::make(server.options()));
}

TEST_CASE("redis_storage: a thread of its own without memory costs a connection at most")
{
    redis_server const server;
    auto const storage = redis_storage::make(server.options());
    fail_threads(storage, [&] { wait_for(*storage); });
}

TEST_CASE("redis_storage: it connects although an allocation of its thread fails, whichever it is")
{
    redis_server const server;
    auto options = server.options();
    options.host = "localhost";
    for (std::size_t n = 1;; ++n)
    {
        CAPTURE(n);
        REQUIRE(n < 1000);
        std::shared_ptr<redis_storage> storage;
        std::size_t failures = 0;
        {
            failing_elsewhere const armed{n};
            storage = redis_storage::make(options);
            auto const is_settled = [&] { return storage->connection_stats().state != redis_state::connecting; };
            CHECK(eventually(is_settled));
            failures = armed.failures();
        }
        wait_for(*storage);
        if (failures == 0)
            break;
    }
}

#endif

TEST_CASE("a server's session that there is no memory to write is a counted loss, and the next one is written")
{
    asio::io_context io;
    auto tls = server_context();
    auto const inner = memory_storage::make();
    session_cache cache{tls, {.id_context = "test/v1", .tickets = false, .storage = faulty_storage::make(inner)}};
    auto const drain = [&]
    {
        bool is_drained = false;
        asio::co_spawn(io, cache.drain(), [&](std::exception_ptr) { is_drained = true; });
        io.restart();
        io.run_for(20s);
        return is_drained;
    };
    cache.server()->store(io.get_executor(), make_session()); // which makes a strand; without memory Asio's crashes
    CHECK(drain());
    std::size_t lost = 0;
    for (std::size_t n = 1;; ++n)
    {
        CAPTURE(n);
        auto const made = make_session();
        bool has_failed = false;
        {
            failing_allocation const armed{allocator::ours, n};
            try
            {
                cache.server()->store(io.get_executor(), made);
            }
            catch (std::bad_alloc const&) // as acceptor does, which counts it
            {
                ++lost;
            }
            has_failed = armed.has_failed();
        }
        CHECK(drain());
        auto const stats = cache.stats();
        CHECK(stats.stored + stats.storage_errors + stats.dropped + lost == n + 1);
        if (!has_failed)
            break;
    }
    CHECK(lost > 0);
    CHECK(cache.stats().stored > 0);
    CHECK(inner->stats().entries > 0);
}

TEST_CASE("a lookup that there is no memory for costs the resumption, not the handshake")
{
    std::optional<failing_allocation> armed;
    std::size_t n = 0;
    world* server = nullptr;
    setup s{.of = kinds[0]};
    auto const reached = [&](testing::storage_operation, std::size_t)
    {
        armed.reset();
        return testing::storage_fault::none;
    };
    s.cache.storage = faulty_storage::make(memory_storage::make(), reached);
    s.server.select_host = [&](client_hello const&) -> asio::awaitable<std::optional<session_cache>>
    {
        if (n != 0)
            armed.emplace(allocator::ours, n); // the next are those of the lookup
        co_return server->cache;
    };
    world w{std::move(s)};
    server = &w;
    int lost = 0;
    int failed = 0;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            for (std::size_t failing = 1; failing <= 10; ++failing)
            {
                n = 0;
                co_await w.visit(stream); // there is a session again
                n = failing;
                try
                {
                    co_await w.visit(stream);
                    auto const& info = w.srv.handshakes.back();
                    lost += info.reason == full_handshake_reason::lookup_failed ? 1 : 0;
                }
                catch (system_error const&)
                {
                    ++failed;
                }
                armed.reset();
            }
            n = 0;
            co_await w.visit(stream);
            CHECK((co_await w.visit(stream)).resumed());
        });
    CHECK(lost > 0);
    CHECK(failed <= 1); // one allocation is for the policy, without which nothing can be decided
}

TEST_CASE("a replay guard that there is no memory for refuses early data, and goes on")
{
    testing::manual_clock clock;
    auto const strikes =
        replay_guard::shared(faulty_storage::make(memory_storage::make({.now = clock})), {.now = clock}).strikes();
    std::size_t n = 0; // the allocation that fails
    bool has_failed = false;
    auto const hit = [&](std::string const& binder)
    {
        asio::io_context io;
        std::optional<detail::strike> result;
        auto question = detail::strike_register::hit(strikes, binder);
        failing_allocation const armed{allocator::ours, n};
        asio::co_spawn(io, std::move(question),
                       [&](std::exception_ptr e, detail::strike const& s)
                       {
                           CHECK_FALSE(e);
                           result = s;
                       });
        io.run_for(20s);
        has_failed = armed.has_failed();
        REQUIRE(result.has_value());
        return result->reason;
    };
    (void)hit("first");
    clock.advance(60s);
    int refused = 0;
    for (std::size_t failing = 1; failing == 1 || has_failed; ++failing)
    {
        CAPTURE(failing);
        auto const binder = "binder " + std::to_string(failing);
        n = failing;
        auto const reason = hit(binder);
        bool const was_accepted = reason == early_data_reason::none;
        CHECK((was_accepted || reason == early_data_reason::guard_failed));
        refused += was_accepted ? 0 : 1;
        bool const failed = has_failed;
        n = 0;
        if (was_accepted)
            CHECK(hit(binder) == early_data_reason::replayed);
        has_failed = failed;
    }
    CHECK(refused > 0);
    CHECK(hit("last") == early_data_reason::none);
}

TEST_CASE("a client's session that there is no memory to write is a counted loss, and the next one is written")
{
    asio::io_context io;
    auto const inner = memory_storage::make();
    auto const store = persistent_session_store::make(
        {.storage = faulty_storage::make(inner), .keys = {key_of(1)}, .executor = io.get_executor()});
    auto const run_all = [&]
    {
        io.restart();
        io.run_for(20s);
    };
    std::size_t failures = 0;
    for (std::size_t n = 1;; ++n)
    {
        CAPTURE(n);
        auto const before = store->stats();
        auto const held = store->size();
        auto const ticket = make_session();
        auto const scope = key_of_host("host" + std::to_string(n));
        bool has_failed = false;
        {
            failing_allocation const armed{allocator::ours, n};
            store->capture(scope, ticket);
            has_failed = armed.has_failed();
        }
        run_all();
        auto const after = store->stats();
        bool const is_counted = after.dropped + after.storage_errors > before.dropped + before.storage_errors;
        bool const is_kept = store->size() > held;
        CHECK((is_counted || is_kept));
        if (!has_failed)
        {
            CHECK(after.stored == before.stored + 1);
            break;
        }
        ++failures;
    }
    CHECK(failures > 0);
}

TEST_SUITE_END();
