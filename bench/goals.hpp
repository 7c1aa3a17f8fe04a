// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace bench {

/// Collects the times of one run of the program; at the end it prints them as ratios, and where each goal stands.
class goal_reporter final : public benchmark::BenchmarkReporter
{
public:
    bool ReportContext(Context const& context) override;
    void ReportRuns(std::vector<Run> const& runs) override;
    void Finalize() override;

    [[nodiscard]] bool failed() const { return failed_; }

private:
    [[nodiscard]] double median(std::string const& name) const; // microseconds, NaN if it was not run
    void print_handshakes() const;
    void print_goals() const;

    std::map<std::string, std::vector<double>> ratios_; // of those that are pairs
    std::map<std::string, std::vector<double>> times_;
    bool failed_ = false;
};

} // namespace bench
