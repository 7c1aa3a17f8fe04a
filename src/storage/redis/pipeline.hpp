// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "async/handoff.hpp"
#include "storage/redis/protocol.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace reprise::detail {

using steady_time = std::chrono::steady_clock::time_point;

/// Whether a command may change something.
enum class redis_effect
{
    reads,
    writes,
};

/// One command, its answer, and the coroutine that waits for it.
struct redis_request : handoff
{
    redis_request(asio::any_io_executor const& executor, redis_command c, redis_answer w, redis_effect e)
        : handoff(executor), command(std::move(c)), wanted(w), effect(e)
    {
    }

    redis_command const command;
    redis_answer const wanted;
    redis_effect const effect;
    steady_time deadline;
    redis_reply reply{}; // written before completion, read after it
};

/// redis_stats, as it is counted.
struct redis_counters
{
    std::atomic<std::uint64_t> requests = 0;
    std::atomic<std::uint64_t> timeouts = 0;
    std::atomic<std::uint64_t> error_replies = 0;
    std::atomic<std::uint64_t> rejected = 0;
    std::atomic<std::uint64_t> queue_full = 0;
    std::atomic<std::uint64_t> lost = 0;
    std::atomic<std::uint64_t> bad_answers = 0;
    std::atomic<std::uint64_t> connects = 0;
    std::atomic<std::uint64_t> failed_connects = 0;
};

/** The requests of one connection: those that wait to be written and those that wait for their answer, in order.

    It stands between the operations, on any thread, and the link, which serves the connection in its strand; it belongs to
    both and knows no socket, so that either may go first. Thread-safe.

    Only an answer to a request of its own, or never having been written, lets it end with an error that says
    `storage_condition::unchanged`: what was written may be carried out, whatever becomes of the connection.

    All requests have the same time to live, so their order is also that of their deadlines. One whose caller does not wait any
    more keeps its place among the written ones: its answer is still to come.
*/
class pipeline
{
public:
    pipeline(std::chrono::milliseconds request_timeout, std::size_t max_pending,
             std::shared_ptr<redis_counters> counters);

    // For operations.

    /// Queue requests, all or none: they are written to one connection, one after the other. Where that cannot be, the error
    /// says why: see redis_storage. Throws `bad_alloc`; then nothing has happened.
    [[nodiscard]] error_code submit(std::initializer_list<std::shared_ptr<redis_request>> requests, steady_time now);

    [[nodiscard]] redis_state state() const noexcept { return state_; }
    [[nodiscard]] error_code last_error() const;

    /// What the last error may mean, if anything can be said.
    [[nodiscard]] char const* hint() const;

    /// End `settled`, when it is known whether the server can be reached: at once, if that was tried already.
    void tell_when_settled(std::shared_ptr<handoff> settled);

    /// No more of anything: what waits ends with `operation_aborted`.
    void stop() noexcept;

    // For the link.

    [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }

    /// A link serves it from now on, until `abandon`.
    void serve() noexcept;

    /// No link serves it, because its execution context is gone: as `stop`, until one does.
    void abandon() noexcept;

    /// Something of the link was lost: operations are to tell it, so that it begins again.
    void needs_link() noexcept { needs_link_ = true; }

    /// Move what is queued and still wanted to the written ones, and append it to `out`. False if there is nothing. Where
    /// it throws, nothing has moved.
    [[nodiscard]] bool take(std::vector<unsigned char>& out, steady_time now);

    /// Whether an answer is still to come.
    [[nodiscard]] bool is_owed() const;

    enum class reply_kind
    {
        answered,
        wrote,     ///< a command that may change something was carried out
        not_ready, ///< an error that says that the server does not serve yet
        read_only, ///< an error that says that the server is a replica
        garbage,   ///< it fits no request
    };

    /// An answer to the oldest request that was written.
    reply_kind answer(redis_reply reply, steady_time now);

    struct upkeep
    {
        std::size_t timed_out = 0; ///< requests ended just now
        bool is_hung = false;      ///< nothing was answered for `request_timeout`, and something should have been
        steady_time next = steady_time::max();
    };

    /// End what is late. Look again at `next`; if there is none, `attention` will tell.
    upkeep expire(steady_time now);

    /// The connection is there.
    void connected();

    /// It is not, because of `why`. What was written fails; what is queued too, unless operations may wait.
    void disconnected(redis_state state, error_code why, char const* hint = "") noexcept;

    wake_up work;      ///< something is queued, or stop() was called
    wake_up attention; ///< a first deadline is set, or stop() was called

    redis_counters& counters() noexcept { return *counters_; }

private:
    using request_queue = std::list<std::shared_ptr<redis_request>>; // moving one to another allocates nothing

    void fail(request_queue& requests, error_code why) noexcept;
    void settle() noexcept;

    std::chrono::milliseconds const request_timeout_;
    std::size_t const max_pending_;
    std::shared_ptr<redis_counters> const counters_;
    std::atomic<redis_state> state_ = redis_state::connecting;
    std::atomic<bool> is_stopped_ = false;
    std::atomic<bool> is_abandoned_ = false;
    std::atomic<bool> needs_link_ = false;

    mutable std::mutex mutex_; // for what follows
    request_queue queued_;
    request_queue written_;
    request_queue::iterator timely_ = written_.end(); // the first whose deadline was not dealt with
    steady_time quiet_since_{};                       // the last answer, or the first write since none was owed
    bool is_watched_ = false;                         // the link will call expire() in time
    error_code last_error_;
    char const* hint_ = "";
    bool is_settled_ = false; // the first attempt to connect has ended
    std::vector<std::shared_ptr<handoff>> settling_;
};

} // namespace reprise::detail
