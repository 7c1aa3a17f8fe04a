// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "goal_table.hpp"

#include <cstdio>
#include <exception>

namespace bench {

void print_goal_heading(std::string const& unit, bound b)
{
    std::printf("%-52s %10s %9s %9s\n", "", unit.c_str(), "ratio", b == bound::at_most ? "at most" : "at least");
}

void print_goal(std::string const& what, double measured, double ratio, double bar, bound b)
{
    bool const is_met = b == bound::at_most ? ratio <= bar : ratio >= bar;
    std::printf("%-52s %10.1f %9.4f %9.4f %s\n", what.c_str(), measured, ratio, bar, is_met ? "met" : "MISSED");
}

int exit_status(std::function<int()> const& benchmark)
try
{
    return benchmark();
}
catch (std::exception const& e)
{
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
}

} // namespace bench
