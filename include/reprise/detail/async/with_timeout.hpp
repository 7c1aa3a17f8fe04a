// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/async/spawn_cancellable.hpp>
#include <reprise/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

enum class timed_status
{
    answered,
    late,
    failed,
};

template <class T>
struct timed_result
{
    timed_status status = timed_status::late;
    std::optional<T> value{};
};

template <class T>
asio::awaitable<timed_result<T>> answer(asio::awaitable<T> question)
{
    timed_result<T> result;
    try
    {
        result.value.emplace(co_await std::move(question));
        result.status = timed_status::answered;
    }
    catch (...) // any exception costs only the resumption
    {
        result.status = timed_status::failed;
    }
    co_return result;
}

template <class T>
struct pending_result
{
    explicit pending_result(asio::any_io_executor const& ex) : answered(ex, asio::steady_timer::time_point::max()) {}

    asio::cancellation_signal abandon;
    asio::steady_timer answered;
    std::optional<timed_result<T>> result;
};

template <class T>
asio::awaitable<void> answer_to(std::shared_ptr<pending_result<T>> asker, asio::awaitable<T> question)
{
    asker->result = co_await answer(std::move(question));
    asker->answered.cancel();
}

/// Ends a wait from outside: cancelling the timer makes the wait throw `operation_aborted`. Expired while no wait is
/// pending.
using wait_handle = std::weak_ptr<asio::steady_timer>;

template <class T>
asio::awaitable<timed_result<T>> await_with_timeout(std::chrono::milliseconds limit, asio::awaitable<T> question,
                                                    wait_handle* handle = nullptr)
{
    auto const ex = co_await asio::this_coro::executor;
    std::shared_ptr<pending_result<T>> state;
    try
    {
        state = std::make_shared<pending_result<T>>(ex);
        if (handle != nullptr)
            *handle = std::shared_ptr<asio::steady_timer>{state, &state->answered};
        // The slot is used until the handler has run, so the signal is kept until then.
        spawn_cancellable(ex, answer_to(state, std::move(question)),
                          asio::bind_cancellation_slot(state->abandon.slot(), [state](std::exception_ptr) {}));
    }
    catch (std::bad_alloc const&)
    {
        co_return timed_result<T>{timed_status::failed};
    }
    if (!state->result)
    {
        state->answered.expires_after(limit);
        auto const [ended] = co_await state->answered.async_wait(asio::as_tuple(asio::use_awaitable));
        if (!state->result)
        {
            state->abandon.emit(asio::cancellation_type::terminal);
            if (ended)
                throw system_error{asio::error::operation_aborted};
            co_return timed_result<T>{};
        }
    }
    co_return std::move(*state->result);
}

/** Await `question` for at most `limit`, even if `question` fails, throws or never completes. Missing memory counts as
    failure.

    On timeout the operation is cancelled and detached, so it must own its arguments. Cancellation of the caller throws
    `operation_aborted`. A limit of zero is no limit, and costs no timer.
*/
template <class T>
asio::awaitable<timed_result<T>> with_timeout(std::chrono::milliseconds limit, asio::awaitable<T> question)
{
    return limit.count() == 0 ? answer(std::move(question)) : await_with_timeout(limit, std::move(question));
}

} // namespace reprise::detail
