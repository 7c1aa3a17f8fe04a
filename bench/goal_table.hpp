// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <functional>
#include <string>

namespace bench {

/// What a goal's bar is.
enum class bound
{
    at_most,
    at_least,
};

/// The heading of a table of goals; `unit` is that of its first column of numbers.
void print_goal_heading(std::string const& unit, bound b = bound::at_most);

/// One line of it: what was measured, in that unit, as a ratio, and whether the ratio is within `bar`.
void print_goal(std::string const& what, double measured, double ratio, double bar, bound b = bound::at_most);

/// For main: what `benchmark` returns, or 2 if it throws, and says what.
[[nodiscard]] int exit_status(std::function<int()> const& benchmark);

} // namespace bench
