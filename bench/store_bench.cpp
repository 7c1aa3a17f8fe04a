// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "benches.hpp"

#include <reprise/memory_session_store.hpp>
#include <reprise/session.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <benchmark/benchmark.h>

#include <stdexcept>

namespace bench {

namespace {

// A TLS 1.2 session as a client has it: reusable, so that it can be taken again and again.
reprise::session client_session()
{
    kind const k = kinds[1];
    auto const server = make_server(maker::raw, k);
    auto tls = client_context(k);
    reprise::ssl_ptr const ssl{SSL_new(tls.native_handle())};
    BIO* const in = BIO_new(BIO_s_mem());
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_connect_state(ssl.get());
    name_peer(ssl.get());
    server->start();
    for (int turn = 0; turn < 10 && SSL_do_handshake(ssl.get()) != 1; ++turn)
    {
        char* data = nullptr;
        auto const size = BIO_get_mem_data(out, &data);
        server->wire.in.assign(data, static_cast<std::size_t>(size));
        (void)BIO_reset(out);
        server->step();
        BIO_write(in, server->wire.out.data(), static_cast<int>(server->wire.out.size()));
        server->wire.out.clear();
    }
    auto const now = std::chrono::system_clock::now();
    auto made = reprise::session::snapshot(SSL_get_session(ssl.get()),
                                           reprise::session_origin::of_full_handshake(ssl.get(), now));
    if (!made)
        throw std::logic_error{"no session was made"};
    SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN);
    return *std::move(made);
}

asio::awaitable<void> take_all(benchmark::State& state, reprise::session_store& store,
                               reprise::session_scope const& key)
{
    for ([[maybe_unused]] auto _ : state)
    {
        auto const taken = (co_await store.take(key)).ticket;
        if (!taken)
        {
            state.SkipWithError("nothing was taken");
            co_return;
        }
        benchmark::DoNotOptimize(taken->copy()); // as the connection does
    }
}

void take(benchmark::State& state)
{
    auto const store = reprise::memory_session_store::make();
    auto const made = client_session();
    reprise::session_scope key{"host", "443", "host", {"h2", "http/1.1"}, "", std::string(32, 'p'), "", ""};
    for (int i = 0; i < 1000; ++i)
    {
        key.host = "host" + std::to_string(i);
        store->capture(key, made);
    }
    asio::io_context io;
    asio::co_spawn(io, take_all(state, *store, key), asio::detached);
    io.run();
}

void parse(benchmark::State& state)
{
    auto const bytes = client_session().serialize();
    for ([[maybe_unused]] auto _ : state)
    {
        auto const parsed = reprise::session::parse(bytes);
        if (!parsed)
            return state.SkipWithError("it did not parse");
        benchmark::DoNotOptimize(parsed);
    }
}

} // namespace

void register_store()
{
    benchmark::RegisterBenchmark(take_name, take)->Unit(benchmark::kMicrosecond)->Iterations(20000);
    benchmark::RegisterBenchmark(parse_name, parse)->Unit(benchmark::kMicrosecond)->Iterations(500);
}

} // namespace bench
