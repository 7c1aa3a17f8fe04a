// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <optional>
#include <utility>

namespace reprise::detail {

/// Lets only one operation at a time use one direction of a transport. Not thread-safe.
class direction_lock
{
public:
    [[nodiscard]] bool is_locked() const noexcept { return locked_; }

    void lock() noexcept { locked_ = true; }

    void unlock()
    {
        locked_ = false;
        wake();
    }

    /// Complete all waits, even if the direction is locked.
    void wake()
    {
        if (unlocked_)
            unlocked_->cancel();
    }

    /// Wait until the direction may have been unlocked. The handler must check again.
    template <class Handler>
    void async_wait(boost::asio::any_io_executor const& ex, Handler handler)
    {
        if (!unlocked_) // most connections never need it
            unlocked_.emplace(ex, boost::asio::steady_timer::time_point::max());
        unlocked_->async_wait(std::move(handler));
    }

private:
    bool locked_ = false;
    std::optional<boost::asio::steady_timer> unlocked_;
};

} // namespace reprise::detail
