// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/early_options.hpp"

#include <reprise/storage/make_storage.hpp>

#include <stdexcept>

namespace example {

namespace {

constexpr char const* single_use = "stateful";

reprise::replay_guard make_guard(std::string const& line)
try
{
    if (line == single_use)
        return reprise::replay_guard::single_use_tickets();
    if (line == "memory")
        return reprise::replay_guard::in_memory({.one_process = true}); // as --help says
    reprise::replay_guard_options options;
    if (line.starts_with("lmdb:")) // all processes have the same clock
        options.max_clock_skew = std::chrono::milliseconds{0};
    return reprise::replay_guard::shared(reprise::make_storage(line), options);
}
catch (std::exception const& e)
{
    throw std::runtime_error{std::string{"--replay-guard: "} + e.what()};
}

} // namespace

void declare(CLI::App& app, early_options& options)
{
    auto* const bytes =
        app.add_option("--early-data", options.bytes, "Accept up to this many bytes of early data (TLS 1.3)")
            ->check(CLI::Range(1u, 1u << 24));
    app.add_option("--replay-guard", options.guard,
                   "Refuse replayed early data with: memory (for one process), lmdb:PATH (for one machine), redis:URL "
                   "(for a fleet), or stateful (single-use tickets) [memory]")
        ->needs(bytes);
}

bool needs_single_use_tickets(early_options const& options)
{
    return options.guard == single_use;
}

reprise::early_data_options make_early_data(early_options const& options)
{
    if (options.bytes == 0)
        return {};
    return {.max_bytes = options.bytes,
            .guard = options.guard ? make_guard(*options.guard) : reprise::replay_guard::in_memory()};
}

void print_early_data(std::ostream& out, reprise::session_cache_stats const& stats)
{
    std::uint64_t rejected = 0;
    for (auto const count : stats.early_rejected_by_reason)
        rejected += count;
    if (stats.early_accepted + rejected == 0)
        return;
    out << "early data: accepted " << stats.early_accepted << ", rejected " << rejected << '\n';
    for (std::size_t i = 0; i < stats.early_rejected_by_reason.size(); ++i)
        if (stats.early_rejected_by_reason[i] != 0)
            out << "  rejected because " << to_string(static_cast<reprise::early_data_reason>(i)) << ": "
                << stats.early_rejected_by_reason[i] << '\n';
}

} // namespace example
