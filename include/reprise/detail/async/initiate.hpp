// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/async/initiation.hpp>
#include <reprise/detail/async/spawn_cancellable.hpp>
#include <reprise/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

/// Result of an operation's coroutine: the completion arguments.
template <class T>
struct outcome
{
    error_code ec;
    T value{};
};

template <>
struct outcome<void>
{
    error_code ec;
};

template <class T>
struct completion
{
    using signature = void(error_code, T);
    using tuple = std::tuple<error_code, T>;
    static tuple to_tuple(outcome<T>&& o) { return {o.ec, std::move(o.value)}; }
};

template <>
struct completion<void>
{
    using signature = void(error_code);
    using tuple = std::tuple<error_code>;
    static tuple to_tuple(outcome<void>&& o) { return {o.ec}; }
};

/// The error_code for the current exception, which ends an operation. Call it in a handler of that exception.
[[nodiscard]] inline error_code current_error() noexcept
{
    try
    {
        throw;
    }
    catch (system_error const& e)
    {
        return e.code();
    }
    catch (std::bad_alloc const&)
    {
        return asio::error::no_memory;
    }
    catch (...) // thrown by a callback of the caller
    {
        return errc::callback_threw;
    }
}

[[nodiscard]] inline error_code error_of(std::exception_ptr const& failure) noexcept
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (...)
    {
        return current_error();
    }
}

template <class T, class Make>
asio::awaitable<outcome<T>> run(Make make)
{
    try
    {
        co_return co_await make();
    }
    catch (...)
    {
        co_return outcome<T>{current_error()};
    }
}

/// Throw the error into an awaiting coroutine. The text of the exception contains the value's own `failure`, if there
/// is one.
template <class T>
[[noreturn]] void throw_error(outcome<T> const& failed)
{
    if constexpr (requires { std::string{failed.value.failure}; })
        if (!failed.value.failure.empty())
            throw system_error{failed.ec, failed.value.failure};
    throw system_error{failed.ec};
}

template <class T, class Make>
asio::awaitable<T> run_to_value(Make make)
{
    outcome<T> result = co_await make();
    if (result.ec)
        throw_error(result);
    if constexpr (!std::is_void_v<T>)
        co_return std::move(result.value);
}

template <class T, class Make>
asio::awaitable<typename completion<T>::tuple> run_to_tuple(Make make)
{
    co_return completion<T>::to_tuple(co_await run<T>(std::move(make)));
}

/** Start the operation's coroutine, and call `handler` when the coroutine has ended.

    The coroutine runs on the handler's associated executor, as the intermediate steps of any composed operation do. If
    that executor cannot run coroutines, the coroutine runs on `on`. The handler is stored in memory of its associated
    allocator.
*/
template <class T, class Make, class Handler>
void start_coroutine(asio::any_io_executor const& on, Make make, Handler handler)
{
    auto const handler_ex = asio::get_associated_executor(handler, on);
    auto const slot = asio::get_associated_cancellation_slot(handler);
    auto const allocator = asio::get_associated_allocator(handler);
    auto kept = std::allocate_shared<Handler>(allocator, std::move(handler));
    auto complete = [kept = std::move(kept)](std::exception_ptr e, outcome<T> result) mutable
    {
        if (e) // cancelled before run() had begun, or no memory for its coroutine
            result.ec = error_of(e);
        Handler ended{std::move(*kept)};
        kept.reset(); // the handler's next operation may need this memory
        std::apply(std::move(ended), completion<T>::to_tuple(std::move(result)));
    };
    asio::any_io_executor run_on{on};
    if constexpr (std::convertible_to<decltype(handler_ex), asio::any_io_executor>)
        run_on = handler_ex;
    spawn_cancellable(run_on, run<T>(std::move(make)),
                      asio::bind_cancellation_slot(slot, asio::bind_executor(handler_ex, std::move(complete))));
}

/** Run a coroutine as an Asio operation with any completion token.

    A coroutine that awaits the operation with `use_awaitable` runs it as a part of itself, which costs less than a
    second coroutine.

    @param on The I/O object's executor, for a handler without an associated executor.
    @param make Called when the operation starts; returns `asio::awaitable<outcome<T>>`. `make` lives as long as that
        awaitable.
*/
template <class T, class Make, class Token>
auto initiate(asio::any_io_executor on, Make make, Token&& token)
{
    using token_type = std::decay_t<Token>;
    if constexpr (std::is_same_v<token_type, asio::use_awaitable_t<>>)
        return run_to_value<T>(std::move(make));
    else if constexpr (std::is_same_v<token_type, asio::as_tuple_t<asio::use_awaitable_t<>>>)
        return run_to_tuple<T>(std::move(make));
    else
    {
        auto start = [on](auto handler, Make m) { detail::start_coroutine<T>(on, std::move(m), std::move(handler)); };
        return asio::async_initiate<Token, typename completion<T>::signature>(detail::initiation{on, std::move(start)},
                                                                              token, std::move(make));
    }
}

} // namespace reprise::detail
