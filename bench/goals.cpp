// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "goals.hpp"

#include "benches.hpp"
#include "goal_table.hpp"
#include "stopwatch.hpp"

#include <cmath>
#include <cstdio>
#include <limits>

namespace bench {

namespace {

// Google Benchmark 1.8 changed how a run says that it failed.
template <class Run>
bool has_failed(Run const& run)
{
    if constexpr (requires { run.error_occurred; })
        return run.error_occurred;
    else
        return run.skipped != decltype(run.skipped){};
}

template <class Run>
std::string const& message(Run const& run)
{
    if constexpr (requires { run.error_message; })
        return run.error_message;
    else
        return run.skip_message;
}

double bar_of(http_duel const& duel)
{
    switch (duel.what)
    {
    case http_duel::server: return 1.03;
    case http_duel::client: return 1.05;
    case http_duel::resumed_client: break;
    }
    return duel.of.version == TLS1_2_VERSION ? 0.40 : 0.55;
}

} // namespace

bool goal_reporter::ReportContext(Context const&)
{
    return true;
}

void goal_reporter::ReportRuns(std::vector<Run> const& runs)
{
    for (auto const& run : runs)
    {
        if (has_failed(run))
        {
            failed_ = true;
            std::fprintf(stderr, "%s: %s\n", run.run_name.function_name.c_str(), message(run).c_str());
        }
        else if (run.run_type == Run::RT_Iteration)
        {
            times_[run.run_name.function_name].push_back(run.GetAdjustedRealTime());
            if (auto const at = run.counters.find("ratio"); at != run.counters.end())
                ratios_[run.run_name.function_name].push_back(at->second);
        }
    }
}

void goal_reporter::Finalize()
{
    print_handshakes();
    print_goals();
}

double goal_reporter::median(std::string const& name) const
{
    auto const at = times_.find(name);
    return at == times_.end() ? std::numeric_limits<double>::quiet_NaN() : median_of(at->second);
}

void goal_reporter::print_handshakes() const
{
    std::printf("CPU time of one end of a connection in memory: handshake, tickets, one byte, close_notify both ways.\n"
                "raw: OpenSSL with memory BIOs; cache: the same with our cache; asio: asio::ssl::stream with sessions\n"
                "kept by hand; reprise: our stream. Medians in us.\n\n"
                "%-8s %-16s %-8s %8s %8s %8s %8s %13s\n",
                "end", "kind", "", "raw", "cache", "asio", "reprise", "reprise/asio");
    for (bool const is_server : {true, false})
        for (auto const& k : kinds)
            for (bool const resume : {false, true})
            {
                auto const time = [&](maker m) { return median(handshake_name(is_server, m, k, resume)); };
                auto const ours = time(maker::reprise);
                if (!std::isnan(ours))
                    std::printf("%-8s %-16s %-8s %8.1f %8.1f %8.1f %8.1f %13.2f\n", is_server ? "server" : "client",
                                k.name, resume ? "resumed" : "full", time(maker::raw), time(maker::cache),
                                time(maker::asio), ours, ours / time(maker::asio));
            }
}

void goal_reporter::print_goals() const
{
    std::printf(
        "\nCPU time of one end of a connection over loopback with one GET: the median of alternating pairs.\n\n");
    print_goal_heading("us");
    for (auto const& duel : http_duels())
        if (auto const at = ratios_.find(name_of(duel)); at != ratios_.end())
            print_goal(at->first, median(at->first), median_of(at->second), bar_of(duel));

    auto const take = median(take_name);
    if (auto const ratio = take / median(parse_name); !std::isnan(ratio))
        print_goal("client store, take / decode", take, ratio, 1.0 / 50);
}

} // namespace bench
