// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// CPU time of whole connections in memory, for one end at a time; the other end is always raw OpenSSL.

#include "benches.hpp"
#include "endpoints.hpp"
#include "stopwatch.hpp"

#include <benchmark/benchmark.h>

#include <stdexcept>

namespace bench {

namespace {

// Whether it ran to its end and resumed as wanted.
template <class ClientTurn, class ServerTurn>
bool connect(end& client, end& server, bool resume, ClientTurn client_turn, ServerTurn server_turn)
{
    client_turn([&] { client.start(); });
    server_turn([&] { server.start(); });
    for (int turn = 0; turn < 10 && !(client.done() && server.done()); ++turn)
    {
        client_turn([&] { client.step(); });
        server.wire.in.append(std::exchange(client.wire.out, {}));
        server_turn([&] { server.step(); });
        client.wire.in.append(std::exchange(server.wire.out, {}));
    }
    client_turn([&] { client.finish(); });
    server_turn([&] { server.finish(); });
    client.wire.in.clear();
    server.wire.in.clear();
    return client.done() && server.done() && client.resumed() == resume && server.resumed() == resume;
}

void run(benchmark::State& state, bool is_server, maker m, kind k, bool resume)
{
    auto const client = make_client(is_server ? maker::raw : m, k, resume);
    auto const server = make_server(is_server ? m : maker::raw, k);
    auto const aside = [](auto&& turn) { turn(); };
    connect(*client, *server, false, aside, aside); // so that there is something to resume
    for ([[maybe_unused]] auto _ : state)
    {
        stopwatch watch;
        auto const timed = [&watch](auto&& turn) { watch.measure(turn); };
        bool const ok = is_server ? connect(*client, *server, resume, aside, timed)
                                  : connect(*client, *server, resume, timed, aside);
        if (!ok)
            return state.SkipWithError("a connection failed, or did not resume as it should");
        state.SetIterationTime(watch.seconds());
    }
}

} // namespace

std::string handshake_name(bool is_server, maker m, kind const& k, bool resume)
{
    return std::string{is_server ? "server/" : "client/"} + std::string{to_string(m)} + "/" + k.name +
           (resume ? "/resumed" : "/full");
}

void register_handshakes()
{
    for (bool const is_server : {true, false})
        for (auto const& k : kinds)
            for (bool const resume : {false, true})
                for (auto const m : makers)
                    if (is_server || m != maker::cache)
                        benchmark::RegisterBenchmark(handshake_name(is_server, m, k, resume).c_str(), run, is_server, m,
                                                     k, resume)
                            ->UseManualTime()
                            ->Unit(benchmark::kMicrosecond)
                            ->Iterations(100);
}

} // namespace bench
