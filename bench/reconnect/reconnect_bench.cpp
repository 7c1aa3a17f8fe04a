// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a reconnect costs a client, beside what it costs others to the same nginx, in one run.

#include "coroutines.hpp"
#include "goal_table.hpp"
#include "reconnect/clients.hpp"
#include "stopwatch.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/memory_session_store.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace asio = boost::asio;

constexpr std::size_t rounds = 15;
constexpr std::size_t per_round = 200;

struct subject
{
    char const* name;
    std::unique_ptr<bench::client> client;
    bool resumes = true;
    std::vector<double> cpu{};
    std::vector<double> time{};
    std::size_t resumed = 0;
};

std::vector<subject> measure(bench::nginx const& server, bool tls13)
{
    std::vector<subject> subjects;
    subjects.push_back({"reprise", make_reprise(server, tls13)});
    subjects.push_back({"libcurl, share handle", make_curl(server, tls13)});
    subjects.push_back({"libcurl, one handle kept", make_kept_curl(server, tls13)});
    if (auto go = make_go(server, tls13))
        subjects.push_back({"Go net/http, session cache", std::move(go)});
    subjects.push_back({"Asio by hand, in full", make_plain_asio(server, tls13), false});
    subjects.push_back({"OpenSSL alone, blocking", make_openssl(server, tls13)}); // the last: no rival, but the floor
    for (auto& s : subjects)
        (void)s.client->fetch(20); // the first ones fill caches
    for (std::size_t i = 0; i < rounds; ++i)
        for (auto& s : subjects) // alternating, so that what disturbs one disturbs all
        {
            auto const c = s.client->fetch(per_round);
            s.cpu.push_back(c.cpu_us / static_cast<double>(c.count));
            s.time.push_back(c.time_us / static_cast<double>(c.count));
            s.resumed += c.resumed;
        }
    for (auto const& s : subjects)
        if (s.resumed != (s.resumes ? rounds * per_round : 0))
            std::printf("%s has resumed %zu of %zu\n", s.name, s.resumed, rounds * per_round);
    return subjects;
}

// A session of this server, in a store of its own.
asio::awaitable<void> fill(reprise::memory_session_store& store, asio::ssl::context& tls, std::string port)
{
    reprise::client_stream<> stream{co_await asio::this_coro::executor, tls, store};
    co_await stream.async_connect("localhost", port);
    co_await stream.async_shutdown();
}

double microseconds_of(std::size_t count, std::function<void()> const& piece)
{
    auto const start = bench::cpu_time(CLOCK_THREAD_CPUTIME_ID);
    for (std::size_t i = 0; i < count; ++i)
        piece();
    return static_cast<double>((bench::cpu_time(CLOCK_THREAD_CPUTIME_ID) - start).count()) / 1e3 /
           static_cast<double>(count);
}

/* What a client adds of its own to each resumption: the fingerprint, the store, the checks, the snapshot of the new
   session. Once all that libssl needs anyway, with the key and the session ready; once with everything. */
double own_work(bench::nginx const& server, bool tls13)
{
    asio::ssl::context tls{asio::ssl::context::tls_client};
    tls.load_verify_file(server.ca_file());
    auto const version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_min_proto_version(tls.native_handle(), version);
    SSL_CTX_set_max_proto_version(tls.native_handle(), version);
    auto const store = reprise::memory_session_store::make();
    asio::io_context io{1};
    asio::co_spawn(io, fill(*store, tls, server.port()), bench::rethrow);
    io.run();
    if (store->size() == 0)
        throw std::runtime_error{"nginx gave no session"};

    reprise::detail::client_handshake connection{reprise::client{tls, *store}};
    auto ssl = connection.begin("localhost", server.port());
    auto const choose = [&]
    {
        io.restart();
        asio::co_spawn(io, connection.choose_session(ssl.get()), bench::rethrow);
        io.run();
    };
    auto const nothing = [&]
    {
        io.restart();
        asio::co_spawn(io, []() -> asio::awaitable<void> { co_return; }(), bench::rethrow);
        io.run();
    };
    choose();
    if (!connection.offered())
        throw std::runtime_error{"the session would not be offered"};
    auto const ticket = *connection.offered();
    (void)connection.handshake_failed(false);

    constexpr std::size_t count = 2000;
    std::vector<double> differences;
    for (std::size_t i = 0; i < rounds; ++i)
    {
        auto const with = microseconds_of(count,
                                          [&]
                                          {
                                              ssl = connection.begin("localhost", server.port());
                                              choose();
                                              (void)connection.handshake_failed(false); // puts a ticket back
                                              if (!tls13)
                                                  store->capture(connection.key(), ticket);
                                          });
        auto const without = microseconds_of(count,
                                             [&]
                                             {
                                                 reprise::ssl_ptr own{::SSL_new(tls.native_handle())};
                                                 ::SSL_set_connect_state(own.get());
                                                 SSL_set_tlsext_host_name(own.get(), "localhost");
                                                 ::SSL_set1_host(own.get(), "localhost");
                                                 ::SSL_set_verify(own.get(), SSL_VERIFY_PEER, nullptr);
                                                 nothing();
                                                 auto const copy = ticket.copy();
                                                 ::SSL_set_session(own.get(), copy.get());
                                                 ssl = std::move(own);
                                             });
        differences.push_back(with - without);
    }
    return bench::median_of(differences);
}

bool report(bench::nginx const& server, bool tls13)
{
    auto subjects = measure(server, tls13);
    std::printf("\n%s, one GET to nginx on a new connection each time: medians of %zu rounds of %zu\n",
                tls13 ? "TLS 1.3" : "TLS 1.2", rounds, per_round);
    std::printf("%-30s %12s %12s %12s\n", "", "CPU us", "time us", "reprise is");
    auto const cpu = bench::median_of(subjects.front().cpu);
    double least_other = 0;
    double curl = 0;
    for (auto const& s : subjects)
    {
        auto const own = bench::median_of(s.cpu);
        std::printf("%-30s %12.1f %12.1f %12.2f\n", s.name, own, bench::median_of(s.time), cpu / own);
        if (&s == &subjects.front() || &s == &subjects.back())
            continue;
        least_other = least_other == 0 ? own : std::min(least_other, own);
        if (curl == 0)
            curl = own;
    }
    std::printf("OpenSSL alone is %.2f of libcurl, share handle\n", bench::median_of(subjects.back().cpu) / curl);
    auto const own = own_work(server, tls13);
    std::printf("\n");
    bench::print_goal_heading("us");
    bench::print_goal("client CPU, reprise / libcurl, share handle", cpu, cpu / curl, 0.40);
    bench::print_goal("client CPU, reprise / the next best", cpu, cpu / least_other, 1.0);
    bench::print_goal("store, fingerprint and checks / a reconnect", own, own / cpu, 0.02);
    return cpu / curl <= 0.40 && cpu <= least_other && own / cpu <= 0.02;
}

} // namespace

int main()
{
    return bench::exit_status(
        []
        {
            bench::nginx const server;
            bool const met12 = report(server, false);
            bool const met13 = report(server, true);
            return met12 && met13 ? 0 : 1;
        });
}
