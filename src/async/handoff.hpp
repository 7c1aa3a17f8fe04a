// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <boost/intrusive/list.hpp>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace reprise::detail {

namespace asio = boost::asio;

class context_bond;

/** Completes the wait of a coroutine from a thread outside the coroutine's executor.

    As with Asio's sockets, the waiting coroutine belongs to the execution_context on which it waits. When the context
    is destroyed, the coroutine and its executor are destroyed too. A later `complete` touches neither.
*/
class handoff : public boost::intrusive::list_base_hook<>, public std::enable_shared_from_this<handoff>
{
public:
    /// Prepare a wait on `executor`, whose context must be alive now.
    explicit handoff(asio::any_io_executor const& executor);
    handoff(handoff const&) = delete;
    handoff& operator=(handoff const&) = delete;
    virtual ~handoff() = default;

    /** Complete the wait. If the wait has not begun, it completes when it begins.

        Only the first call counts, and returns true. Callable from any thread; the coroutine resumes in its executor,
        never within this call. If there is no memory to post to the executor, the call blocks until there is some.
    */
    bool complete(error_code ec = {}) noexcept;

    /// Complete all of these waits with success, locking once per run of waits on one context. `all` is a random access
    /// range of pointers.
    template <class Range>
    static void complete_all(Range const& all) noexcept;

    /// Whether the wait is over: completed, cancelled, or its context is gone.
    [[nodiscard]] bool is_over() const noexcept { return is_over_; }

    /// Wait, once, by co_await on the executor given to the constructor. Throws the error given to `complete`. A
    /// cancellation that `may_cancel` accepts completes the wait with `operation_aborted`.
    [[nodiscard]] asio::awaitable<void> wait()
    {
        return asio::async_initiate<asio::use_awaitable_t<> const, void(error_code)>(
            [](auto handler, std::shared_ptr<handoff> self)
            {
                using waiting_type = waiter_of<decltype(handler)>;
                std::shared_ptr<waiting_type> waiting;
                try
                {
                    auto slot = asio::get_associated_cancellation_slot(handler);
                    waiting = std::make_shared<waiting_type>(self, std::move(handler));
                    if (slot.is_connected()) // before begin(): then the coroutine may run on another thread
                        slot.assign([weak = std::weak_ptr{self}](asio::cancellation_type type) { cancel(weak, type); });
                    self->begin(waiting);
                }
                catch (std::bad_alloc const&) // thrown from here, it would destroy the coroutine
                {
                    self->is_over_ = true;
                    auto whole = waiting ? waiting->take_handler() : std::move(handler);
                    std::move(whole)(error_code{asio::error::no_memory});
                }
            },
            asio::use_awaitable, shared_from_this());
    }

protected:
    /// Whether a cancellation of this type completes the wait.
    [[nodiscard]] virtual bool may_cancel(asio::cancellation_type type) noexcept
    {
        return (type & (asio::cancellation_type::terminal | asio::cancellation_type::partial)) !=
               asio::cancellation_type::none;
    }

private:
    friend class context_bond;

    // A waiting coroutine and its executor. The executor's queue shares ownership while the waiter is posted, so that a
    // failed allocation does not lose the coroutine.
    class waiter : public std::enable_shared_from_this<waiter>
    {
    public:
        explicit waiter(std::shared_ptr<handoff> of) : of_(std::move(of)) {}
        waiter(waiter const&) = delete;
        waiter& operator=(waiter const&) = delete;
        virtual ~waiter() = default;

        /// Post the resumption of the coroutine. If this throws, nothing has happened.
        virtual void post(error_code ec) = 0;

    private:
        std::shared_ptr<handoff> const of_; // keeps the handoff alive while a coroutine waits
    };

    template <class Handler>
    class waiter_of final : public waiter
    {
    public:
        waiter_of(std::shared_ptr<handoff> of, Handler handler)
            : waiter(std::move(of)),
              executor_(asio::require(asio::get_associated_executor(handler), asio::execution::blocking.never)),
              handler_(std::move(handler))
        {
        }

        Handler take_handler()
        {
            if (auto slot = asio::get_associated_cancellation_slot(handler_); slot.is_connected())
                slot.clear();
            return std::move(handler_);
        }

        void post(error_code ec) override
        {
            executor_.execute(
                [self = std::static_pointer_cast<waiter_of>(this->shared_from_this()), ec]() mutable
                {
                    auto handler = self->take_handler();
                    self.reset();
                    std::move(handler)(ec);
                });
        }

    private:
        // The executor never runs a handler inline (blocking.never). It tracks no work: co_spawn keeps run() of the
        // context from returning.
        asio::any_io_executor executor_;
        Handler handler_;
    };

    using list = boost::intrusive::list<handoff, boost::intrusive::constant_time_size<false>>;

    static void cancel(std::weak_ptr<handoff> const& weak, asio::cancellation_type type);
    void begin(std::shared_ptr<waiter> const& waiting);

    std::shared_ptr<context_bond> const bond_;
    std::shared_ptr<waiter> waiter_; // set while a coroutine waits
    error_code result_{};            // valid once is_over_
    std::atomic<bool> is_over_ = false;
};

/** Holds an executor in an object that may outlive the executor's context. The executor is released when the context is
    destroyed.

    @par Thread Safety
    Shared objects: safe.
*/
class kept_executor : public boost::intrusive::list_base_hook<>
{
public:
    /// The executor's context must be alive now. With an empty executor, `use` always returns false.
    explicit kept_executor(asio::any_io_executor executor);
    kept_executor(kept_executor const&) = delete;
    kept_executor& operator=(kept_executor const&) = delete;
    ~kept_executor();

    /// Call `use` with the executor; the context stays alive during the call. Returns false without a call if the
    /// context is gone.
    template <class Use>
    bool use(Use use);

private:
    friend class context_bond;

    std::shared_ptr<context_bond> const bond_;
    asio::any_io_executor executor_; // empty once the context is gone
};

/** Return an executor that runs one handler at a time: `ex` if it is a strand, else a new strand on `ex`.

    Without memory, Asio's make_strand crashes instead of throwing. A strand on an any_io_executor ends the program
    later, in functions that are noexcept. So make one strand for much work, and early.
*/
[[nodiscard]] asio::any_io_executor serial_executor(asio::any_io_executor const& ex);

/// Return the serial executor for all background work of one context. It is made once, and reused as long as `ex` is
/// equal.
[[nodiscard]] asio::any_io_executor background_executor(asio::any_io_executor const& ex);

/** Ties waiting coroutines and kept executors to one execution_context, and releases them with the context.

    After the context has been shut down, nothing of the context is used any more.
*/
class context_bond
{
public:
    /// Return the bond of the executor's context. The first call for a context creates the bond.
    [[nodiscard]] static std::shared_ptr<context_bond> const& of(asio::any_io_executor const& executor);

    /// Whether the context has been shut down.
    [[nodiscard]] bool is_over() noexcept;

    /// Keeps the context alive: its shutdown waits until no user exists. Hold a user only while posting.
    class user
    {
    public:
        explicit user(context_bond& bond) noexcept;
        user(user const&) = delete;
        user& operator=(user const&) = delete;
        ~user();

        /// False if the context is gone.
        explicit operator bool() const noexcept { return is_there_; }

    private:
        context_bond& bond_;
        bool is_there_ = false;
    };

private:
    friend class bond_service;
    friend class handoff;
    friend class kept_executor;
    friend asio::any_io_executor background_executor(asio::any_io_executor const& ex);

    /// End `h`, and move it to `ended` if a coroutine waits. Returns false if `h` was over already.
    bool end(handoff& h, error_code ec, handoff::list& ended) noexcept; // call with the lock
    void post(handoff::list& ended) noexcept;                           // caller counts as a user; without the lock
    bool post_some(handoff::list& ended) noexcept;
    void leave() noexcept;
    void shut_down() noexcept;

    std::mutex mutex_;
    std::condition_variable left_;
    handoff::list waiting_;
    boost::intrusive::list<kept_executor> kept_;
    asio::any_io_executor background_; // serial executor on background_on_
    asio::any_io_executor background_on_;
    int users_ = 0;
    bool is_closed_ = false;
};

template <class Range>
void handoff::complete_all(Range const& all) noexcept
{
    for (auto at = all.begin(); at != all.end();)
    {
        auto const bond = (*at)->bond_;
        list ended;
        {
            std::lock_guard const lock{bond->mutex_};
            for (; at != all.end() && (*at)->bond_ == bond; ++at)
                bond->end(**at, {}, ended);
            ++bond->users_;
        }
        bond->post(ended);
    }
}

template <class Use>
bool kept_executor::use(Use use)
{
    if (!bond_)
        return false;
    context_bond::user const user{*bond_};
    if (!user)
        return false;
    use(executor_);
    return true;
}

/// Wakes one coroutine that waits again and again. Several threads may notify. A notification while nothing waits is
/// kept for the next wait.
class wake_up
{
public:
    void notify() noexcept;

    /// @pre No other coroutine waits.
    [[nodiscard]] asio::awaitable<void> wait();

private:
    std::mutex mutex_;
    std::shared_ptr<handoff> waiting_;
    bool notified_ = false;
};

} // namespace reprise::detail
