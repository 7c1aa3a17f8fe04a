// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/async/with_timeout.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using reprise::error_code;
using reprise::system_error;

TEST_SUITE_BEGIN("cancellation");

namespace {

using body = std::function<asio::awaitable<int>()>;

asio::awaitable<int> ends_at_once()
{
    co_return 1;
}

asio::awaitable<int> posts()
{
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    co_return 1;
}

asio::awaitable<int> waits_for_ever()
{
    asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
    co_await timer.async_wait(asio::use_awaitable);
    co_return 1;
}

asio::awaitable<int> cancels_itself_and_ends(asio::cancellation_signal& cancel)
{
    cancel.emit(asio::cancellation_type::terminal);
    co_return 1;
}

// What a handler was told: "1", "aborted", another failure, or "" if it was never called.
std::string text_of(std::exception_ptr const& failure, int value)
{
    if (!failure)
        return std::to_string(value);
    try
    {
        std::rethrow_exception(failure);
    }
    catch (system_error const& e)
    {
        return e.code() == asio::error::operation_aborted ? "aborted" : e.what();
    }
}

} // namespace

TEST_CASE("whenever a coroutine is cancelled, its handler is called, and nothing is thrown out of io_context::run")
{
    for (bool const by_handler : {false, true}) // which runs before the coroutine's first step
        for (bool const on_executor : {false, true})
            for (int steps = 0; steps < 4; ++steps)
                for (body const& b : {body{ends_at_once}, body{posts}, body{waits_for_ever}})
                {
                    CAPTURE(by_handler);
                    CAPTURE(on_executor);
                    CAPTURE(steps);
                    asio::io_context io;
                    asio::cancellation_signal cancel;
                    std::string told;
                    if (by_handler)
                        asio::post(io, [&] { cancel.emit(asio::cancellation_type::terminal); });
                    auto ended = [&](std::exception_ptr e, int value) { told = text_of(e, value); };
                    if (on_executor)
                        reprise::detail::spawn_cancellable(
                            io.get_executor(), b(),
                            asio::bind_cancellation_slot(cancel.slot(), asio::bind_executor(io, ended)));
                    else
                        reprise::detail::spawn_cancellable(io.get_executor(), b(),
                                                           asio::bind_cancellation_slot(cancel.slot(), ended));
                    for (int i = 0; i < steps; ++i)
                        io.poll_one();
                    cancel.emit(asio::cancellation_type::terminal);
                    io.restart();
                    CHECK_NOTHROW(io.run());
                    CHECK((told == "1" || told == "aborted"));
                    if (by_handler)
                        CHECK(told == "aborted");
                }
}

TEST_CASE("a coroutine that is cancelled and ends without having waited gives its value")
{
    asio::io_context io;
    asio::cancellation_signal cancel;
    std::string told;
    auto ended = [&](std::exception_ptr e, int value) { told = text_of(e, value); };
    reprise::detail::spawn_cancellable(io.get_executor(), cancels_itself_and_ends(cancel),
                                       asio::bind_cancellation_slot(cancel.slot(), ended));
    CHECK_NOTHROW(io.run());
    CHECK(told == "1");
}

TEST_CASE("a coroutine that nobody cancels gives its value")
{
    asio::io_context io;
    asio::cancellation_signal cancel;
    std::string told;
    auto ended = [&](std::exception_ptr e, int value) { told = text_of(e, value); };
    reprise::detail::spawn_cancellable(io.get_executor(), posts(), ended);
    io.run();
    CHECK(told == "1");
    told.clear();
    io.restart();
    reprise::detail::spawn_cancellable(io.get_executor(), posts(), asio::bind_cancellation_slot(cancel.slot(), ended));
    io.run();
    CHECK(told == "1");
}

TEST_CASE("an operation that is cancelled before its first step completes with operation_aborted")
{
    using reprise::detail::outcome;
    asio::io_context io;
    asio::cancellation_signal cancel;
    std::optional<error_code> told;
    asio::post(io, [&] { cancel.emit(asio::cancellation_type::terminal); });
    auto const make = []() -> asio::awaitable<outcome<void>>
    {
        co_await posts();
        co_return outcome<void>{};
    };
    reprise::detail::initiate<void>(io.get_executor(), make,
                                    asio::bind_cancellation_slot(cancel.slot(), [&](error_code ec) { told = ec; }));
    CHECK_NOTHROW(io.run());
    CHECK(told == asio::error::operation_aborted);
}

TEST_SUITE_END();
