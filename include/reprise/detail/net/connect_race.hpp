// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/net/attempt_plan.hpp>
#include <reprise/detail/net/connect_result.hpp>
#include <reprise/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace reprise::detail {

namespace asio = boost::asio;

/** Several parallel connection attempts. The handlers of the attempts share ownership, so they may run after the race.

    The race runs on the executor of the operation that awaits `run`; the sockets keep their own executor.
*/
template <class Socket>
class connect_race : public std::enable_shared_from_this<connect_race<Socket>>
{
public:
    using socket_executor = typename Socket::executor_type;

    connect_race(asio::any_io_executor const& operation, socket_executor const& sockets,
                 std::vector<asio::ip::tcp::endpoint> endpoints)
        : executor_(operation), socket_executor_(sockets), plan_(endpoints.size()), endpoints_(std::move(endpoints)),
          event_(operation)
    {
    }

    /// Run the race. @param delay Connection attempt delay. @param end Deadline. @return Why there is no winner.
    asio::awaitable<error_code> run(std::chrono::milliseconds delay, std::chrono::steady_clock::time_point end)
    {
        for (auto step = plan_.next(); step != race_step::won; step = plan_.next())
        {
            if (step == race_step::lost)
                co_return last_error_;
            if (step == race_step::start)
            {
                start();
                next_start_ = std::chrono::steady_clock::now() + delay;
                continue;
            }
            if (is_aborted_)
                co_return asio::error::operation_aborted;
            happened_ = false;
            auto const until = plan_.has_more() ? std::min(next_start_, end) : end;
            event_.expires_at(until);
            auto const [ec] = co_await event_.async_wait(asio::as_tuple(asio::use_awaitable));
            if (happened_)
                continue;
            if (ec) // cancelled from outside
                co_return asio::error::operation_aborted;
            if (std::chrono::steady_clock::now() >= end)
                co_return asio::error::timed_out;
            plan_.delay_over();
        }
        co_return error_code{};
    }

    /// Close all sockets except the winner's, whatever their state.
    void close_all()
    {
        is_over_ = true;
        for (auto const& attempt : attempts_)
        {
            error_code ignored;
            attempt->close(ignored);
        }
    }

    /// The winner's socket.
    [[nodiscard]] Socket take_winner() { return std::move(*winner_); }

    /// End the race, as if it were cancelled.
    void abort()
    {
        is_aborted_ = true;
        happened_ = true;
        event_.cancel();
    }

private:
    void start()
    {
        auto const& endpoint = endpoints_[attempts_.size()];
        auto const attempt = std::make_shared<Socket>(socket_executor_);
        attempts_.push_back(attempt);
        plan_.started();
        auto ended = [self = this->shared_from_this(), attempt](error_code ec) { self->ended(attempt, ec); };
        attempt->async_connect(endpoint, asio::bind_executor(executor_, std::move(ended)));
    }

    void ended(std::shared_ptr<Socket> const& attempt, error_code ec)
    {
        if (is_over_)
            return;
        ec = connect_result(*attempt, ec);
        if (ec)
        {
            error_code ignored;
            attempt->close(ignored);
            last_error_ = ec;
            plan_.failed();
        }
        else if (!winner_)
        {
            winner_.emplace(std::move(*attempt));
            plan_.connected();
        }
        happened_ = true;
        event_.cancel();
    }

    asio::any_io_executor const executor_;
    socket_executor const socket_executor_;
    attempt_plan plan_;
    std::vector<asio::ip::tcp::endpoint> endpoints_;
    asio::steady_timer event_;
    std::chrono::steady_clock::time_point next_start_{};
    std::vector<std::shared_ptr<Socket>> attempts_;
    std::optional<Socket> winner_;
    error_code last_error_ = asio::error::not_found;
    bool happened_ = false;
    bool is_over_ = false;
    bool is_aborted_ = false;
};

/// Closes all other attempts at the end of a scope, because a cancelled coroutine may throw.
template <class Socket>
class race_end
{
public:
    explicit race_end(connect_race<Socket>& race) noexcept : race_(race) {}
    race_end(race_end const&) = delete;
    race_end& operator=(race_end const&) = delete;
    ~race_end() { race_.close_all(); }

private:
    connect_race<Socket>& race_;
};

/** Connect to the first of these endpoints that answers (RFC 8305, 5). A single endpoint is connected to directly,
    without a race.

    @param delay How long to wait before the next attempt starts in parallel.
    @param end Deadline of the race. Not applied to a single endpoint.
    @param current Set to the race while there is one, so that the caller can abort it.

    The operation runs on the executor of the awaiting coroutine. On cancellation it returns `operation_aborted`. All
    sockets except the winner's are closed.
*/
template <class Socket>
asio::awaitable<error_code> connect_to_any(Socket& socket, std::vector<asio::ip::tcp::endpoint> endpoints,
                                           std::chrono::milliseconds delay, std::chrono::steady_clock::time_point end,
                                           std::weak_ptr<connect_race<Socket>>& current)
{
    if (endpoints.size() == 1)
    {
        error_code ignored;
        socket.close(ignored);
        auto const [ec] = co_await socket.async_connect(endpoints.front(), asio::as_tuple(asio::use_awaitable));
        co_return connect_result(socket, ec);
    }
    auto const ex = co_await asio::this_coro::executor;
    auto const race = std::make_shared<connect_race<Socket>>(ex, socket.get_executor(), std::move(endpoints));
    current = race;
    race_end const closes{*race};
    auto const ec = co_await race->run(delay, end);
    if (!ec)
        socket = race->take_winner();
    co_return ec;
}

} // namespace reprise::detail
