// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_options.hpp>
#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/async/watchdog.hpp>
#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/detail/client/proxy_handshake.hpp>
#include <reprise/detail/net/connect_race.hpp>
#include <reprise/detail/net/lowest_socket.hpp>
#include <reprise/detail/net/peer_name.hpp>
#include <reprise/detail/net/resolve.hpp>
#include <reprise/error.hpp>
#include <reprise/fast_open.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace reprise::detail {

/// The peer of a stream.
struct peer
{
    host_name host{};
    std::string service{};
    std::optional<std::vector<asio::ip::tcp::endpoint>> endpoints{}; ///< given by the caller; else resolve the host
};

/// The layers below TLS. Connects them to the peer: directly, through a proxy, or by a function of the caller.
template <class NextLayer>
class transport
{
public:
    using connector = std::function<asio::awaitable<void>(NextLayer&, std::string, std::string)>;
    using time_limit = std::chrono::steady_clock::time_point;

    explicit transport(NextLayer n) : next(std::move(n)), wait_(next.get_executor()) {}

    NextLayer next;
    connector connect_as_told{}; ///< the caller's function; empty for none

    [[nodiscard]] auto& socket() noexcept { return lowest_socket(next); }
    using socket_type = std::remove_reference_t<decltype(lowest_socket(std::declval<NextLayer&>()))>;

    /// Close the socket, and end the pending operations of this object.
    void close() noexcept
    {
        error_code ignored;
        socket().close(ignored);
        if (auto const race = race_.lock())
            race->abort();
        if (auto const lookup = lookup_.lock())
            lookup->cancel();
        wait_.cancel();
    }

    /// Close, and make no further connection until `begin`.
    void stop() noexcept
    {
        ++stops_;
        close();
    }

    /// Number of calls of `stop`.
    [[nodiscard]] unsigned stops() const noexcept { return stops_; }

    /// Begin an operation. @param asked Value of `stops` when the operation was initiated: a stop since then counts.
    void begin(unsigned asked) noexcept { began_at_ = asked; }
    [[nodiscard]] bool is_stopped() const noexcept { return stops_ != began_at_; }

    /// @name The steps of a connect_plan, one after the other
    /// @{

    /// Make the CONNECT requests for the peer: one for its name, or one for each endpoint of the caller. @return Their
    /// number.
    [[nodiscard]] std::size_t plan_requests(http_proxy const& proxy, peer const& to)
    {
        requests_ = requests_for(proxy, to);
        return requests_.size();
    }

    /// Find the endpoints of the peer, or of the proxy.
    asio::awaitable<error_code> resolve_peer(peer const& to, client_options const& o)
    {
        endpoints_.clear();
        if (to.endpoints && to.endpoints->empty())
            co_return asio::error::not_found;
        if (o.proxy && requests_.empty())
            co_return errc::bad_option;
        if (to.endpoints && !o.proxy)
        {
            endpoints_ = *to.endpoints;
            co_return error_code{};
        }
        host_name host = o.proxy ? read_host(o.proxy->host) : to.host;
        std::string service = o.proxy ? read_service(o.proxy->service) : to.service;
        constexpr std::chrono::milliseconds for_ever = std::chrono::hours{24 * 365};
        auto const limit = o.connect_timeout.count() == 0 ? for_ever : o.connect_timeout;
        auto found = co_await await_with_timeout(limit, resolve(std::move(host), std::move(service)), &lookup_);
        if (found.status != timed_status::answered)
            co_return asio::error::timed_out;
        endpoints_ = std::move(found.value->endpoints);
        // The endpoint that worked before comes first (RFC 8305, 4).
        if (auto const at = std::ranges::find(endpoints_, last_); at != endpoints_.end())
            std::rotate(endpoints_.begin(), at, at + 1);
        co_return found.value->ec;
    }

    /// Connect to one of the endpoints, in parallel (RFC 8305). @param end Deadline.
    asio::awaitable<error_code> connect(client_options const& o, time_limit end)
    {
        bool const may_vary = endpoints_.size() != 1;
        auto endpoints = endpoints_;
        auto const ec = co_await connect_to_any(socket(), std::move(endpoints), o.attempt_delay, end, race_);
        error_code ignored;
        if (!ec && may_vary)
            last_ = socket().remote_endpoint(ignored);
        co_return ec;
    }

    /// Connect with TCP Fast Open. The endpoints are tried one after the other, because such a socket is connected when
    /// the first flight is written.
    asio::awaitable<error_code> connect_fast()
    {
        error_code ec = asio::error::not_found;
        for (auto const& endpoint : endpoints_)
        {
            if (is_stopped())
                co_return asio::error::operation_aborted;
            close();
            socket().open(endpoint.protocol(), ec);
            if (ec)
                continue;
            (void)connect_fast_open(socket().native_handle()); // without Fast Open, connect as usual
            std::tie(ec) = co_await socket().async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
            ec = connect_result(socket(), ec);
            if (!ec || ec == asio::error::operation_aborted)
                break;
        }
        co_return ec;
    }

    /// Let the caller's function connect. The function may wait for anything, so `close` cancels it.
    asio::awaitable<error_code> call_connector(peer const& to)
    {
        auto const ex = co_await asio::this_coro::executor;
        auto connecting = asio::co_spawn(ex, run_connector(to), asio::deferred);
        wait_.expires_at(time_limit::max());
        auto both = asio::experimental::make_parallel_group(std::move(connecting), wait_.async_wait(asio::deferred));
        auto const [order, failure, closed] =
            co_await both.async_wait(asio::experimental::wait_for_one{}, asio::use_awaitable);
        if (failure)
            std::rethrow_exception(failure);
        co_return error_code{};
    }

    /// Send the request of this number to the proxy, and read the response.
    asio::awaitable<error_code> send_request(std::size_t number) { return ask_proxy(next, requests_.at(number)); }
    /// @}

    /// Wait for this long. `close` ends the wait.
    asio::awaitable<error_code> pause(std::chrono::milliseconds delay)
    {
        wait_.expires_after(delay);
        auto const [ec] = co_await wait_.async_wait(asio::as_tuple(asio::use_awaitable));
        co_return is_stopped() ? error_code{asio::error::operation_aborted} : ec;
    }

private:
    // A coroutine, so that an exception of the call itself also ends the awaitable.
    asio::awaitable<void> run_connector(peer const& to) { co_await connect_as_told(next, to.host.name, to.service); }

    // Hosts and services that a request cannot express are left out.
    static std::vector<std::string> requests_for(http_proxy const& proxy, peer const& to)
    {
        std::vector<std::string> requests;
        auto const add = [&](std::string const& host, std::string const& service)
        {
            if (auto request = connect_request(proxy, host, service))
                requests.push_back(std::move(*request));
        };
        if (!to.endpoints)
            add(to.host.identity, to.service);
        else
            for (auto const& endpoint : *to.endpoints)
                add(endpoint.address().to_string(), std::to_string(endpoint.port()));
        return requests;
    }

    asio::steady_timer wait_; ///< for operations without a socket: a pause, or the caller's function
    unsigned stops_ = 0;
    unsigned began_at_ = 0;
    std::weak_ptr<connect_race<socket_type>> race_;
    wait_handle lookup_;                               ///< of the host name
    std::vector<std::string> requests_{};              ///< to the proxy
    std::vector<asio::ip::tcp::endpoint> endpoints_{}; ///< of the host or the proxy
    asio::ip::tcp::endpoint last_{};                   ///< last connected endpoint, if there were several
};

} // namespace reprise::detail
