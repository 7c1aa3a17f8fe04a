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

/** The end of a wait, brought to a coroutine by a thread that does not belong to its executor.

    As with a socket of Asio's, the waiting coroutine belongs to the execution_context on which it waits: when that is
    destroyed the coroutine and its executor go with it, and whoever completes the wait later touches nothing of it.
*/
class handoff : public boost::intrusive::list_base_hook<>, public std::enable_shared_from_this<handoff>
{
public:
    /// For a wait on `executor`, whose context must be alive now.
    explicit handoff(asio::any_io_executor const& executor);
    handoff(handoff const&) = delete;
    handoff& operator=(handoff const&) = delete;
    virtual ~handoff() = default;

    /// End the wait, or have it end when it begins. The first call counts, and returns true. From any thread; the
    /// coroutine goes on in its executor, never within this call. Without memory to tell the executor, this waits for some.
    bool complete(error_code ec = {}) noexcept;

    /// End all of these waits with success, those of one context at a time. `all` has pointers to them, in a random access
    /// range.
    template <class Range>
    static void complete_all(Range const& all) noexcept;

    /// Whether nobody waits any more: completed, cancelled, or the context is gone.
    [[nodiscard]] bool is_over() const noexcept { return is_over_; }

    /// Wait, once, by co_await on the executor given; throws what `complete` was given. A cancellation that
    /// `may_cancel` completes it with `operation_aborted`.
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
                    if (slot.is_connected()) // before begin(), after which the coroutine may run, on another thread
                        slot.assign([weak = std::weak_ptr{self}](asio::cancellation_type type) { cancel(weak, type); });
                    self->begin(waiting);
                }
                catch (std::bad_alloc const&) // thrown from here it would destroy the coroutine
                {
                    self->is_over_ = true;
                    auto whole = waiting ? waiting->take_handler() : std::move(handler);
                    std::move(whole)(error_code{asio::error::no_memory});
                }
            },
            asio::use_awaitable, shared_from_this());
    }

protected:
    /// Whether the wait ends with a cancellation of this type.
    [[nodiscard]] virtual bool may_cancel(asio::cancellation_type type) noexcept
    {
        return (type & (asio::cancellation_type::terminal | asio::cancellation_type::partial)) !=
               asio::cancellation_type::none;
    }

private:
    friend class context_bond;

    // A coroutine that waits, and its executor. It is shared with the executor's queue while it is put there, so that
    // nothing is lost where there is no memory for that.
    class waiter : public std::enable_shared_from_this<waiter>
    {
    public:
        explicit waiter(std::shared_ptr<handoff> of) : of_(std::move(of)) {}
        waiter(waiter const&) = delete;
        waiter& operator=(waiter const&) = delete;
        virtual ~waiter() = default;

        /// Have the coroutine go on. Where it throws, nothing has happened.
        virtual void post(error_code ec) = 0;

    private:
        std::shared_ptr<handoff> const of_; // which is there as long as somebody waits
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
        // It never runs anything at once. That run() of its context does not end is co_spawn's work.
        asio::any_io_executor executor_;
        Handler handler_;
    };

    using list = boost::intrusive::list<handoff, boost::intrusive::constant_time_size<false>>;

    static void cancel(std::weak_ptr<handoff> const& weak, asio::cancellation_type type);
    void begin(std::shared_ptr<waiter> const& waiting);

    std::shared_ptr<context_bond> const bond_;
    std::shared_ptr<waiter> waiter_; // set while it waits
    error_code result_{};            // once it is over
    std::atomic<bool> is_over_ = false;
};

/** An executor in an object that may outlive the executor's context: it goes when the context does.

    @par Thread Safety
    Shared objects: safe.
*/
class kept_executor : public boost::intrusive::list_base_hook<>
{
public:
    /// Its context must be alive now. An empty executor is never there.
    explicit kept_executor(asio::any_io_executor executor);
    kept_executor(kept_executor const&) = delete;
    kept_executor& operator=(kept_executor const&) = delete;
    ~kept_executor();

    /// Call `use` with the executor, whose context stays meanwhile. False, and nothing is called, if it is gone.
    template <class Use>
    bool use(Use use);

private:
    friend class context_bond;

    std::shared_ptr<context_bond> const bond_;
    asio::any_io_executor executor_; // empty, once the context is gone
};

/** An executor that runs one handler at a time: `ex`, if it is a strand, or a strand on it.

    Without memory Asio's make_strand crashes instead of throwing, and one on an any_io_executor ends the program later, in
    functions that are noexcept: so make one for much, and early.
*/
[[nodiscard]] asio::any_io_executor serial_executor(asio::any_io_executor const& ex);

/// The same for all work in the background of one context: made once, and used again where `ex` is equal.
[[nodiscard]] asio::any_io_executor background_executor(asio::any_io_executor const& ex);

/** What of other objects belongs to one execution_context, and goes with it: coroutines that wait, executors.

    Once the context has been shut down, nothing of it is used any more.
*/
class context_bond
{
public:
    /// That of a context; made when it is first asked for.
    [[nodiscard]] static std::shared_ptr<context_bond> const& of(asio::any_io_executor const& executor);

    /// Whether the context has been shut down.
    [[nodiscard]] bool is_over() noexcept;

    /// While it is there, the context is: its shutdown waits. For as long as it takes to post something.
    class user
    {
    public:
        explicit user(context_bond& bond) noexcept;
        user(user const&) = delete;
        user& operator=(user const&) = delete;
        ~user();

        /// False: the context is gone.
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

    /// Move it to `ended`, unless it is over; false then.
    bool end(handoff& h, error_code ec, handoff::list& ended) noexcept; // with the lock
    void post(handoff::list& ended) noexcept;                           // counted as a user; without the lock
    bool post_some(handoff::list& ended) noexcept;
    void leave() noexcept;
    void shut_down() noexcept;

    std::mutex mutex_;
    std::condition_variable left_;
    handoff::list waiting_;
    boost::intrusive::list<kept_executor> kept_;
    asio::any_io_executor background_; // a serial executor on the next one
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

/// What one coroutine waits for again and again, and several threads tell it. What is told while it does not wait counts.
class wake_up
{
public:
    void notify() noexcept;

    /// @pre Nobody else waits.
    [[nodiscard]] asio::awaitable<void> wait();

private:
    std::mutex mutex_;
    std::shared_ptr<handoff> waiting_;
    bool notified_ = false;
};

} // namespace reprise::detail
