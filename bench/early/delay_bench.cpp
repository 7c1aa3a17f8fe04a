// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// How long a request waits for its answer when a client comes back, by the way that it connects and by the distance.
// All of it is on loopback, in a network of its own, where a proxy makes up for the distance.

#include "coroutines.hpp"
#include "early/answering_server.hpp"
#include "early/connect_modes.hpp"
#include "early/delay_proxy.hpp"
#include "early/own_network.hpp"
#include "early/report.hpp"
#include "goal_table.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

namespace {

using namespace std::chrono_literals;

struct trial
{
    std::chrono::milliseconds one_way;
    int rounds;
};
constexpr trial trials[] = {{0ms, 100}, {20ms, 20}, {40ms, 12}};
constexpr std::size_t judged = 1; // of the trials
constexpr auto hang_limit = 3min;

// Who begins changes, for each visit leaves something behind that the next one may meet: the server's farewell.
asio::awaitable<at_distance> measure(std::deque<visitor>& visitors, std::vector<way> const& chosen, trial t)
{
    at_distance result{t.one_way, {}};
    for (auto const& w : chosen)
        result.rows.push_back({w, {}});
    for (int round = 0; round < t.rounds; ++round)
        for (std::size_t i = 0; i < visitors.size(); ++i)
        {
            auto const who = (i + static_cast<std::size_t>(round)) % visitors.size();
            result.rows[who].times.push_back(co_await visitors[who].visit());
        }
    co_return result;
}

asio::awaitable<void> measure_all(delay_proxy& proxy, std::vector<way> const& chosen,
                                  std::vector<at_distance>& measured)
{
    std::deque<visitor> visitors;
    for (auto const& w : chosen)
        co_await visitors.emplace_back(w, proxy.endpoint()).warm_up();
    for (auto const& t : trials)
    {
        proxy.set_distance(t.one_way);
        measured.push_back(co_await measure(visitors, chosen, t));
    }
}

int run(char const* json)
{
    auto const no_fast_open = enter_own_network();
    std::vector<way> chosen;
    for (auto const& w : ways)
        if (!w.fast_open || no_fast_open.empty())
            chosen.push_back(w);

    answering_server server;
    delay_proxy proxy{server.endpoint(), no_fast_open.empty()};
    asio::io_context io{1};
    std::vector<at_distance> measured;
    asio::co_spawn(io, measure_all(proxy, chosen, measured), rethrow);
    io.run_for(hang_limit);
    if (!io.stopped())
        throw std::runtime_error{"a connection hangs"};
    if (server.failed() != 0)
        throw std::runtime_error{"a connection failed at the server"};

    std::printf(
        "From the start of connecting to the first byte of the answer, ms, and the median in round trips (RTT). "
        "A request of\n%zu bytes; X25519, a P-256 certificate that is verified. A proxy delays what is sent, by "
        "so much each way, and\nadds the round trip of TCP's handshake. In turn: %d, %d and %d rounds.\n",
        answering_server::request_size, trials[0].rounds, trials[1].rounds, trials[2].rounds);
    if (!no_fast_open.empty())
        std::printf("TCP Fast Open was not measured: %s\n", no_fast_open.c_str());
    std::printf("\n");
    print_times(measured);
    std::printf("\nAgainst TLS 1.3 resumed, with %d ms each way; the ratio is to one round trip. Medians of pairs.\n\n",
                static_cast<int>(trials[judged].one_way.count()));
    bool const met = print_goals(measured[judged]);
    if (json != nullptr)
        write_json(json, measured, no_fast_open);
    return met ? 0 : 1;
}

} // namespace
} // namespace bench

int main(int argc, char** argv)
{
    bool const has_json = argc == 3 && std::strcmp(argv[1], "--json") == 0;
    if (argc != 1 && !has_json)
    {
        std::fprintf(stderr, "Usage: %s [--json FILE]\n", argv[0]);
        return 2;
    }
    return bench::exit_status([file = has_json ? argv[2] : nullptr] { return bench::run(file); });
}
