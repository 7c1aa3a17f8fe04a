// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "goals.hpp"

#include "benches.hpp"

#include <algorithm>
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
            times_[run.run_name.function_name].push_back(run.GetAdjustedRealTime());
    }
}

void goal_reporter::Finalize()
{
    print_handshakes();
    print_http();
    print_goals();
}

double goal_reporter::median(std::string const& name) const
{
    auto const at = times_.find(name);
    if (at == times_.end())
        return std::numeric_limits<double>::quiet_NaN();
    auto sorted = at->second;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
}

double goal_reporter::least(std::string const& name) const
{
    auto const at = times_.find(name);
    return at == times_.end() ? std::numeric_limits<double>::quiet_NaN() : std::ranges::min(at->second);
}

void goal_reporter::print_handshakes() const
{
    std::printf("CPU time of one end of a connection in memory: handshake, tickets, one byte, close_notify both ways.\n"
                "raw: OpenSSL with memory BIOs; asio: asio::ssl::stream with sessions kept by hand. Medians in us.\n\n"
                "%-8s %-16s %-8s %8s %8s %8s %14s %14s\n",
                "end", "kind", "", "raw", "asio", "reprise", "reprise/raw", "reprise/asio");
    for (bool const is_server : {true, false})
        for (auto const& k : kinds)
            for (bool const resume : {false, true})
            {
                auto const time = [&](maker m) { return median(handshake_name(is_server, m, k, resume)); };
                auto const raw = time(maker::raw);
                auto const asio = time(maker::asio);
                auto const ours = time(maker::reprise);
                if (!std::isnan(ours))
                    std::printf("%-8s %-16s %-8s %8.1f %8.1f %8.1f %14.2f %14.2f\n", is_server ? "server" : "client", k.name,
                                resume ? "resumed" : "full", raw, asio, ours, ours / raw, ours / asio);
            }
}

void goal_reporter::print_http() const
{
    std::printf("\nCPU time of one end of a connection over loopback with one GET, eight in flight. Medians in us.\n\n"
                "%-30s %10s %10s %10s\n",
                "", "without", "reprise", "ratio");
    for (auto const& k : kinds)
    {
        auto const row = [&](std::string const& without, std::string const& with)
        {
            if (!std::isnan(median(with)))
                std::printf("%-30s %10.1f %10.1f %10.2f\n", with.c_str(), median(without), median(with),
                            median(with) / median(without));
        };
        row(http_server_name(maker::asio, k), http_server_name(maker::reprise, k));
        for (bool const resume : {false, true})
            row(http_client_name(maker::asio, k, resume), http_client_name(maker::reprise, k, resume));
    }
}

void goal_reporter::print_goals() const
{
    std::printf("\n%-62s %9s %9s %6s\n", "goal, as a ratio of medians (of least)", "is", "at most", "");
    for (auto const& k : kinds)
    {
        auto const about = [&k](char const* what) { return std::string{k.name} + ": " + what; };
        bool const is_12 = k.version == TLS1_2_VERSION;
        print_goal(about("server with HTTP, reprise / plain Beast").c_str(), http_server_name(maker::reprise, k),
                   http_server_name(maker::asio, k), 1.03);
        print_goal(about("client reconnect, reprise / by hand").c_str(), http_client_name(maker::reprise, k, true),
                   http_client_name(maker::asio, k, true), 1.05);
        print_goal(about("client reconnect, resumed / full").c_str(), http_client_name(maker::reprise, k, true),
                   http_client_name(maker::asio, k, false), is_12 ? 0.40 : 0.55);
    }
    print_goal("client store, take / decode", take_name, parse_name, 1.0 / 50);
}

void goal_reporter::print_goal(char const* what, std::string const& ours, std::string const& theirs, double bar) const
{
    auto const ratio = median(ours) / median(theirs);
    if (!std::isnan(ratio))
        std::printf("%-54s %7.4f (%.4f) %9.2f %6s\n", what, ratio, least(ours) / least(theirs), bar,
                    ratio <= bar ? "met" : "MISSED");
}

} // namespace bench
