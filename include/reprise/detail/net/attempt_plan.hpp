// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>

namespace reprise::detail {

/// The next step of a race of connection attempts.
enum class race_step
{
    start, ///< start the next attempt
    wait,  ///< wait until an attempt ends or the delay expires
    won,
    lost, ///< all attempts have failed
};

/// Happy Eyeballs (RFC 8305, 5): the next attempt starts when the previous attempt has failed, or after the connection
/// attempt delay. No sockets and no clock.
class attempt_plan
{
public:
    explicit attempt_plan(std::size_t addresses) noexcept : addresses_(addresses) {}

    [[nodiscard]] race_step next() const noexcept
    {
        if (won_)
            return race_step::won;
        if (failed_ == addresses_)
            return race_step::lost;
        return due_ && started_ < addresses_ ? race_step::start : race_step::wait;
    }

    /// Whether there is another address to try, so that the delay matters.
    [[nodiscard]] bool has_more() const noexcept { return started_ < addresses_; }

    void started() noexcept
    {
        ++started_;
        due_ = false;
    }
    void delay_over() noexcept { due_ = true; }
    void failed() noexcept
    {
        ++failed_;
        due_ = true;
    }
    void connected() noexcept { won_ = true; }

private:
    std::size_t addresses_;
    std::size_t started_ = 0;
    std::size_t failed_ = 0;
    bool due_ = true;
    bool won_ = false;
};

} // namespace reprise::detail
