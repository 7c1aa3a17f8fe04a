// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/handoff.hpp"
#include "storage/redis/protocol.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace reprise::detail {

using steady_time = std::chrono::steady_clock::time_point;

/// One command, its answer, and the coroutine that waits for it.
struct redis_request : handoff
{
    redis_request(asio::any_io_executor const& executor, redis_command c, redis_answer w)
        : handoff(executor), command(std::move(c)), wanted(w)
    {
    }

    redis_command const command;
    redis_answer const wanted;
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

    All requests have the same time to live, so their order is also that of their deadlines. One whose caller does not wait any
    more keeps its place among the written ones: its answer is still to come.
*/
class pipeline
{
public:
    pipeline(std::chrono::milliseconds request_timeout, std::size_t max_pending,
             std::shared_ptr<redis_counters> counters);

    // For operations.

    /// Queue it. @throws system_error, if it cannot be: see redis_storage.
    void submit(std::shared_ptr<redis_request> const& request, steady_time now);

    [[nodiscard]] redis_state state() const noexcept { return state_; }
    [[nodiscard]] error_code last_error() const;

    /// No more of anything: what waits ends with `operation_aborted`.
    void stop();

    // For the link.

    [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }

    /// Move what is queued and still wanted to the written ones, and append it to `out`. False if there is nothing.
    [[nodiscard]] bool take(std::vector<unsigned char>& out, steady_time now);

    enum class outcome
    {
        answered,
        not_ready, ///< an error that says that the server does not serve yet
        garbage,   ///< it fits no request
    };

    /// An answer to the oldest request that was written.
    outcome answer(redis_reply reply, steady_time now);

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
    void disconnected(redis_state state, error_code why);

    wake_up work;      ///< something is queued, or stop() was called
    wake_up attention; ///< a first deadline is set, or stop() was called

    redis_counters& counters() noexcept { return *counters_; }

private:
    using request_queue = std::deque<std::shared_ptr<redis_request>>;

    void fail(request_queue& requests, error_code why);

    std::chrono::milliseconds const request_timeout_;
    std::size_t const max_pending_;
    std::shared_ptr<redis_counters> const counters_;
    std::atomic<redis_state> state_ = redis_state::connecting;
    std::atomic<bool> is_stopped_ = false;

    mutable std::mutex mutex_; // for what follows
    request_queue queued_;
    request_queue written_;
    std::size_t late_ = 0;      // of the written ones, from the oldest on, whose deadline was dealt with
    steady_time quiet_since_{}; // the last answer, or the first write since none was owed
    bool is_watched_ = false;   // the link will call expire() in time
    error_code last_error_;
};

} // namespace reprise::detail
