// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace reprise {

namespace asio = boost::asio;

namespace detail {

/** Something that happens once, for coroutines on any executor and thread to wait for.

    A coroutine that waits may be cancelled, and may go with its io_context.
*/
class event
{
public:
    /// It has happened: whoever waits goes on, on their own executor. Never throws: one for whom there is no memory to be
    /// told waits for its own deadline.
    void set() noexcept
    {
        std::lock_guard const lock{mutex_};
        is_set_ = true;
        for (auto const& timer : waiting_)
            try
            {
                asio::post(timer->get_executor(),
                           [timer] { timer->expires_at(asio::steady_timer::time_point::min()); });
            }
            catch (std::bad_alloc const&)
            {
            }
        waiting_.clear();
    }

    /// Wait until it has happened, which may have been long ago. Cancellation throws `operation_aborted`.
    static asio::awaitable<void> wait(std::shared_ptr<event> e)
    {
        // A timer may be touched by one thread at a time: by those that wait and by the one that tells.
        auto const strand = asio::make_strand(co_await asio::this_coro::executor);
        co_await asio::co_spawn(strand, wait_on(std::move(e), strand), asio::use_awaitable);
    }

private:
    using timer_ptr = std::shared_ptr<asio::steady_timer>;

    // Lives in the coroutine, so that nobody is told of an event whose executor has gone.
    class registration
    {
    public:
        registration(event& e, timer_ptr timer) : event_(e), timer_(std::move(timer))
        {
            std::lock_guard const lock{event_.mutex_};
            if (event_.is_set_)
                timer_->expires_at(asio::steady_timer::time_point::min());
            else
                event_.waiting_.push_back(timer_);
        }
        registration(registration const&) = delete;
        registration& operator=(registration const&) = delete;
        ~registration()
        {
            std::lock_guard const lock{event_.mutex_};
            std::erase(event_.waiting_, timer_);
        }

    private:
        event& event_;
        timer_ptr timer_;
    };

    static asio::awaitable<void> wait_on(std::shared_ptr<event> e, asio::any_io_executor on)
    {
        auto const timer = std::make_shared<asio::steady_timer>(on, asio::steady_timer::time_point::max());
        registration const registered{*e, timer};
        (void)co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
        if (!e->is_set())
            throw system_error{asio::error::operation_aborted};
    }

    [[nodiscard]] bool is_set() const
    {
        std::lock_guard const lock{mutex_};
        return is_set_;
    }

    mutable std::mutex mutex_;
    bool is_set_ = false;
    std::vector<timer_ptr> waiting_;
};

} // namespace detail
} // namespace reprise
