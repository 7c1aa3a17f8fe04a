// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/redis_storage.hpp>

#include <chrono>

namespace reprise::detail {

/// How a connection ended.
enum class loss
{
    ended,  ///< the peer closed the connection: a server that restarts, or drops idle clients
    broken, ///< the connection hung, or a reply was malformed
};

/** Decides when to connect, and whether operations may wait for that: circuit breaker and back-off of one connection.

    No socket and no clock: events go in, with their time. `jitter`, from 0 to 1, is how much of the back-off's random
    part (one half) to subtract.
*/
class link_plan
{
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::milliseconds;

    link_plan(duration backoff_min, duration backoff_max, unsigned failures_to_open)
        : backoff_min_(backoff_min), backoff_max_(backoff_max), failures_to_open_(failures_to_open)
    {
    }

    [[nodiscard]] redis_state state() const noexcept { return state_; }

    /// Do not connect before this time.
    [[nodiscard]] time_point next_attempt() const noexcept { return next_attempt_; }

    void connected() noexcept;
    void attempt_failed(time_point now, double jitter) noexcept;
    void lost(loss how, time_point now, double jitter) noexcept;

    /// Record that the server answered a request.
    void answered() noexcept;

    /// Record that a request timed out, or that the server was not ready. Returns true if that was once too often: give
    /// the connection up, as `broken`.
    [[nodiscard]] bool missed() noexcept;

    /// Record that the server carried out a write, so it is a primary.
    void wrote() noexcept { replica_backoff_ = duration{0}; }

    /// Record that the server refused a write as a replica does. Returns true to connect again, because the address may
    /// lead to a primary now. A server that stays a replica is left as rarely as an unreachable server is tried.
    [[nodiscard]] bool should_leave_replica(time_point now, double jitter) noexcept;

private:
    void open(time_point now, double jitter) noexcept;
    duration longer(duration backoff) const noexcept;
    static time_point end_of(duration backoff, time_point now, double jitter) noexcept;

    duration const backoff_min_;
    duration const backoff_max_;
    unsigned const failures_to_open_;
    redis_state state_ = redis_state::connecting;
    time_point next_attempt_ = time_point::min();
    duration backoff_{0};       // the last one; zero since the server answered
    unsigned misses_ = 0;       // consecutive
    bool has_answered_ = false; // the server answered a request on this connection
    time_point next_leave_ = time_point::min();
    duration replica_backoff_{0}; // the last one; zero since the server carried out a write
};

} // namespace reprise::detail
