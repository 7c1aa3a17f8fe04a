// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/async/watchdog.hpp>
#include <reprise/detail/stream/tls_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <tuple>

namespace reprise::detail {

/// Close at once, even while the peer is sending.
struct no_linger
{
    static constexpr std::size_t bytes = 0;
    void half_close() noexcept {}
};

/// Close after a peer that is still sending has stopped (lingering close).
template <class Socket>
struct socket_linger
{
    std::size_t bytes; ///< most bytes to read and drop; 0 closes at once
    Socket& socket;

    /// Shut down the send direction, where the socket type supports that.
    void half_close() noexcept
    {
        error_code ignored;
        if constexpr (requires { socket.shutdown(asio::socket_base::shutdown_send, ignored); })
            socket.shutdown(asio::socket_base::shutdown_send, ignored);
    }
};

/// Read and drop input until the peer's end of stream, or about `most` bytes.
template <class NextLayer>
asio::awaitable<error_code> drop_input(typename tls_stream<NextLayer>::holder held, std::size_t most)
{
    auto drop = [most](tls_engine& engine) mutable
    {
        most -= std::min(most, engine.drop());
        return tls_result{most == 0 ? tls_status::done : tls_status::needs_input};
    };
    auto const [ec, none] = co_await tls_stream<NextLayer>::async_perform(
        held, drop, asio::enable_terminal_cancellation{}, asio::as_tuple(asio::use_awaitable));
    co_return ec;
}

/** Exchange close_notify for at most `limit`, then close the socket. Succeeds whatever the peer does.

    TCP resets the connection when a socket with unread input is closed, and the peer may lose the last data sent to it
    (RFC 1122, 4.2.2.13; RFC 9112, 9.6). So while the peer is still sending, the send direction is shut down first, and
    input is read and dropped.

    @param step Shuts down the engine.
    @param linger How much input to drop.
*/
template <class NextLayer, class Close, class Step, class Linger = no_linger>
asio::awaitable<outcome<void>> shut_down(typename tls_stream<NextLayer>::holder held, std::chrono::milliseconds limit,
                                         Close close, Step step, Linger linger = {})
{
    auto const ex = co_await asio::this_coro::executor;
    watchdog const dog{ex, limit, close};
    auto [ec, none] = co_await tls_stream<NextLayer>::async_perform(held, step, asio::enable_terminal_cancellation{},
                                                                    asio::as_tuple(asio::use_awaitable));
    // OpenSSL fails on data after its own close_notify, and on any input after a fatal alert. The socket still works.
    if (linger.bytes != 0 && ec.category() == asio::error::get_ssl_category())
    {
        linger.half_close();
        ec = co_await drop_input<NextLayer>(held, linger.bytes);
    }
    close();
    bool const cancelled = ec == asio::error::operation_aborted && !dog.expired();
    co_return outcome<void>{cancelled ? ec : error_code{}};
}

} // namespace reprise::detail
