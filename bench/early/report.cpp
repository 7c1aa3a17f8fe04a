// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "early/report.hpp"

#include "early/answering_server.hpp"
#include "goal_table.hpp"
#include "stopwatch.hpp"

#include <boost/json/src.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>

namespace bench {

namespace {

namespace json = boost::json;

// Rounds are pairs: what disturbed one way of a round is likely to have disturbed the other.
double saved(at_distance::row const& from, at_distance::row const& to)
{
    std::vector<double> differences;
    std::ranges::transform(from.times, to.times, std::back_inserter(differences), std::minus{});
    return median_of(std::move(differences));
}

bool print_saving(at_distance const& measured, way const& of, double bar)
{
    auto const* const from = measured.find(tls13_resumed);
    auto const* const to = measured.find(of);
    auto const what = std::string{of.name} + ", saved";
    if (from == nullptr || to == nullptr)
    {
        std::printf("%-52s not measured\n", what.c_str());
        return true;
    }
    auto const ms = saved(*from, *to);
    print_goal(what, ms, ms / measured.round_trip(), bar, bound::at_least);
    return ms / measured.round_trip() >= bar;
}

json::object to_json(at_distance::row const& row, double round_trip)
{
    auto const median = median_of(row.times);
    json::object made{{"name", row.of.name},
                      {"min_ms", percentile(row.times, 0)},
                      {"median_ms", median},
                      {"p90_ms", percentile(row.times, 90)}};
    if (round_trip > 0)
        made["median_round_trips"] = median / round_trip;
    made["times_ms"] = json::array(row.times.begin(), row.times.end());
    return made;
}

} // namespace

at_distance::row const* at_distance::find(way const& w) const
{
    auto const found = std::ranges::find_if(rows, [&](row const& r) { return std::strcmp(r.of.name, w.name) == 0; });
    return found == rows.end() ? nullptr : &*found;
}

double percentile(std::vector<double> values, int p)
{
    std::ranges::sort(values);
    return values[std::min(values.size() - 1, values.size() * static_cast<std::size_t>(p) / 100)];
}

void print_times(std::vector<at_distance> const& measured)
{
    std::printf("%-34s", "ms each way:");
    for (auto const& m : measured)
        std::printf("%*d", m.one_way.count() == 0 ? 24 : 31, static_cast<int>(m.one_way.count()));
    std::printf("\n%-34s", "");
    for (auto const& m : measured)
    {
        std::printf("%8s%8s%8s", "min", "median", "p90");
        if (m.round_trip() > 0)
            std::printf("%7s", "RTT");
    }
    std::printf("\n");
    for (std::size_t i = 0; i < measured.front().rows.size(); ++i)
    {
        std::printf("%-34s", measured.front().rows[i].of.name);
        for (auto const& m : measured)
        {
            auto const& times = m.rows[i].times;
            auto const median = median_of(times);
            std::printf("%8.2f%8.2f%8.2f", percentile(times, 0), median, percentile(times, 90));
            if (m.round_trip() > 0)
                std::printf("%7.2f", median / m.round_trip());
        }
        std::printf("\n");
    }
}

bool print_goals(at_distance const& measured)
{
    print_goal_heading("ms", bound::at_least);
    bool const early = print_saving(measured, early_at_once, 0.9);
    bool const fast_open = print_saving(measured, early_fast_open, 1.8);
    return early && fast_open;
}

void write_json(std::string const& path, std::vector<at_distance> const& measured, std::string const& no_fast_open)
{
    json::array distances;
    for (auto const& m : measured)
    {
        json::array rows;
        for (auto const& row : m.rows)
            rows.push_back(to_json(row, m.round_trip()));
        distances.push_back(json::object{
            {"one_way_ms", m.one_way.count()}, {"rounds", m.rows.front().times.size()}, {"ways", std::move(rows)}});
    }
    json::object all{{"openssl", OpenSSL_version(OPENSSL_VERSION)},
                     {"request_bytes", answering_server::request_size},
                     {"fast_open", no_fast_open.empty() ? "measured" : no_fast_open.c_str()},
                     {"distances", std::move(distances)}};
    std::ofstream out{path};
    if (!(out << all << '\n' << std::flush))
        throw std::runtime_error{path + " cannot be written"};
}

} // namespace bench
