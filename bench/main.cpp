// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "benches.hpp"
#include "goals.hpp"

#include <benchmark/benchmark.h>

#include <vector>

int main(int argc, char** argv)
{
    // Repeated and interleaved, so that what disturbs the machine for a while disturbs all alike. The caller's flags
    // count more than these.
    char interleave[] = "--benchmark_enable_random_interleaving=true";
    char repeat[] = "--benchmark_repetitions=7";
    std::vector<char*> arguments{argv[0], interleave, repeat};
    arguments.insert(arguments.end(), argv + 1, argv + argc);
    int count = static_cast<int>(arguments.size());
    arguments.push_back(nullptr);
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data()))
        return 2;

    bench::register_handshakes();
    bench::register_http();
    bench::register_store();
    bench::goal_reporter reporter;
    auto const run = benchmark::RunSpecifiedBenchmarks(&reporter);
    benchmark::Shutdown();
    return run > 0 && !reporter.failed() ? 0 : 1;
}
