// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <optional>
#include <utility>

namespace reprise::detail {

/// Apply an option set under its 0.1 name: if `old` is set, move its value to `now` and clear `old`.
template <class T>
void use_old_name(std::optional<T>& old, T& now)
{
    if (old)
        now = *std::exchange(old, std::nullopt);
}

} // namespace reprise::detail

// Enclose the functions that read deprecated members.
#define REPRISE_OLD_NAMES_BEGIN                                                                                        \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wdeprecated-declarations\"")
#define REPRISE_OLD_NAMES_END _Pragma("GCC diagnostic pop")
