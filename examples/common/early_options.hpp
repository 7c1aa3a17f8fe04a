// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/early_data_options.hpp>
#include <reprise/session_cache.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

namespace example {

/// The options that say whether requests may come early.
struct early_options
{
    std::uint32_t bytes = 0;
    std::optional<std::string> guard;
};

void declare(CLI::App& app, early_options& options);

/// Whether tickets have to be good for one use.
[[nodiscard]] bool needs_single_use_tickets(early_options const& options);

/// @throws std::runtime_error, naming the option that is wrong.
[[nodiscard]] reprise::early_data_options make_early_data(early_options const& options);

/// For the summary.
void print_early_data(std::ostream& out, reprise::session_cache_stats const& stats);

} // namespace example
