// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "early/connect_modes.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace bench {

/// What was measured at one distance.
struct at_distance
{
    struct row
    {
        way of;
        std::vector<double> times; ///< ms, one of each round
    };

    std::chrono::milliseconds one_way;
    std::vector<row> rows;

    [[nodiscard]] double round_trip() const { return 2.0 * static_cast<double>(one_way.count()); } ///< ms
    [[nodiscard]] row const* find(way const& w) const;                                             ///< null: left out
};

/// @param p 0 to 100. @pre There is at least one value.
[[nodiscard]] double percentile(std::vector<double> values, int p);

void print_times(std::vector<at_distance> const& measured);

/// @return Whether all goals are met. One whose rows were left out is neither met nor missed.
[[nodiscard]] bool print_goals(at_distance const& measured);

/// @param no_fast_open Why it was left out, or empty.
/// @throws std::runtime_error, if it cannot be written.
void write_json(std::string const& path, std::vector<at_distance> const& measured, std::string const& no_fast_open);

} // namespace bench
