// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/early_data_reason.hpp>

namespace reprise::detail {

/// What a replay guard says of a first flight.
struct strike
{
    early_data_reason reason = early_data_reason::none; ///< none: it has not come since `complete_since`
    time_point complete_since{};
    bool is_complete = false; ///< the guard remembers everything since it was made
};

} // namespace reprise::detail
