// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <boost/intrusive/list.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

/** The end of a wait, brought to a coroutine by a thread that does not belong to its executor.

    As with a socket of Asio's, the waiting coroutine belongs to the execution_context on which it waits: when that is
    destroyed the coroutine goes with it, and whoever completes the wait later touches nothing of it.
*/
class handoff : public boost::intrusive::list_base_hook<>, public std::enable_shared_from_this<handoff>
{
public:
    /// For a wait on `executor`, whose context must be alive now.
    explicit handoff(asio::any_io_executor const& executor);
    handoff(handoff const&) = delete;
    handoff& operator=(handoff const&) = delete;

    /// End the wait, or have it end when it begins. The first call counts, and returns true. From any thread; the
    /// coroutine goes on in its executor, never within this call.
    bool complete(error_code ec = {});

    /// Whether nobody waits any more: completed, cancelled, or the context is gone.
    [[nodiscard]] bool is_over() const noexcept { return is_over_; }

    /// Wait, once, by co_await on the executor given; throws what `complete` was given. Cancellation, `terminal` or
    /// `partial`, completes it with `operation_aborted`.
    [[nodiscard]] asio::awaitable<void> wait()
    {
        return asio::async_initiate<asio::use_awaitable_t<> const, void(error_code)>(
            [](auto handler, std::shared_ptr<handoff> self)
            {
                auto slot = asio::get_associated_cancellation_slot(handler);
                auto waiting = std::make_unique<waiter_of<decltype(handler)>>(std::move(handler));
                if (slot.is_connected()) // before begin(), after which the coroutine may run, on another thread
                    slot.assign([weak = std::weak_ptr{self}](asio::cancellation_type type) { cancel(weak, type); });
                self->begin(std::move(waiting));
            },
            asio::use_awaitable, shared_from_this());
    }

private:
    friend class handoff_service;

    class waiter
    {
    public:
        waiter() = default;
        waiter(waiter const&) = delete;
        waiter& operator=(waiter const&) = delete;
        virtual ~waiter() = default;
        virtual void post(error_code ec) = 0;
    };

    template <class Handler>
    class waiter_of final : public waiter
    {
    public:
        explicit waiter_of(Handler handler)
            : executor_(asio::require(asio::get_associated_executor(handler), asio::execution::blocking.never)),
              handler_(std::move(handler))
        {
        }

        void post(error_code ec) override
        {
            executor_.execute(
                [handler = std::move(handler_), ec]() mutable
                {
                    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
                        slot.clear();
                    std::move(handler)(ec);
                });
        }

    private:
        // It never runs anything at once. That run() of its context does not end is co_spawn's work.
        asio::any_io_executor executor_;
        Handler handler_;
    };

    // Those that wait on one context.
    struct waiting_list
    {
        std::mutex mutex;
        boost::intrusive::list<handoff, boost::intrusive::constant_time_size<false>> waiting;
        bool closed = false;
    };

    static void cancel(std::weak_ptr<handoff> const& weak, asio::cancellation_type type);
    void begin(std::unique_ptr<waiter> waiting);

    std::shared_ptr<waiting_list> const list_;
    std::unique_ptr<waiter> waiter_;     // set while it is in the list
    std::optional<error_code> result_{}; // completed before the wait began
    std::atomic<bool> is_over_ = false;
};

/// What one coroutine waits for again and again, and several threads tell it. What is told while it does not wait counts.
class wake_up
{
public:
    void notify();

    /// @pre Nobody else waits.
    [[nodiscard]] asio::awaitable<void> wait();

private:
    std::mutex mutex_;
    std::shared_ptr<handoff> waiting_;
    bool notified_ = false;
};

} // namespace reprise::detail
