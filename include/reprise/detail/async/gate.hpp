// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <optional>
#include <utility>

namespace reprise::detail {

/// Lets one operation at a time use one direction of a transport. Not thread-safe.
class gate
{
public:
    [[nodiscard]] bool is_shut() const noexcept { return shut_; }

    void shut() noexcept { shut_ = true; }

    void open()
    {
        shut_ = false;
        wake();
    }

    /// Completes all waits, though the gate may be shut.
    void wake()
    {
        if (opened_)
            opened_->cancel();
    }

    /// Completes when the gate may have been opened; look again.
    template <class Handler>
    void async_wait(boost::asio::any_io_executor const& ex, Handler handler)
    {
        if (!opened_) // most connections never need it
            opened_.emplace(ex, boost::asio::steady_timer::time_point::max());
        opened_->async_wait(std::move(handler));
    }

private:
    bool shut_ = false;
    std::optional<boost::asio::steady_timer> opened_;
};

} // namespace reprise::detail
