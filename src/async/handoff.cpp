// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "async/handoff.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <thread>

namespace reprise::detail {

/* Services are shut down youngest first. This one is younger than the context's scheduler, so nothing is posted to the
   scheduler after shutdown() has returned. */
class bond_service final : public asio::execution_context::service
{
public:
    using key_type = bond_service;

    explicit bond_service(asio::execution_context& context) : service(context), bond(std::make_shared<context_bond>())
    {
    }

    std::shared_ptr<context_bond> const bond;

private:
    void shutdown() override { bond->shut_down(); }
};

std::shared_ptr<context_bond> const& context_bond::of(asio::any_io_executor const& executor)
{
    return asio::use_service<bond_service>(asio::query(executor, asio::execution::context)).bond;
}

bool context_bond::is_over() noexcept
{
    std::lock_guard const lock{mutex_};
    return is_closed_;
}

context_bond::user::user(context_bond& bond) noexcept : bond_(bond)
{
    std::lock_guard const lock{bond_.mutex_};
    is_there_ = !bond_.is_closed_;
    bond_.users_ += is_there_ ? 1 : 0;
}

context_bond::user::~user()
{
    if (is_there_)
        bond_.leave();
}

void context_bond::leave() noexcept
{
    std::lock_guard const lock{mutex_};
    if (--users_ == 0 && is_closed_)
        left_.notify_one();
}

bool context_bond::end(handoff& h, error_code ec, handoff::list& ended) noexcept
{
    if (h.is_over_.exchange(true))
        return false;
    h.result_ = ec;
    if (h.waiter_ && !is_closed_)
    {
        waiting_.erase(waiting_.iterator_to(h));
        ended.push_back(h);
    }
    return true;
}

void context_bond::post(handoff::list& ended) noexcept
{
    while (!post_some(ended))
    {
        // These waits cannot be dropped, because coroutines await them: wait until memory is available.
        {
            std::lock_guard const lock{mutex_};
            waiting_.splice(waiting_.end(), ended); // in case the context goes meanwhile
        }
        leave();
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
        std::lock_guard const lock{mutex_};
        ++users_;
        if (is_closed_)
            break;
        for (auto at = waiting_.begin(); at != waiting_.end();)
        {
            auto& h = *at++;
            if (!h.is_over_)
                continue;
            waiting_.erase(waiting_.iterator_to(h));
            ended.push_back(h);
        }
    }
    leave();
}

// Returns false if there is no memory. Waits that could not be posted stay in `ended`.
bool context_bond::post_some(handoff::list& ended) noexcept
{
    while (!ended.empty())
    {
        auto& h = ended.front();
        auto waiting = std::move(h.waiter_); // once posted, the wait may end and destroy `h`
        ended.pop_front();
        try
        {
            waiting->post(h.result_);
        }
        catch (...)
        {
            h.waiter_ = std::move(waiting);
            ended.push_front(h);
            return false;
        }
    }
    return true;
}

void context_bond::shut_down() noexcept
{
    handoff::list abandoned;
    {
        std::unique_lock lock{mutex_};
        is_closed_ = true;
        left_.wait(lock, [this] { return users_ == 0; });
        abandoned.swap(waiting_);
        for (auto& h : abandoned)
            h.is_over_ = true;
        kept_.clear_and_dispose([](kept_executor* kept) { kept->executor_ = {}; });
        background_ = {};
        background_on_ = {};
    }
    // Without the lock, because destroying a waiter destroys its coroutine.
    while (!abandoned.empty())
    {
        auto const waiting = std::move(abandoned.front().waiter_);
        abandoned.pop_front();
    }
}

handoff::handoff(asio::any_io_executor const& executor) : bond_(context_bond::of(executor)) {}

bool handoff::complete(error_code ec) noexcept
{
    list ended;
    {
        std::lock_guard const lock{bond_->mutex_};
        if (!bond_->end(*this, ec, ended))
            return false;
        ++bond_->users_;
    }
    bond_->post(ended);
    return true;
}

kept_executor::kept_executor(asio::any_io_executor executor)
    : bond_(executor ? context_bond::of(executor) : nullptr), executor_(std::move(executor))
{
    if (!bond_)
        return;
    std::lock_guard const lock{bond_->mutex_};
    bond_->kept_.push_back(*this);
}

kept_executor::~kept_executor()
{
    if (!bond_)
        return;
    std::lock_guard const lock{bond_->mutex_};
    if (is_linked())
        bond_->kept_.erase(bond_->kept_.iterator_to(*this));
}

static bool is_strand(asio::any_io_executor const& ex)
{
    return ex.target<asio::strand<asio::any_io_executor>>() != nullptr ||
           ex.target<asio::strand<asio::io_context::executor_type>>() != nullptr ||
           ex.target<asio::strand<asio::thread_pool::executor_type>>() != nullptr;
}

asio::any_io_executor serial_executor(asio::any_io_executor const& ex)
{
    if (is_strand(ex))
        return ex;
    if (auto const* const io = ex.target<asio::io_context::executor_type>())
        return asio::make_strand(*io);
    return asio::make_strand(ex);
}

asio::any_io_executor background_executor(asio::any_io_executor const& ex)
{
    if (is_strand(ex))
        return ex;
    auto const& bond = context_bond::of(ex);
    std::lock_guard const lock{bond->mutex_};
    if (bond->background_ && bond->background_on_ == ex)
        return bond->background_;
    auto made = serial_executor(ex);
    if (!bond->is_closed_)
    {
        bond->background_ = made;
        bond->background_on_ = ex;
    }
    return made;
}

void handoff::cancel(std::weak_ptr<handoff> const& weak, asio::cancellation_type type)
{
    if (auto const self = weak.lock(); self && self->may_cancel(type))
        self->complete(asio::error::operation_aborted);
}

void handoff::begin(std::shared_ptr<waiter> const& waiting)
{
    {
        std::lock_guard const lock{bond_->mutex_};
        if (!is_over_)
        {
            if (!bond_->is_closed_) // else the context is being destroyed, and with it the coroutine
            {
                waiter_ = waiting;
                bond_->waiting_.push_back(*this);
            }
            return;
        }
    }
    waiting->post(result_);
}

void wake_up::notify() noexcept
{
    std::shared_ptr<handoff> waiting;
    {
        std::lock_guard const lock{mutex_};
        waiting = std::exchange(waiting_, nullptr);
        notified_ = waiting == nullptr;
    }
    if (waiting)
        waiting->complete();
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
