// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/early_data_reason.hpp>

namespace reprise::detail {

/// A replay guard's answer about one first flight.
struct strike
{
    early_data_reason reason = early_data_reason::none; ///< none: not seen since `complete_since`
    time_point complete_since{};
    bool is_complete = false; ///< the guard has forgotten nothing since it was created
};

} // namespace reprise::detail
