// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>

namespace bench {

/// The heading of a table of goals; `unit` is that of its first column of numbers.
void print_goal_heading(std::string const& unit);

/// One line of it: what was measured, in that unit, as a ratio, and whether the ratio is at most `bar`.
void print_goal(std::string const& what, double measured, double ratio, double bar);

/// For main: what `benchmark` returns, or 2 if it throws, and says what.
[[nodiscard]] int exit_status(int (*benchmark)());

} // namespace bench
