// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <type_traits>
#include <vector>

#include <time.h>

/// Where instructions are counted: bench/instructions.sh tells callgrind this name.
extern "C" void reprise_measured(void (*call)(void*), void* with);

namespace bench {

using std::chrono::nanoseconds;

inline nanoseconds cpu_time(clockid_t of)
{
    timespec t{};
    ::clock_gettime(of, &t);
    return std::chrono::seconds{t.tv_sec} + nanoseconds{t.tv_nsec};
}

/// @pre There is at least one value.
[[nodiscard]] double median_of(std::vector<double> values);

/// CPU time of this thread, added up over many short pieces.
class stopwatch
{
public:
    stopwatch();

    template <class F>
    void measure(F&& piece)
    {
        auto const start = cpu_time(CLOCK_THREAD_CPUTIME_ID);
        reprise_measured([](void* f) { (*static_cast<std::remove_reference_t<F>*>(f))(); }, &piece);
        total_ += cpu_time(CLOCK_THREAD_CPUTIME_ID) - start - clock_cost_;
    }

    [[nodiscard]] double seconds() const { return std::chrono::duration<double>(total_).count(); }

private:
    nanoseconds clock_cost_; // of reading the clock, which is a system call
    nanoseconds total_{};
};

} // namespace bench
