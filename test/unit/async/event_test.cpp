// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/async/event.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <thread>

using reprise::detail::event;
namespace asio = boost::asio;

TEST_SUITE_BEGIN("event");

TEST_CASE("who waits for an event goes on when it is set, and who comes later at once")
{
    asio::io_context io;
    auto const e = std::make_shared<event>();
    int done = 0;
    auto const wait = [&]() -> asio::awaitable<void>
    {
        co_await event::wait(e);
        ++done;
    };
    asio::co_spawn(io, wait(), asio::detached);
    asio::co_spawn(io, wait(), asio::detached);
    io.poll();
    CHECK(done == 0);
    e->set();
    io.run();
    CHECK(done == 2);
    asio::co_spawn(io, wait(), asio::detached);
    io.restart();
    io.run();
    CHECK(done == 3);
}

TEST_CASE("an event is set on one thread while others wait and come")
{
    constexpr int waiters = 200;
    std::atomic<int> done{0};
    auto const e = std::make_shared<event>();
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back(
                [&]
                {
                    asio::io_context io;
                    for (int i = 0; i < waiters; ++i)
                        asio::co_spawn(io, event::wait(e),
                                       [&](std::exception_ptr failure) { done += failure ? 0 : 1; });
                    io.run();
                });
        e->set();
    }
    CHECK(done == 3 * waiters);
}

TEST_CASE("waiting is cancelled")
{
    asio::io_context io;
    auto const e = std::make_shared<event>();
    asio::cancellation_signal cancel;
    std::exception_ptr failure;
    asio::co_spawn(io, event::wait(e),
                   asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr f) { failure = f; }));
    io.poll();
    cancel.emit(asio::cancellation_type::terminal);
    io.run();
    REQUIRE(failure);
    try
    {
        std::rethrow_exception(failure);
    }
    catch (reprise::system_error const& error)
    {
        CHECK(error.code() == asio::error::operation_aborted);
    }
    e->set(); // nobody is left to be told
}

TEST_CASE("an event that is set after an io_context has gone does not look for those who waited there")
{
    auto const e = std::make_shared<event>();
    std::optional<asio::io_context> io{std::in_place};
    asio::co_spawn(*io, event::wait(e), asio::detached);
    io->poll();
    io.reset();
    e->set();
    CHECK(e.use_count() == 1);
}

TEST_SUITE_END();
