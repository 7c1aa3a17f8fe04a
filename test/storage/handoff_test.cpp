// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/handoff.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <thread>
#include <vector>

using namespace reprise;
using reprise::detail::handoff;
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
