// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <functional>

namespace reprise {

/// Wall-clock time, as TLS tickets and X.509 certificates count it.
using time_point = std::chrono::system_clock::time_point;

/** Where "now" comes from.

    A parameter wherever age or expiry is decided, so that tests own time. It is called from the threads of the
    operations that use it, at the same time, and must not throw.
*/
using clock = std::function<time_point()>;

/// The system's wall clock: the default everywhere.
[[nodiscard]] inline clock system_clock()
{
    return [] { return std::chrono::system_clock::now(); };
}

} // namespace reprise
