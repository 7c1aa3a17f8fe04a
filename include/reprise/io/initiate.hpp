// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <new>
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
struct completion_signature
{
    using type = void(error_code, T);
};

template <>
struct completion_signature<void>
{
    using type = void(error_code);
};

/// How long an operation may take, and with what it ends if it takes longer.
struct time_limit
{
    std::chrono::milliseconds at_most{0}; ///< zero: as long as it likes
    error_code then = asio::error::timed_out;
};

/// The one cancellation of an operation, out of two: the caller's and the deadline's.
struct operation_control
{
    explicit operation_control(asio::any_io_executor const& ex) : deadline(ex) {}

    asio::cancellation_signal signal;
    asio::steady_timer deadline;
    bool timed_out = false;
};

inline error_code to_error_code(std::exception_ptr const& e)
{
    try
    {
        std::rethrow_exception(e);
    }
    catch (system_error const& error)
    {
        return error.code();
    }
    catch (std::bad_alloc const&)
    {
        return asio::error::no_memory;
    }
}

/** Run a coroutine as an Asio operation with any completion token.

    @param coroutine Called once the operation starts; gives `asio::awaitable<outcome<T>>`.
    @param limit The whole operation is cancelled after this time.
*/
template <class T, class Make, class Token>
auto initiate(asio::any_io_executor on, time_limit limit, Make coroutine, Token&& token)
{
    return asio::async_initiate<Token, typename completion_signature<T>::type>(
        [](auto handler, asio::any_io_executor ex, time_limit allowed, Make make)
        {
            auto control = std::make_shared<operation_control>(ex);
            if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
                slot.assign(
                    [control, ex](asio::cancellation_type type)
                    { asio::dispatch(ex, [control, type] { control->signal.emit(type); }); });
            if (allowed.at_most.count() > 0)
            {
                control->deadline.expires_after(allowed.at_most);
                control->deadline.async_wait(
                    [control](error_code ec)
                    {
                        if (ec)
                            return;
                        control->timed_out = true;
                        control->signal.emit(asio::cancellation_type::terminal);
                    });
            }
            auto const slot = control->signal.slot();
            auto const handler_ex = asio::get_associated_executor(handler, ex);
            auto complete = [control, late = allowed.then, handler = std::move(handler)](std::exception_ptr e, outcome<T> result) mutable
            {
                control->deadline.cancel();
                if (e)
                    result.ec = to_error_code(e);
                if (control->timed_out && result.ec == asio::error::operation_aborted)
                    result.ec = late;
                if constexpr (std::is_void_v<T>)
                    std::move(handler)(result.ec);
                else
                    std::move(handler)(result.ec, std::move(result.value));
            };
            asio::co_spawn(ex, std::move(make),
                           asio::bind_cancellation_slot(slot, asio::bind_executor(handler_ex, std::move(complete))));
        },
        token, std::move(on), limit, std::move(coroutine));
}

} // namespace detail
} // namespace reprise
