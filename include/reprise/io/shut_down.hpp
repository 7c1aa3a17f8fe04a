// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/io/initiate.hpp>
#include <reprise/io/tls_stream.hpp>
#include <reprise/io/watchdog.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>

namespace reprise::detail {

/// Exchange close_notify for at most `limit`, then close the socket. Nothing that the peer does about it is an error.
/// @param step Shuts the engine down.
template <class NextLayer, class Close, class Step>
asio::awaitable<outcome<void>> shut_down(typename tls_stream<NextLayer>::holder held, std::chrono::milliseconds limit,
                                         Close close, Step step)
{
    auto const ex = co_await asio::this_coro::executor;
    watchdog const dog{ex, limit, close};
    auto const [ec, none] = co_await tls_stream<NextLayer>::async_perform(
        held, step, asio::enable_terminal_cancellation{}, asio::as_tuple(asio::use_awaitable));
    close();
    bool const cancelled = ec == asio::error::operation_aborted && !dog.has_barked();
    co_return outcome<void>{cancelled ? ec : error_code{}};
}

} // namespace reprise::detail
