// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

/// Cancels a coroutine after it has begun. Earlier cancellations are delivered when the coroutine begins.
class coroutine_cancellation
{
public:
    [[nodiscard]] asio::cancellation_slot slot() noexcept { return signal_.slot(); }

    void emit(asio::cancellation_type type)
    {
        if (has_begun_)
            signal_.emit(type);
        else
            waiting_ |= type;
    }

    /// Deliver earlier cancellations. Called at the beginning of the coroutine.
    void begin()
    {
        has_begun_ = true;
        if (waiting_ != asio::cancellation_type::none)
            signal_.emit(waiting_);
    }

private:
    asio::cancellation_signal signal_;
    asio::cancellation_type waiting_ = asio::cancellation_type::none;
    bool has_begun_ = false;
};

template <class T>
asio::awaitable<T> run_cancellable(std::shared_ptr<coroutine_cancellation> cancellation, asio::awaitable<T> body)
{
    std::exception_ptr failure;
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
    cancellation->begin();
    try
    {
        if constexpr (std::is_void_v<T>)
            co_await std::move(body);
        else
            value.emplace(co_await std::move(body));
    }
    catch (...)
    {
        failure = std::current_exception();
    }
    co_await asio::this_coro::throw_if_cancelled(false); // otherwise co_spawn's own last await throws
    if (failure)
        std::rethrow_exception(failure);
    if constexpr (!std::is_void_v<T>)
        co_return std::move(*value);
}

/** Spawn a coroutine as asio::co_spawn does, for a handler that may have a cancellation slot.

    co_spawn awaits before the coroutine's first step and after its last step. Up to Boost 1.83 a cancellation that has
    arrived by then is thrown there: out of io_context::run, and the handler is never called. That happens if a
    coroutine is cancelled before it begins, or is cancelled and then ends without waiting.

    @param ex Executor on which the coroutine runs and is cancelled.
    @param handler Called as void(std::exception_ptr, T), on its associated executor.
*/
template <class T, class Handler>
void spawn_cancellable(asio::any_io_executor const& ex, asio::awaitable<T> body, Handler handler)
{
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (!slot.is_connected())
        return asio::co_spawn(ex, std::move(body), std::move(handler));
    auto const cancellation = std::make_shared<coroutine_cancellation>();
    slot.assign([ex, cancellation](asio::cancellation_type type)
                { asio::dispatch(ex, [cancellation, type] { cancellation->emit(type); }); });
    auto const handler_ex = asio::get_associated_executor(handler, ex);
    auto const allocator = asio::get_associated_allocator(handler);
    // Asio uses the slot until the handler has run, so the signal is kept until then.
    auto ended = [slot, cancellation, handler = std::move(handler)](auto&&... results) mutable
    {
        slot.clear();
        std::move(handler)(std::forward<decltype(results)>(results)...);
    };
    asio::co_spawn(
        ex, run_cancellable(cancellation, std::move(body)),
        asio::bind_cancellation_slot(
            cancellation->slot(), asio::bind_allocator(allocator, asio::bind_executor(handler_ex, std::move(ended)))));
}

} // namespace reprise::detail
