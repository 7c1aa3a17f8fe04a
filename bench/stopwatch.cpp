// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "stopwatch.hpp"

#include <algorithm>

extern "C" __attribute__((noinline)) void reprise_measured(void (*call)(void*), void* with)
{
    call(with);
}

namespace bench {

namespace {

nanoseconds cost_of_the_clock()
{
    auto least = nanoseconds::max();
    for (int i = 0; i < 1000; ++i)
    {
        auto const start = cpu_time(CLOCK_THREAD_CPUTIME_ID);
        least = std::min(least, cpu_time(CLOCK_THREAD_CPUTIME_ID) - start);
    }
    return least;
}

} // namespace

double median_of(std::vector<double> values)
{
    auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

stopwatch::stopwatch()
{
    static auto const cost = cost_of_the_clock();
    clock_cost_ = cost;
}

} // namespace bench
