// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace reprise {

namespace asio = boost::asio;

namespace detail {

enum class lookup_status
{
    answered,
    late,
    failed,
};

template <class T>
struct lookup
{
    lookup_status status = lookup_status::late;
    std::optional<T> value{};
};

template <class T>
struct pending_lookup
{
    explicit pending_lookup(asio::any_io_executor const& ex) : answered(ex, asio::steady_timer::time_point::max()) {}

    asio::cancellation_signal abandon;
    asio::steady_timer answered;
    bool done = false;
    lookup<T> result;
};

template <class T>
asio::awaitable<void> answer(std::shared_ptr<pending_lookup<T>> state, asio::awaitable<T> question)
{
    try
    {
        state->result.value.emplace(co_await std::move(question));
        state->result.status = lookup_status::answered;
    }
    catch (...) // whatever it is, it costs a resumption and nothing else
    {
        state->result.status = lookup_status::failed;
    }
    state->done = true;
    state->answered.cancel();
}

/** Await `question` for at most `limit`, whatever it does: fail, throw, or never answer.

    A question that completes without suspending costs no timer. One that is late is told to stop and left to itself, so
    it has to own what it uses. The caller's own cancellation throws `operation_aborted`.
*/
template <class T>
asio::awaitable<lookup<T>> within(std::chrono::milliseconds limit, asio::awaitable<T> question)
{
    auto const ex = co_await asio::this_coro::executor;
    auto const state = std::make_shared<pending_lookup<T>>(ex);
    asio::co_spawn(ex, answer(state, std::move(question)),
                   asio::bind_cancellation_slot(state->abandon.slot(), asio::detached));
    if (!state->done)
    {
        state->answered.expires_after(limit);
        co_await state->answered.async_wait(asio::as_tuple(asio::use_awaitable));
        if (!state->done)
            state->abandon.emit(asio::cancellation_type::terminal);
        asio::cancellation_state const caller = co_await asio::this_coro::cancellation_state;
        if (caller.cancelled() != asio::cancellation_type::none)
            throw system_error{asio::error::operation_aborted};
    }
    if (!state->done)
        co_return lookup<T>{};
    co_return std::move(state->result);
}

} // namespace detail
} // namespace reprise
