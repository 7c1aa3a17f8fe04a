// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>

#include <atomic>
#include <chrono>
#include <memory>

namespace reprise::testing {

/// A clock that moves only when `advance` is called. Copies share one time. Thread-safe.
class manual_clock
{
public:
    /// Starts at the system's time, because OpenSSL's own clock cannot be moved.
    manual_clock() : now_(std::make_shared<std::atomic<time_point>>(std::chrono::system_clock::now())) {}

    [[nodiscard]] time_point now() const { return now_->load(); }
    void advance(std::chrono::nanoseconds by)
    {
        now_->store(now_->load() + std::chrono::duration_cast<time_point::duration>(by));
    }

    /// Convert to a clock, for options.
    operator clock() const
    {
        return [now = now_] { return now->load(); };
    }

private:
    std::shared_ptr<std::atomic<time_point>> now_;
};

} // namespace reprise::testing
