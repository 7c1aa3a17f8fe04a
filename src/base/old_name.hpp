// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <optional>
#include <utility>

namespace reprise::detail {

/// A member that 0.1 had under another name counts where it is set.
template <class T>
void use_old_name(std::optional<T>& old, T& now)
{
    if (old)
        now = *std::exchange(old, std::nullopt);
}

} // namespace reprise::detail
