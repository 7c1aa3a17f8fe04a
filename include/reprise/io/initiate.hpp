// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/io/initiation.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

namespace reprise {

namespace asio = boost::asio;

namespace detail {

/// What an operation's coroutine returns: its completion arguments.
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

template <class T, class Make>
asio::awaitable<outcome<T>> run(Make make)
{
    try
    {
        co_return co_await make();
    }
    catch (system_error const& e)
    {
        co_return outcome<T>{e.code()};
    }
    catch (std::bad_alloc const&)
    {
        co_return outcome<T>{asio::error::no_memory};
    }
}

template <class T, class Make>
asio::awaitable<T> run_to_value(Make make)
{
    outcome<T> result = co_await make();
    if (result.ec)
        throw system_error{result.ec};
    if constexpr (!std::is_void_v<T>)
        co_return std::move(result.value);
}

template <class T, class Make>
asio::awaitable<typename completion<T>::tuple> run_to_tuple(Make make)
{
    co_return completion<T>::to_tuple(co_await run<T>(std::move(make)));
}

template <class T, class Make, class Handler>
void spawn(asio::any_io_executor const& on, Make make, Handler handler)
{
    auto const handler_ex = asio::get_associated_executor(handler, on);
    auto const slot = asio::get_associated_cancellation_slot(handler);
    auto complete = [handler = std::move(handler)](std::exception_ptr e, outcome<T> result) mutable
    {
        if (e) // not one of those that run() knows
            std::rethrow_exception(e);
        std::apply(std::move(handler), completion<T>::to_tuple(std::move(result)));
    };
    asio::co_spawn(on, run<T>(std::move(make)),
                   asio::bind_cancellation_slot(slot, asio::bind_executor(handler_ex, std::move(complete))));
}

/** Run a coroutine as an Asio operation with any completion token.

    A coroutine that awaits it, by `use_awaitable`, runs it as a part of itself, which costs less than a second one.

    @param on Where to run it for a token that does not await.
    @param make Called when the operation starts; gives `asio::awaitable<outcome<T>>`.
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
        auto start = [on](auto handler, Make m) { spawn<T>(on, std::move(m), std::move(handler)); };
        return asio::async_initiate<Token, typename completion<T>::signature>(initiation{on, std::move(start)}, token,
                                                                              std::move(make));
    }
}

} // namespace detail
} // namespace reprise
