// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace reprise::detail {

/** Ends an operation that takes too long by closing its socket, which no layer above can ignore.

    It lives in the operation's coroutine and works on its executor.
*/
class watchdog
{
public:
    /// Calls `close` after `limit`, unless this object has gone before; never, if the limit is zero.
    template <class Close>
    watchdog(boost::asio::any_io_executor const& ex, std::chrono::milliseconds limit, Close close)
    {
        if (limit.count() == 0)
            return;
        state_ = std::make_shared<state>(ex, limit);
        state_->timer.async_wait(
            [kept = state_, close = std::move(close)](error_code)
            {
                if (kept->is_over)
                    return;
                kept->expired = true;
                close();
            });
    }
    watchdog(watchdog const&) = delete;
    watchdog& operator=(watchdog const&) = delete;

    ~watchdog()
    {
        if (!state_)
            return;
        state_->is_over = true;
        state_->timer.cancel();
    }

    /// Whether it has ended the operation.
    [[nodiscard]] bool expired() const noexcept { return state_ && state_->expired; }

private:
    struct state
    {
        state(boost::asio::any_io_executor const& ex, std::chrono::milliseconds limit) : timer(ex, limit) {}

        boost::asio::steady_timer timer;
        bool is_over = false;
        bool expired = false;
    };
    std::shared_ptr<state> state_;
};

} // namespace reprise::detail
