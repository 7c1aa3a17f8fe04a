// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace reprise::detail {

/** Ends an operation after a timeout by closing its socket, which no layer above can ignore.

    The watchdog lives in the operation's coroutine and runs on its executor.
*/
class watchdog
{
public:
    /// Call `close` after `limit`, unless the watchdog is destroyed before. A limit of zero is no limit.
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

    /// Whether the timeout has ended the operation.
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
