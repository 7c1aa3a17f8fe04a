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

/// Whether a command may change data.
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

/// The counters of redis_stats.
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

/** The requests of one connection, in order: those queued for writing, and those written but not answered.

    Shared by the operations, on any thread, and the link, which serves the connection in its strand. Both own the
    pipeline, and it knows no socket, so that either may go first.

    A request ends with an error that says `storage_condition::unchanged` only if the server answered that request, or
    if the request was never written. A written request may be carried out, whatever becomes of the connection.

    All requests have the same timeout, so their order is also that of their deadlines. A written request whose caller
    no longer waits keeps its place, because its answer is still to come.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class pipeline
{
public:
    pipeline(std::chrono::milliseconds request_timeout, std::size_t max_pending,
             std::shared_ptr<redis_counters> counters);

    // For operations.

    /// Queue requests, all or none, to be written to one connection in a row. Returns why they cannot be queued: see
    /// redis_storage. If `bad_alloc` is thrown, nothing has happened.
    [[nodiscard]] error_code submit(std::initializer_list<std::shared_ptr<redis_request>> requests, steady_time now);

    [[nodiscard]] redis_state state() const noexcept { return state_; }
    [[nodiscard]] error_code last_error() const;

    /// Return what the last error may mean; empty if nothing can be said.
    [[nodiscard]] char const* hint() const;

    /// Complete `settled` once the first attempt to connect has ended; at once if it has ended already.
    void tell_when_settled(std::shared_ptr<handoff> settled);

    /// Stop for good. All pending requests end with `operation_aborted`.
    void stop() noexcept;

    // For the link.

    [[nodiscard]] bool is_stopped() const noexcept { return is_stopped_; }

    /// A link serves the pipeline from now on, until `abandon`.
    void serve() noexcept;

    /// No link serves the pipeline, because its execution context is gone. Acts like `stop` until the next `serve`.
    void abandon() noexcept;

    /// The link has lost a coroutine. The next operation notifies the link, so that the coroutine is started again.
    void needs_link() noexcept { needs_link_ = true; }

    /// Append queued requests that are still awaited to `out`, and move them to the written ones. Returns false if
    /// there are none. If this throws, nothing has moved.
    [[nodiscard]] bool take(std::vector<unsigned char>& out, steady_time now);

    /// Whether the answer to a written request is still to come.
    [[nodiscard]] bool is_owed() const;

    enum class reply_kind
    {
        answered,
        wrote,     ///< a command that may change data was carried out
        not_ready, ///< an error: the server does not serve yet
        read_only, ///< an error: the server is a replica
        garbage,   ///< the reply fits no request
    };

    /// Complete the oldest written request with its reply.
    reply_kind answer(redis_reply reply, steady_time now);

    struct upkeep
    {
        std::size_t timed_out = 0; ///< requests that this call ended
        bool is_hung = false;      ///< an answer is owed, and none has come for `request_timeout`
        steady_time next = steady_time::max();
    };

    /// End the requests whose deadline has passed. Call again at `next`; if there is none, `attention` is notified in
    /// time.
    upkeep expire(steady_time now);

    /// The connection is established.
    void connected();

    /// The connection is lost, because of `why`. Written requests fail. Queued requests fail too, unless they may wait
    /// for the next attempt (`state` is not `open`).
    void disconnected(redis_state state, error_code why, char const* hint = "") noexcept;

    wake_up work;      ///< a request was queued, or stop() was called
    wake_up attention; ///< a first deadline was set, or stop() was called

    redis_counters& counters() noexcept { return *counters_; }

private:
    using request_queue = std::list<std::shared_ptr<redis_request>>; // splicing allocates nothing

    void fail(request_queue& requests, error_code why) noexcept;
    void settle() noexcept;

    std::chrono::milliseconds const request_timeout_;
    std::size_t const max_pending_;
    std::shared_ptr<redis_counters> const counters_;
    std::atomic<redis_state> state_ = redis_state::connecting;
    std::atomic<bool> is_stopped_ = false;
    std::atomic<bool> is_abandoned_ = false;
    std::atomic<bool> needs_link_ = false;

    mutable std::mutex mutex_; // guards the members below
    request_queue queued_;
    request_queue written_;
    request_queue::iterator timely_ = written_.end(); // the first request whose deadline was not handled
    steady_time quiet_since_{};                       // the last answer, or the first write while none was owed
    bool is_watched_ = false;                         // the link will call expire() in time
    error_code last_error_;
    char const* hint_ = "";
    bool is_settled_ = false; // the first attempt to connect has ended
    std::vector<std::shared_ptr<handoff>> settling_;
};

} // namespace reprise::detail
