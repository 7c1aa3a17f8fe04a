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

/// Options for early data.
struct early_options
{
    std::uint32_t bytes = 0;
    std::optional<std::string> guard;
};

void declare(CLI::App& app, early_options& options);

/// Whether the replay guard needs tickets that can be used only once.
[[nodiscard]] bool needs_single_use_tickets(early_options const& options);

/// Make the early data options of a session_cache. @throws std::runtime_error that names the wrong option.
[[nodiscard]] reprise::early_data_options make_early_data(early_options const& options);

/// Print the early data counters of the summary. Prints nothing if no early data came.
void print_early_data(std::ostream& out, reprise::session_cache_stats const& stats);

} // namespace example
