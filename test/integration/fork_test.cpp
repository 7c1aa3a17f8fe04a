// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// A server that makes its context, cache and storage, and then forks its workers.

#include "server/early/strike_register.hpp"
#include "support/child.hpp"
#include "support/early.hpp"
#include "support/flight.hpp"
#include "support/forked.hpp"

#include <reprise/storage/make_storage.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <boost/asio/co_spawn.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace test;
using reprise::early_data_reason;
using reprise::early_data_status;

#ifndef REPRISE_TEST_NO_FORK

TEST_SUITE_BEGIN("fork");

namespace {

// What a worker does that is forked off now: `work` on the world's io_context, as the Asio manual has it.
int in_worker(asio::io_context& io, std::function<void(std::function<asio::awaitable<void>()>)> const& run,
              std::function<asio::awaitable<int>()> const& work)
{
    io.notify_fork(asio::execution_context::fork_prepare);
    int const status = in_child(
        [&]
        {
            io.notify_fork(asio::execution_context::fork_child);
            int result = 90;
            run([&]() -> asio::awaitable<void> { result = co_await work(); });
            return result;
        });
    io.notify_fork(asio::execution_context::fork_parent);
    return status;
}

int in_worker(early_world& w, std::function<asio::awaitable<int>()> const& work)
{
    return in_worker(w.inner().io, [&](auto test) { w.run(std::move(test)); }, work);
}

std::size_t rejected(early_world& w, early_data_reason why)
{
    return w.cache().stats().early_rejected_by_reason.at(static_cast<std::size_t>(why));
}

std::string read_file(std::string const& path)
{
    std::ifstream in{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

} // namespace

TEST_CASE("a worker that is forked off when all is made resumes, wherever sessions are")
{
    temporary_directory const directory;
    for (auto const& k : kinds)
        for (auto const* const where : {"memory", "lmdb"})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(std::string{where});
            setup s{.of = k};
            s.cache.storage = std::string_view{where} == "lmdb"
                                  ? reprise::make_storage("lmdb:" + directory / std::string{k.name})
                                  : reprise::memory_storage::make({});
            world w{std::move(s)};
            auto const visits = [&]() -> asio::awaitable<int>
            {
                auto stream = w.stream();
                auto const first = co_await w.visit(stream);
                auto const second = co_await w.visit(stream);
                co_return first.resumed() || !second.resumed() ? 1 : 0;
            };
            for (int worker = 0; worker < 2; ++worker)
                CHECK(in_worker(w.io, [&](auto test) { w.run(std::move(test)); }, visits) == 0);
        }
}

TEST_CASE("workers with a guard in the memory that they were forked off with refuse early data, and resume")
{
    for (auto const& k : tls13_kinds()) // strikes, and tickets that are good for one use
    {
        CAPTURE(std::string{k.name});
        early_world w{k};
        auto const visits = [&]() -> asio::awaitable<int>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            auto const again = co_await w.say(stream, "again");
            if (!again.resumed() || again.early_data != early_data_status::rejected)
                co_return 1;
            co_return rejected(w, early_data_reason::guard_unsure) == 1 ? 0 : 2;
        };
        CHECK(in_worker(w, visits) == 0);
    }
}

TEST_CASE("workers that share an LMDB accept a flight once")
{
    temporary_directory const directory;
    auto const storage = reprise::make_storage("lmdb:" + directory / "guard");
    asio::io_context io;
    run(io,
        [&]() -> asio::awaitable<void>
        {
            auto const then = std::chrono::system_clock::now() - 1h;
            auto const epoch = co_await storage->epoch();
            reprise::detail::register_begin const begin{then, epoch};
            co_await storage->put("reprise replay guard begin", begin.to_record(), then + 24h);
        }());
    auto const guard = reprise::replay_guard::shared(storage, {.storage_timeout = 10s, .max_clock_skew = 0ms});
    early_world w{kinds[2], {.early = {.max_bytes = 100, .guard = guard}}};
    auto const flight = directory / "flight";
    auto const accept = [&]() -> asio::awaitable<int>
    {
        recorder tap{w.inner().io, w.srv().port()};
        w.port = tap.port();
        auto stream = w.stream();
        co_await w.say(stream, "first");
        auto const again = co_await w.say(stream, "again");
        {
            std::ofstream out{flight, std::ios::binary};
            out << tap.flights.at(1);
        }
        co_return again.early_data == early_data_status::accepted ? 0 : 1;
    };
    CHECK(in_worker(w, accept) == 0);
    auto const copy = [&]() -> asio::awaitable<int>
    {
        co_await replay(read_file(flight), w.srv().port());
        co_return w.heard.empty() && rejected(w, early_data_reason::replayed) == 1 ? 0 : 1;
    };
    CHECK(in_worker(w, copy) == 0);
    CHECK(in_worker(w, copy) == 0);
}

TEST_SUITE_END();

#endif
