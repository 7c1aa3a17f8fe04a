// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/link_plan.hpp"

#include <algorithm>

namespace reprise::detail {

void link_plan::connected() noexcept
{
    // Keep the back-off until a request is answered: a peer that accepts, greets and hangs up is not healthy.
    state_ = redis_state::connected;
    misses_ = 0;
    has_answered_ = false;
}

void link_plan::attempt_failed(time_point now, double jitter) noexcept
{
    open(now, jitter);
}

void link_plan::lost(loss how, time_point now, double jitter) noexcept
{
    if (how == loss::broken || !has_answered_)
        return open(now, jitter);
    // The server was healthy until now: make one attempt at once, and let operations wait for it.
    state_ = redis_state::connecting;
    next_attempt_ = now;
}

void link_plan::answered() noexcept
{
    misses_ = 0;
    has_answered_ = true;
    backoff_ = duration{0};
}

bool link_plan::missed() noexcept
{
    return state_ == redis_state::connected && ++misses_ >= failures_to_open_;
}

bool link_plan::should_leave_replica(time_point now, double jitter) noexcept
{
    if (now < next_leave_)
        return false;
    replica_backoff_ = longer(replica_backoff_);
    next_leave_ = end_of(replica_backoff_, now, jitter);
    return true;
}

void link_plan::open(time_point now, double jitter) noexcept
{
    state_ = redis_state::open;
    backoff_ = longer(backoff_);
    next_attempt_ = end_of(backoff_, now, jitter);
}

link_plan::duration link_plan::longer(duration backoff) const noexcept
{
    return std::clamp(backoff * 2, backoff_min_, backoff_max_);
}

link_plan::time_point link_plan::end_of(duration backoff, time_point now, double jitter) noexcept
{
    auto const random_part = std::chrono::duration<double, std::milli>(backoff) / 2;
    return now + backoff - std::chrono::duration_cast<time_point::duration>(random_part * jitter);
}

} // namespace reprise::detail
