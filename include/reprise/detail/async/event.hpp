// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace reprise::detail {

namespace asio = boost::asio;

/** An event that is set once. Coroutines on any executor and thread can wait for it.

    A waiting coroutine may be cancelled, and may be destroyed with its io_context.
*/
class event
{
public:
    /// Set the event: all waiting coroutines resume, each on its own executor.
    void set() noexcept
    {
        std::lock_guard const lock{mutex_};
        is_set_ = true;
        for (auto* const timer : waiting_)
            timer->expires_at(asio::steady_timer::time_point::min());
        waiting_.clear();
    }

    /// Wait until the event is set; completes at once if it is already set. Cancellation throws `operation_aborted`.
    static asio::awaitable<void> wait(std::shared_ptr<event> e)
    {
        asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
        registration const registered{*e, timer};
        auto token = asio::as_tuple(asio::use_awaitable);
        (void)co_await asio::async_initiate<decltype(token), void(error_code)>(begin_waiting{}, token, e.get(), &timer);
        if (!e->is_set())
            throw system_error{asio::error::operation_aborted};
    }

private:
    /* `set` modifies the timers of other coroutines, so all accesses to timers hold the lock. (Cancellation needs no
       lock: it goes to Asio's queue of timers, which has its own lock.) The timers live in the coroutines, which leave
       the list before they are destroyed. */
    class registration
    {
    public:
        registration(event& e, asio::steady_timer& timer) : event_(e), timer_(timer)
        {
            std::lock_guard const lock{event_.mutex_};
            if (event_.is_set_)
                timer_.expires_at(asio::steady_timer::time_point::min());
            else
                event_.waiting_.push_back(&timer_);
        }
        registration(registration const&) = delete;
        registration& operator=(registration const&) = delete;
        ~registration()
        {
            std::lock_guard const lock{event_.mutex_};
            std::erase(event_.waiting_, &timer_);
        }

    private:
        event& event_;
        asio::steady_timer& timer_;
    };

    struct begin_waiting
    {
        template <class Handler>
        void operator()(Handler&& handler, event* e, asio::steady_timer* timer) const
        {
            std::lock_guard const lock{e->mutex_};
            timer->async_wait(std::forward<Handler>(handler));
        }
    };

    [[nodiscard]] bool is_set() const
    {
        std::lock_guard const lock{mutex_};
        return is_set_;
    }

    mutable std::mutex mutex_;
    bool is_set_ = false;
    std::vector<asio::steady_timer*> waiting_;
};

} // namespace reprise::detail
