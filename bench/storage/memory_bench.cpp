// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// memory_storage against OpenSSL's internal cache of server sessions, in pairs that alternate.

#include "caches.hpp"

#include "goal_table.hpp"
#include "stopwatch.hpp"

#include <benchmark/benchmark.h>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace bench;

constexpr std::size_t small = 1'000;
constexpr std::size_t medium = 100'000;
constexpr std::size_t large = 1'000'000;

// A pair of caches that hold the same sessions.
struct pair_of_caches
{
    std::unique_ptr<subject> openssl = make_openssl();
    std::unique_ptr<subject> reprise = make_reprise();
};

double resident_bytes()
{
    std::ifstream statm{"/proc/self/statm"};
    double total = 0;
    double resident = 0;
    statm >> total >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double growth_of_a_fill(subject& cache, std::size_t count)
{
    auto const before = resident_bytes();
    cache.fill(count);
    return (resident_bytes() - before) / static_cast<double>(count);
}

// What was measured of one pair, in the unit of the operation.
struct measured_pair
{
    double openssl;
    double reprise;
};

// Every result by the name of its benchmark: a median is taken of each side and of the ratios.
class results
{
public:
    void add(std::string const& name, measured_pair const& pair) { pairs_[name].push_back(pair); }

    [[nodiscard]] bool has(std::string const& name) const { return pairs_.contains(name); }
    [[nodiscard]] double reprise(std::string const& name) const
    {
        return median(name, [](measured_pair const& p) { return p.reprise; });
    }
    [[nodiscard]] double openssl(std::string const& name) const
    {
        return median(name, [](measured_pair const& p) { return p.openssl; });
    }
    [[nodiscard]] double ratio(std::string const& name) const
    {
        return median(name, [](measured_pair const& p) { return p.reprise / p.openssl; });
    }

private:
    template <class F>
    [[nodiscard]] double median(std::string const& name, F f) const
    {
        std::vector<double> values;
        std::ranges::transform(pairs_.at(name), std::back_inserter(values), f);
        return median_of(std::move(values));
    }

    std::map<std::string, std::vector<measured_pair>> pairs_;
};

struct operation
{
    char const* name;
    bool is_put;
    lifetime lives;
    nanoseconds (subject::*look_up)(sessions);
};
constexpr operation operations[] = {
    {"put", true, same_lifetime, nullptr},
    {"put_mixed", true, mixed_lifetime, nullptr},
    {"hit", false, nullptr, &subject::hit},
    {"miss", false, nullptr, &subject::miss},
};

std::string name_of(operation const& what, std::size_t size, unsigned threads)
{
    return std::string{what.name} + "/" + std::to_string(size) + "/threads:" + std::to_string(threads);
}

struct cost
{
    double ns; // of the thread that took longest, divided by the operations of all: 1 / throughput
    double
        waits; // per operation: how often a thread went to sleep for a lock, which takes time that `ns` does not show
};

long waits_so_far()
{
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

template <class F>
cost on_threads(unsigned threads, std::size_t count_each, F work)
{
    std::barrier start{static_cast<std::ptrdiff_t>(threads)};
    std::vector<nanoseconds> took(threads);
    std::atomic<long> waits{0};
    {
        std::vector<std::jthread> pool;
        for (unsigned t = 0; t < threads; ++t)
            pool.emplace_back(
                [&, t]
                {
                    start.arrive_and_wait();
                    auto const before = waits_so_far();
                    took[t] = work(t);
                    waits += waits_so_far() - before;
                });
    }
    auto const all = static_cast<double>(count_each * threads);
    return {static_cast<double>(std::ranges::max(took).count()) / all, static_cast<double>(waits.load()) / all};
}

cost measure(subject& cache, operation const& what, std::size_t size, unsigned threads, std::size_t count)
{
    auto const each = count / threads;
    if (!what.is_put)
    {
        // All sessions in an order that no prefetcher knows, another one for each thread.
        constexpr std::size_t steps[] = {7919, 7907};
        auto const first = what.look_up == &subject::miss ? size : 0;
        return on_threads(threads, each,
                          [&](unsigned t) { return (cache.*what.look_up)({first, each, size, steps[t]}); });
    }
    // New sessions in small parts that are removed again, so that there are always about as many as there should be.
    auto const part = std::min(each, std::max<std::size_t>(size / 20, 50));
    auto const parts = each / part;
    cost mean{0, 0};
    for (std::size_t p = 0; p < parts; ++p)
    {
        auto const first = size + p * threads * part;
        auto const c =
            on_threads(threads, part, [&](unsigned t) { return cache.put({first + t * part, part}, what.lives); });
        mean.ns += c.ns / static_cast<double>(parts);
        mean.waits += c.waits / static_cast<double>(parts);
        cache.remove({first, threads * part});
    }
    return mean;
}

std::size_t count_for(operation const& what, std::size_t size, bool openssl)
{
    if (openssl && what.lives == mixed_lifetime) // each walks a list
        return size == large ? 4 : size == medium ? 20 : 2'000;
    return what.is_put ? 20'000 : 100'000;
}

constexpr char const* waits_name = "waits/";

void duel(benchmark::State& state, pair_of_caches& caches, results& to, operation const& what, std::size_t size,
          unsigned threads)
{
    for ([[maybe_unused]] auto _ : state)
    {
        auto const openssl = measure(*caches.openssl, what, size, threads, count_for(what, size, true));
        auto const reprise = measure(*caches.reprise, what, size, threads, count_for(what, size, false));
        measured_pair const pair{openssl.ns, reprise.ns};
        to.add(name_of(what, size, threads), pair);
        to.add(waits_name + name_of(what, size, threads), {openssl.waits, reprise.waits});
        state.SetIterationTime(pair.reprise * 1e-9);
        state.counters["openssl_ns"] = pair.openssl;
        state.counters["reprise_ns"] = pair.reprise;
    }
}

constexpr char const* expiry_name = "expiry";

void expire(benchmark::State& state, results& to, std::size_t size)
{
    pair_of_caches caches;
    for ([[maybe_unused]] auto _ : state)
    {
        caches.openssl->fill(size);
        caches.reprise->fill(size);
        measured_pair const pair{static_cast<double>(caches.openssl->longest_pause_of_expiry().count()),
                                 static_cast<double>(caches.reprise->longest_pause_of_expiry().count())};
        to.add(expiry_name + std::to_string(size), pair);
        state.SetIterationTime(pair.reprise * 1e-9);
        state.counters["openssl_us"] = pair.openssl * 1e-3;
        state.counters["reprise_us"] = pair.reprise * 1e-3;
    }
}

void print(results const& r, measured_pair const& memory)
{
    std::printf(
        "\nOne operation: CPU time of the thread that took longest / operations of all threads, ns, and how often a\n"
        "thread slept for a lock in 1000 operations. Medians of alternating pairs.\n\n"
        "%-28s %10s %10s %9s %10s %10s\n",
        "", "OpenSSL", "reprise", "ratio", "slept", "slept");
    for (auto const& what : operations)
        for (auto const size : {small, medium, large})
            for (unsigned const threads : {1u, 2u})
                if (auto const name = name_of(what, size, threads); r.has(name))
                    std::printf("%-28s %10.0f %10.0f %9.4f %10.1f %10.1f\n", name.c_str(), r.openssl(name),
                                r.reprise(name), r.ratio(name), 1000 * r.openssl(waits_name + name),
                                1000 * r.reprise(waits_name + name));
    std::printf("\nLongest time that the expiry of all sessions keeps a thread, us of CPU.\n\n");
    for (auto const size : {small, medium, large})
        if (auto const name = expiry_name + std::to_string(size); r.has(name))
            std::printf("%-28s %10.1f %10.1f %9.4f\n", std::to_string(size).c_str(), r.openssl(name) * 1e-3,
                        r.reprise(name) * 1e-3, r.ratio(name));

    std::printf("\n");
    print_goal_heading("B or ns");
    print_goal("memory of a session (reach: 0.25), 10^6", memory.reprise, memory.reprise / memory.openssl, 0.40);
    auto const& put_mixed = operations[1];
    auto const& hit = operations[2];
    if (auto const name = name_of(put_mixed, medium, 1); r.has(name))
        print_goal("put with mixed lifetimes, 10^5", r.reprise(name), r.ratio(name), 1.0 / 1000);
    if (auto const few = name_of(put_mixed, small, 1), many = name_of(put_mixed, large, 1); r.has(few) && r.has(many))
        print_goal("the same at 10^6 / at 10^3", r.reprise(many), r.reprise(many) / r.reprise(few), 3);
    for (auto const size : {small, medium, large})
    {
        auto const one = name_of(hit, size, 1);
        auto const two = name_of(hit, size, 2);
        if (!r.has(one) || !r.has(two))
            continue;
        print_goal("hit, " + std::to_string(size), r.reprise(one), r.ratio(one), 1);
        print_goal("hit on two threads / OpenSSL's on one, " + std::to_string(size), r.reprise(two),
                   r.reprise(two) / r.openssl(one), 1 / 1.7);
        print_goal("hit on two threads / our own on one, " + std::to_string(size), r.reprise(two),
                   r.reprise(two) / r.reprise(one), 1 / 1.7);
    }
    if (auto const name = expiry_name + std::to_string(large); r.has(name))
        print_goal("longest pause of expiry, 10^6", r.reprise(name), r.ratio(name), 1.0 / 1000);
}

} // namespace

int main(int argc, char** argv)
{
    char interleave[] = "--benchmark_enable_random_interleaving=true";
    char repeat[] = "--benchmark_repetitions=5";
    std::vector<char*> arguments{argv[0], interleave, repeat};
    arguments.insert(arguments.end(), argv + 1, argv + argc);
    int count = static_cast<int>(arguments.size());
    arguments.push_back(nullptr);
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data()))
        return 2;

    // Memory first: later the heap has room of what was freed.
    pair_of_caches largest;
    measured_pair memory{};
    memory.openssl = growth_of_a_fill(*largest.openssl, large);
    memory.reprise = growth_of_a_fill(*largest.reprise, large);
    std::map<std::size_t, pair_of_caches> caches;
    caches.emplace(large, std::move(largest));
    for (auto const size : {small, medium})
    {
        caches[size].openssl->fill(size);
        caches[size].reprise->fill(size);
    }

    results all;
    for (auto const& what : operations)
        for (auto const size : {small, medium, large})
            for (unsigned const threads : {1u, 2u})
                benchmark::RegisterBenchmark(name_of(what, size, threads).c_str(),
                                             [&, what, size, threads](benchmark::State& state)
                                             { duel(state, caches[size], all, what, size, threads); })
                    ->UseManualTime()
                    ->Iterations(1);
    for (auto const size : {small, medium, large})
        benchmark::RegisterBenchmark((expiry_name + std::string{"/"} + std::to_string(size)).c_str(),
                                     [&all, size](benchmark::State& state) { expire(state, all, size); })
            ->UseManualTime()
            ->Iterations(1);
    auto const run = benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    print(all, memory);
    return run > 0 ? 0 : 1;
}
