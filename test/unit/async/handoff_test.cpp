// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "async/handoff.hpp"

#include "support/counted_executor.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

using namespace reprise;
using reprise::detail::handoff;
using reprise::detail::kept_executor;
namespace asio = boost::asio;

TEST_SUITE_BEGIN("handoff");

namespace {

// One that waits, on an io_context of its own or another one.
struct waiting
{
    explicit waiting(asio::any_io_executor const& executor) : of(std::make_shared<handoff>(executor))
    {
        asio::co_spawn(executor, wait(of, alive),
                       asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr e) { ended(e); }));
    }

    static asio::awaitable<void> wait(std::shared_ptr<handoff> h, [[maybe_unused]] std::shared_ptr<int> mark)
    {
        co_await h->wait();
    }

    void ended(std::exception_ptr e)
    {
        try
        {
            if (e)
                std::rethrow_exception(e);
            result = error_code{};
        }
        catch (system_error const& error)
        {
            result = error.code();
        }
    }

    std::shared_ptr<handoff> of;
    std::shared_ptr<int> alive = std::make_shared<int>();
    asio::cancellation_signal cancel;
    std::optional<error_code> result;
};

} // namespace

TEST_CASE("a wait ends when it is completed, from another thread too, and run() waits for that")
{
    asio::io_context io;
    waiting w{io.get_executor()};
    std::jthread const other{[&]
                             {
                                 while (w.alive.use_count() < 2)
                                     std::this_thread::yield();
                                 CHECK(w.of->complete());
                             }};
    io.run();
    CHECK(w.result == error_code{});
}

TEST_CASE("what was completed before the wait counts, and only the first time")
{
    asio::io_context io;
    waiting w{io.get_executor()};
    CHECK(w.of->complete(asio::error::eof));
    CHECK_FALSE(w.of->complete());
    io.run();
    CHECK(w.result == asio::error::eof);
}

TEST_CASE("a cancelled wait ends, and a completion that comes late is told so")
{
    asio::io_context io;
    waiting w{io.get_executor()};
    io.poll();
    CHECK_FALSE(w.of->is_over());
    w.cancel.emit(asio::cancellation_type::terminal);
    io.poll();
    CHECK(w.of->is_over());
    CHECK_FALSE(w.of->complete());
    CHECK(w.result == asio::error::operation_aborted);
}

TEST_CASE("a context that is destroyed takes along what waits on it, and late completions do not touch it")
{
    auto io = std::make_unique<asio::io_context>();
    waiting w{io->get_executor()};
    // Without a signal: Asio's part of that would keep the strand beyond its context.
    auto const alive_in_strand = std::make_shared<int>();
    auto const in_strand = [&](asio::any_io_executor const& strand)
    {
        auto h = std::make_shared<handoff>(strand);
        asio::co_spawn(strand, waiting::wait(h, alive_in_strand), [](std::exception_ptr) {});
        return h;
    }(asio::make_strand(*io));
    io->poll();
    CHECK(w.alive.use_count() == 2);
    CHECK(alive_in_strand.use_count() == 2);
    io.reset();
    CHECK(w.alive.use_count() == 1);
    CHECK(alive_in_strand.use_count() == 1);
    CHECK(w.of->is_over());
    CHECK_FALSE(w.of->complete());
    CHECK_FALSE(in_strand->complete());
    CHECK_FALSE(w.result.has_value());
}

TEST_CASE("a handoff keeps no executor, whether its wait is completed, cancelled or goes with its context")
{
    auto io = std::make_unique<asio::io_context>();
    std::weak_ptr<int> copies;
    std::vector<std::shared_ptr<handoff>> all;
    auto cancel = std::make_unique<asio::cancellation_signal>(); // Asio keeps the executor as long as it is there
    {
        test::counted_executor const executor{*io};
        copies = executor.copies();
        for (int i = 0; i < 3; ++i)
            all.push_back(std::make_shared<handoff>(executor));
        auto const alive = std::make_shared<int>();
        auto const ignore = [](std::exception_ptr) {};
        asio::co_spawn(executor, waiting::wait(all[0], alive), ignore);
        asio::co_spawn(executor, waiting::wait(all[1], alive), asio::bind_cancellation_slot(cancel->slot(), ignore));
        asio::co_spawn(executor, waiting::wait(all[2], alive), ignore);
        io->poll();
    }
    CHECK(copies.use_count() > 0);
    CHECK(all[0]->complete());
    cancel->emit(asio::cancellation_type::terminal);
    io->restart();
    io->poll();
    cancel.reset();
    io.reset();
    CHECK(copies.use_count() == 0);
}

TEST_CASE("several waits are completed at once, those that are over apart, on one context or on several")
{
    asio::io_context first;
    asio::io_context second;
    std::vector<std::unique_ptr<waiting>> all;
    for (auto* const io : {&first, &first, &second, &first})
        all.push_back(std::make_unique<waiting>(io->get_executor()));
    first.poll();
    second.poll();
    CHECK(all[1]->of->complete(asio::error::eof));
    std::vector<std::shared_ptr<handoff>> handoffs;
    for (auto const& w : all)
        handoffs.push_back(w->of);
    handoff::complete_all(handoffs);
    first.poll();
    second.poll();
    for (auto const i : {0, 2, 3})
        CHECK(all[i]->result == error_code{});
    CHECK(all[1]->result == asio::error::eof);
}

TEST_CASE("a kept executor is used while its context is there, and goes with it")
{
    auto io = std::make_unique<asio::io_context>();
    auto const executor = std::make_unique<test::counted_executor>(*io);
    auto const copies = executor->copies();
    kept_executor in_strand{asio::make_strand(*io)};
    auto kept = std::make_unique<kept_executor>(*executor);
    kept_executor other{*executor};
    kept_executor none{asio::any_io_executor{}};
    int used = 0;
    auto const use = [&](asio::any_io_executor const& ex)
    {
        CHECK(&asio::query(ex, asio::execution::context) == io.get());
        ++used;
    };
    CHECK(in_strand.use(use));
    CHECK(kept->use(use));
    CHECK_FALSE(none.use(use));
    kept.reset();
    CHECK(copies.use_count() == 2);
    CHECK(other.use(use));
    io.reset();
    CHECK(copies.use_count() == 1);
    CHECK_FALSE(in_strand.use(use));
    CHECK_FALSE(other.use(use));
    CHECK(used == 3);
}

TEST_CASE("a strand is serial already; on other executors one is made, and kept with its context")
{
    auto io = std::make_unique<asio::io_context>();
    asio::thread_pool pool{1};
    for (auto const& ex :
         {asio::any_io_executor{asio::make_strand(*io)}, asio::any_io_executor{asio::make_strand(pool)},
          asio::any_io_executor{asio::make_strand(asio::any_io_executor{io->get_executor()})}})
        CHECK(reprise::detail::serial_executor(ex) == ex);
    std::weak_ptr<int> copies;
    {
        asio::any_io_executor const plain = io->get_executor();
        auto const first = reprise::detail::background_executor(plain);
        CHECK(first != plain);
        CHECK(reprise::detail::background_executor(plain) == first);
        CHECK(reprise::detail::background_executor(first) == first);
        auto const other = reprise::detail::background_executor(pool.get_executor());
        CHECK(&asio::query(other, asio::execution::context) == &pool);
        test::counted_executor const counted{*io};
        copies = counted.copies();
        CHECK(reprise::detail::background_executor(counted) != first);
    }
    CHECK(copies.use_count() > 0);
    io.reset();
    CHECK(copies.use_count() == 0);
}

TEST_CASE("a context waits for who uses a kept executor of it")
{
    auto io = std::make_unique<asio::io_context>();
    kept_executor kept{io->get_executor()};
    std::atomic<bool> is_used = false;
    std::atomic<bool> is_gone = false;
    std::jthread const other{[&]
                             {
                                 kept.use(
                                     [&](auto const&)
                                     {
                                         is_used = true;
                                         for (int i = 0; i < 1000; ++i)
                                         {
                                             CHECK_FALSE(is_gone);
                                             std::this_thread::yield();
                                         }
                                     });
                             }};
    while (!is_used)
        std::this_thread::yield();
    io.reset();
    is_gone = true;
}

TEST_CASE("completing while the context is destroyed is safe")
{
    for (int round = 0; round < 200; ++round)
    {
        auto io = std::make_unique<asio::io_context>();
        std::vector<std::unique_ptr<waiting>> all;
        for (int i = 0; i < 10; ++i)
            all.push_back(std::make_unique<waiting>(io->get_executor()));
        io->poll();
        std::jthread const other{[&]
                                 {
                                     for (auto const& w : all)
                                         w->of->complete();
                                 }};
        io.reset();
    }
}

TEST_CASE("a wake-up that comes while nobody waits counts once")
{
    asio::io_context io;
    reprise::detail::wake_up wake;
    int wakes = 0;
    auto const wait = [&]() -> asio::awaitable<void>
    {
        for (;;)
        {
            co_await wake.wait();
            ++wakes;
        }
    };
    wake.notify();
    wake.notify();
    asio::co_spawn(io, wait(), [](std::exception_ptr) {});
    io.poll();
    CHECK(wakes == 1);
    wake.notify();
    io.poll();
    CHECK(wakes == 2);
}

TEST_SUITE_END();
