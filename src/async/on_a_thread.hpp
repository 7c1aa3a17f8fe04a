// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "async/handoff.hpp"
#include "base/signals_blocked.hpp"

#include <reprise/error.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace reprise::detail {

/// Runs a function on a thread of its own. The destructor joins the thread.
template <class T>
class thread_work
{
public:
    thread_work(std::function<T()> work, asio::any_io_executor const& executor)
        : work_(std::move(work)), done_(std::make_shared<handoff>(executor))
    {
        signals_blocked const blocked;
        try
        {
            thread_ = std::thread{[this] { run(); }};
        }
        catch (std::system_error const& e)
        {
            throw system_error{e.code().value(), boost::system::generic_category(),
                               "cannot start a thread that reads or writes a file"};
        }
    }
    thread_work(thread_work const&) = delete;
    thread_work& operator=(thread_work const&) = delete;
    ~thread_work() { thread_.join(); }

    [[nodiscard]] asio::awaitable<void> wait() { return done_->wait(); }

    /// Return the result of the function, or throw its exception. Call after `wait`.
    [[nodiscard]] T result()
    {
        if (failure_)
            std::rethrow_exception(failure_);
        return std::move(*result_);
    }

private:
    void run() noexcept
    {
        try
        {
            result_.emplace(work_());
        }
        catch (...)
        {
            failure_ = std::current_exception();
        }
        done_->complete();
    }

    std::function<T()> const work_;
    std::shared_ptr<handoff> const done_;
    std::optional<T> result_;
    std::exception_ptr failure_;
    std::thread thread_; // last, because the thread uses all other members
};

template <class T>
asio::awaitable<T> thread_result(std::function<T()> work)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    auto const executor = co_await asio::this_coro::executor;
    thread_work<T> running{std::move(work), executor};
    co_await running.wait();
    co_return running.result();
}

/// Run `work`, which may block, on a thread of its own. Returns or throws what `work` does. Cancellation does not
/// interrupt `work`; it is seen afterwards. Destroying the context waits for `work`.
template <class T>
asio::awaitable<T> on_a_thread(std::function<T()> work)
{
    auto const executor = co_await asio::this_coro::executor;
    // Spawn a coroutine, so that cancellation can be disabled without changing the caller's cancellation state.
    co_return co_await asio::co_spawn(executor, thread_result<T>(std::move(work)), asio::use_awaitable);
}

} // namespace reprise::detail
