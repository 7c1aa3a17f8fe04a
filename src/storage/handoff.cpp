// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/handoff.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>

#include <vector>

namespace reprise::detail {

/* It is younger than the context's scheduler, so it is shut down before it: once shutdown() has returned, nothing is
   posted there any more. */
class handoff_service final : public asio::execution_context::service
{
public:
    using key_type = handoff_service;

    explicit handoff_service(asio::execution_context& context)
        : service(context), list_(std::make_shared<handoff::waiting_list>())
    {
    }

    static std::shared_ptr<handoff::waiting_list> const& list_of(asio::any_io_executor const& executor)
    {
        return asio::use_service<handoff_service>(asio::query(executor, asio::execution::context)).list_;
    }

private:
    void shutdown() override
    {
        std::vector<std::unique_ptr<handoff::waiter>> abandoned; // destroyed without the lock: they hold coroutines
        std::lock_guard const lock{list_->mutex};
        list_->closed = true;
        list_->waiting.clear_and_dispose(
            [&](handoff* h)
            {
                h->is_over_ = true;
                abandoned.push_back(std::move(h->waiter_));
            });
    }

    std::shared_ptr<handoff::waiting_list> const list_;
};

handoff::handoff(asio::any_io_executor const& executor) : list_(handoff_service::list_of(executor)) {}

bool handoff::complete(error_code ec)
{
    std::lock_guard const lock{list_->mutex};
    if (is_over_.exchange(true))
        return false;
    if (!waiter_)
    {
        result_ = ec;
        return true;
    }
    list_->waiting.erase(list_->waiting.iterator_to(*this));
    // With the lock: shutdown() waits until this is done.
    std::exchange(waiter_, nullptr)->post(ec);
    return true;
}

void handoff::cancel(std::weak_ptr<handoff> const& weak, asio::cancellation_type type)
{
    if ((type & (asio::cancellation_type::terminal | asio::cancellation_type::partial)) ==
        asio::cancellation_type::none)
        return;
    if (auto const self = weak.lock())
        self->complete(asio::error::operation_aborted);
}

void handoff::begin(std::unique_ptr<waiter> waiting)
{
    std::lock_guard const lock{list_->mutex};
    if (result_)
        return waiting->post(*result_);
    if (list_->closed)
        return; // the context is being destroyed, and with it the coroutine
    waiter_ = std::move(waiting);
    list_->waiting.push_back(*this);
}

void wake_up::notify()
{
    std::lock_guard const lock{mutex_};
    if (waiting_)
        std::exchange(waiting_, nullptr)->complete();
    else
        notified_ = true;
}

asio::awaitable<void> wake_up::wait()
{
    auto const waiting = std::make_shared<handoff>(co_await asio::this_coro::executor);
    {
        std::lock_guard const lock{mutex_};
        if (std::exchange(notified_, false))
            co_return;
        waiting_ = waiting;
    }
    co_await waiting->wait();
}

} // namespace reprise::detail
