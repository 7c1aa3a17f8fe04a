// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/client/client_connection.hpp>
#include <reprise/client/client_options.hpp>
#include <reprise/client/proxy_handshake.hpp>
#include <reprise/io/connect_race.hpp>
#include <reprise/io/fast_open.hpp>
#include <reprise/io/lowest_socket.hpp>
#include <reprise/io/watchdog.hpp>
#include <reprise/io/within.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace reprise::detail {

/// Whom a stream talks to.
struct peer
{
    std::string host;
    std::string service;
    std::vector<asio::ip::tcp::endpoint> endpoints{}; // empty: to be resolved
};

/// The layers below TLS: gets them to the peer, directly, through a proxy, or as the caller says.
template <class NextLayer>
class transport
{
public:
    using connector = std::function<asio::awaitable<void>(NextLayer&, std::string, std::string)>;
    using time_limit = std::chrono::steady_clock::time_point;

    explicit transport(NextLayer n) : next(std::move(n)) {}

    NextLayer next;
    connector connect_as_told{}; ///< the caller's, or none

    [[nodiscard]] auto& socket() noexcept { return lowest_socket(next); }
    using socket_type = std::remove_reference_t<decltype(lowest_socket(std::declval<NextLayer&>()))>;

    void close() noexcept
    {
        error_code ignored;
        socket().close(ignored);
        if (auto const race = race_.lock())
            race->abort();
    }

    /// @param dog Closes this. @param end When it does.
    asio::awaitable<error_code> connect(peer const& to, client_options const& o, watchdog const& dog, time_limit end,
                                        bool fast_open)
    {
        if (connect_as_told)
            co_return co_await ask_caller(to);
        if (o.proxy && !connect_request(*o.proxy, to.host, to.service))
            co_return errc::bad_option;
        auto endpoints = to.endpoints;
        if (endpoints.empty() || o.proxy)
        {
            auto question = o.proxy ? resolve(o.proxy->host, o.proxy->service) : resolve(to.host, to.service);
            auto found = co_await within(o.connect_timeout, std::move(question));
            if (found.status != lookup_status::answered || dog.has_barked())
                co_return asio::error::timed_out;
            if (found.value->ec)
                co_return found.value->ec;
            endpoints = std::move(found.value->endpoints);
            // What has worked before comes first (RFC 8305, 4).
            if (auto const at = std::ranges::find(endpoints, last_); at != endpoints.end())
                std::rotate(endpoints.begin(), at, at + 1);
        }
        if (fast_open && !o.proxy)
            co_return co_await connect_fast(std::move(endpoints));
        auto ec = co_await connect_to_any(socket(), endpoints, o.attempt_delay, end, race_);
        if (!ec && endpoints.size() != 1)
            remember_peer();
        if (!ec && o.proxy)
            ec = co_await ask_proxy(next, *o.proxy, to.host, to.service);
        co_return ec;
    }

private:
    void remember_peer() noexcept
    {
        error_code ignored;
        last_ = socket().remote_endpoint(ignored);
    }

    asio::awaitable<error_code> ask_caller(peer const& to)
    {
        error_code ec;
        try
        {
            co_await connect_as_told(next, to.host, to.service);
        }
        catch (system_error const& e)
        {
            ec = e.code();
        }
        co_return ec;
    }

    // One after the other: such a socket is connected when the first flight is written.
    asio::awaitable<error_code> connect_fast(std::vector<asio::ip::tcp::endpoint> endpoints)
    {
        error_code ec = asio::error::not_found;
        for (auto const& endpoint : endpoints)
        {
            close();
            socket().open(endpoint.protocol(), ec);
            if (ec)
                continue;
            (void)connect_fast_open(socket().native_handle()); // where it is refused, this is an ordinary connect
            std::tie(ec) = co_await socket().async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
            if (!ec || ec == asio::error::operation_aborted)
                break;
        }
        co_return ec;
    }

    std::weak_ptr<connect_race<socket_type>> race_;
    asio::ip::tcp::endpoint last_{}; ///< to which it was connected, of several
};

} // namespace reprise::detail
