// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <functional>

namespace reprise {

/// Wall-clock time, as in TLS tickets and X.509 certificates.
using time_point = std::chrono::system_clock::time_point;

/** Source of the current time.

    Passed wherever age or expiry is decided, so that tests control time. The threads of the operations call it, several
    at once. It must not throw.
*/
using clock = std::function<time_point()>;

/// The system's wall clock, the default everywhere.
[[nodiscard]] inline clock system_clock()
{
    return [] { return std::chrono::system_clock::now(); };
}

} // namespace reprise
