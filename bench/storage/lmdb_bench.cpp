// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a lookup in an lmdb_storage costs beside the resumed handshake that it serves, and what a put costs the thread
// that asks for it. All in rounds, so that what disturbs the machine for a while disturbs all alike.

#include "contexts.hpp"
#include "coroutines.hpp"
#include "endpoints.hpp"
#include "goal_table.hpp"
#include "stopwatch.hpp"

#include <reprise/session.hpp>
#include <reprise/storage/lmdb_storage.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace bench {

namespace {

using namespace std::chrono_literals;

constexpr int rounds = 7;
constexpr std::size_t handshakes = 200;
constexpr std::size_t entries = 100'000;
constexpr std::size_t in_flight = 16;

double to_us(nanoseconds time, std::size_t count)
{
    return std::chrono::duration<double, std::micro>(time).count() / static_cast<double>(count);
}

// One connection in memory; the server's CPU time.
nanoseconds connect(end& client, end& server)
{
    stopwatch watch;
    client.start();
    watch.measure([&] { server.start(); });
    for (int turn = 0; turn < 10 && !(client.done() && server.done()); ++turn)
    {
        client.step();
        server.wire.in.append(std::exchange(client.wire.out, {}));
        watch.measure([&] { server.step(); });
        client.wire.in.append(std::exchange(server.wire.out, {}));
    }
    if (!client.done() || !server.done())
        throw std::logic_error{"a connection failed"};
    client.finish();
    watch.measure([&] { server.finish(); });
    client.wire.in.clear();
    server.wire.in.clear();
    return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(watch.seconds()));
}

// A resumed TLS 1.2 handshake with a session id, in us of the server.
double resumed_handshake()
{
    auto const client = make_client(maker::raw, kinds[0], true);
    auto const server = make_server(maker::raw, kinds[0]);
    connect(*client, *server); // so that there is something to resume
    std::vector<double> times;
    for (std::size_t i = 0; i < handshakes; ++i)
    {
        times.push_back(to_us(connect(*client, *server), 1));
        if (!server->resumed())
            throw std::logic_error{"a connection did not resume"};
    }
    return median_of(times);
}

// The session of such a connection as the server keeps it.
reprise::secret_bytes server_record()
{
    auto server_tls = server_context(kinds[0]);
    auto client_tls = client_context(kinds[0]);
    resume_by_hand(server_tls.native_handle(), kinds[0]);
    reprise::ssl_ptr const client{SSL_new(client_tls.native_handle())};
    reprise::ssl_ptr const server{SSL_new(server_tls.native_handle())};
    name_peer(client.get());
    BIO* client_bio = nullptr;
    BIO* server_bio = nullptr;
    BIO_new_bio_pair(&client_bio, 0, &server_bio, 0);
    SSL_set_bio(client.get(), client_bio, client_bio);
    SSL_set_bio(server.get(), server_bio, server_bio);
    for (int turn = 0; turn < 10 && !SSL_is_init_finished(server.get()); ++turn)
    {
        SSL_connect(client.get());
        SSL_accept(server.get());
    }
    auto const made = reprise::session::snapshot(SSL_get_session(server.get()), {std::chrono::system_clock::now()});
    if (!made)
        throw std::logic_error{"no session was made"};
    SSL_set_shutdown(client.get(), SSL_SENT_SHUTDOWN);
    SSL_set_shutdown(server.get(), SSL_SENT_SHUTDOWN);
    return made->serialize();
}

// 32 bytes that look like a session id.
std::string name_of(std::size_t i)
{
    std::mt19937_64 random{i};
    std::string name;
    for (int part = 0; part < 4; ++part)
    {
        auto const number = random();
        name.append(reinterpret_cast<char const*>(&number), sizeof number);
    }
    return name;
}

class storage_on_disk
{
public:
    storage_on_disk()
    {
        auto name = (std::filesystem::temp_directory_path() / "reprise-bench-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error{"mkdtemp"};
        directory_ = name;
        open();
    }
    storage_on_disk(storage_on_disk const&) = delete;
    storage_on_disk& operator=(storage_on_disk const&) = delete;
    ~storage_on_disk()
    {
        storage_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    reprise::lmdb_storage& operator*() const { return *storage_; }
    reprise::lmdb_storage* operator->() const { return storage_.get(); }

private:
    void open()
    {
        reprise::lmdb_storage_options options;
        options.path = directory_ / "storage";
        options.max_queued_bytes = 64u << 20;
        storage_ = reprise::lmdb_storage::make(std::move(options));
    }

    std::filesystem::path directory_;
    std::shared_ptr<reprise::lmdb_storage> storage_;
};

void fill(reprise::lmdb_storage& storage, reprise::secret_bytes const& record)
{
    asio::io_context io;
    auto const expiry = std::chrono::system_clock::now() + 1h;
    for (std::size_t i = 0; i < entries; ++i)
    {
        asio::co_spawn(io, storage.put(name_of(i), record, expiry), rethrow);
        if (i % 4096 == 0)
        {
            io.run();
            io.restart();
        }
    }
    io.run();
    if (storage.stats().entries != entries)
        throw std::logic_error{"the storage did not keep all"};
}

/// CPU time per operation.
struct cost
{
    double process; ///< of all threads
    double caller;  ///< of the thread that runs the io_context
};

asio::awaitable<void> look_up(reprise::lmdb_storage& storage, std::vector<std::string> names, bool decode)
{
    for (auto const& name : names)
    {
        auto const found = co_await storage.get(name);
        if (!found || (decode && !reprise::session::parse(*found)))
            throw std::logic_error{"a session was not found, or did not parse"};
    }
}

cost look_ups(reprise::lmdb_storage& storage, std::size_t at_once, std::size_t count, bool decode)
{
    asio::io_context io;
    static std::mt19937_64 random{1};
    for (std::size_t i = 0; i < at_once; ++i)
    {
        std::vector<std::string> names;
        for (std::size_t n = 0; n < count / at_once; ++n)
            names.push_back(name_of(random() % entries));
        asio::co_spawn(io, look_up(storage, std::move(names), decode), rethrow);
    }
    auto const process = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
    auto const caller = cpu_time(CLOCK_THREAD_CPUTIME_ID);
    io.run();
    return {to_us(cpu_time(CLOCK_PROCESS_CPUTIME_ID) - process, count),
            to_us(cpu_time(CLOCK_THREAD_CPUTIME_ID) - caller, count)};
}

double parse(reprise::secret_bytes const& record)
{
    constexpr std::size_t count = 2000;
    auto const start = cpu_time(CLOCK_THREAD_CPUTIME_ID);
    for (std::size_t i = 0; i < count; ++i)
        if (!reprise::session::parse(record))
            throw std::logic_error{"it did not parse"};
    return to_us(cpu_time(CLOCK_THREAD_CPUTIME_ID) - start, count);
}

asio::awaitable<void> nothing()
{
    co_return;
}

struct put_cost
{
    double begun;  // what a handshake waits for
    double behind; // what its thread does after it: to pass the put on, and to hear that earlier ones are done
};

// What the thread of the handshakes spends on a put that is begun after each and not awaited. Without a storage: on a
// coroutine that does nothing.
put_cost puts_after_handshakes(reprise::lmdb_storage* storage, reprise::secret_bytes const& record)
{
    auto const client = make_client(maker::raw, kinds[0], true);
    auto const server = make_server(maker::raw, kinds[0]);
    connect(*client, *server);
    asio::io_context io;
    auto const work = asio::make_work_guard(io);
    auto const expiry = std::chrono::system_clock::now() + 1h;
    stopwatch begun, behind;
    for (std::size_t i = 0; i < handshakes; ++i)
    {
        connect(*client, *server);
        auto name = name_of(i);
        begun.measure(
            [&] { asio::co_spawn(io, storage ? storage->put(std::move(name), record, expiry) : nothing(), rethrow); });
        behind.measure([&] { io.poll(); });
    }
    return {begun.seconds() * 1e6 / handshakes, behind.seconds() * 1e6 / handshakes};
}

// The same for a put that comes alone, to a writer that sleeps and is woken by it.
double put_after_pause(reprise::lmdb_storage& storage, reprise::secret_bytes const& record)
{
    constexpr std::size_t count = 10;
    asio::io_context io;
    auto const expiry = std::chrono::system_clock::now() + 1h;
    stopwatch watch;
    for (std::size_t i = 0; i < count; ++i)
    {
        std::this_thread::sleep_for(50ms);
        auto name = name_of(i);
        watch.measure(
            [&]
            {
                asio::co_spawn(io, storage.put(std::move(name), record, expiry), rethrow);
                io.poll();
            });
        io.run();
        io.restart();
    }
    return watch.seconds() * 1e6 / count;
}

struct samples
{
    std::vector<double> values;
    void operator+=(double value) { values.push_back(value); }
    [[nodiscard]] double median() const { return median_of(values); }
};

int run()
{
    auto const record = server_record();
    storage_on_disk storage;
    fill(*storage, record);
    look_ups(*storage, in_flight, 20'000, false); // the page cache is warm

    samples handshake, parsing, bare_all, bare_caller, all, caller, single, ratio, empty, put, put_behind, put_cold;
    for (int i = 0; i < rounds; ++i)
    {
        auto const limit = resumed_handshake();
        handshake += limit;
        parsing += parse(record);
        auto const bare = look_ups(*storage, in_flight, 20'000, false);
        bare_all += bare.process;
        bare_caller += bare.caller;
        auto const whole = look_ups(*storage, in_flight, 20'000, true);
        all += whole.process;
        caller += whole.caller;
        ratio += whole.process / limit;
        single += look_ups(*storage, 1, 2'000, true).process;
        auto const no_put = puts_after_handshakes(nullptr, record);
        empty += no_put.begun + no_put.behind;
        auto const one_put = puts_after_handshakes(&*storage, record);
        put += one_put.begun;
        put_behind += one_put.behind;
        put_cold += put_after_pause(*storage, record);
    }

    auto const limit = handshake.median();
    std::printf("lmdb_storage: %zu sessions of %zu bytes, %d rounds, medians\n\n", entries, record.size(), rounds);
    std::printf("%-66s %8s %9s\n", "", "us CPU", "/ resumed");
    auto const print = [limit](char const* what, double us)
    { std::printf("%-66s %8.2f %9.3f\n", what, us, us / limit); };
    print("resumed TLS 1.2 handshake, session id, server (raw OpenSSL)", limit);
    print("decode alone (session::parse)", parsing.median());
    print("(a) lookup on the storage's thread, its share of the hand-over too",
          bare_all.median() - bare_caller.median());
    print("    lookup on the caller's thread, awaited, 16 in flight", bare_caller.median());
    print("(b) lookup and decode, 16 in flight, the whole process", all.median());
    print("    of which on the caller's thread", caller.median());
    print("(c) lookup and decode, one at a time, the whole process", single.median());
    print("put begun after a handshake and not awaited: before that goes on", put.median());
    print("    and behind it, on the caller's thread", put_behind.median());
    print("    both, for a coroutine that does nothing", empty.median());
    print("all of it after 50 ms without any: the writer has to be woken", put_cold.median());

    std::printf("\n");
    print_goal_heading("us");
    print_goal("lookup and decode (b) / resumed handshake", all.median(), ratio.median(), 0.15);
    print_goal("put, on the path of a handshake / 5 us", put.median(), put.median() / 5, 1);
    return ratio.median() <= 0.15 && put.median() <= 5 ? 0 : 1;
}

} // namespace
} // namespace bench

int main()
{
    return bench::exit_status(bench::run);
}
