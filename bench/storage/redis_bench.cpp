// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
//
// What a lookup in Redis costs this process in CPU: hiredis one at a time, as a synchronous callback would, against
// redis_storage with one and with 16 in flight. Over a unix socket, to a server of its own; 200-byte values.
#include "coroutines.hpp"
#include "goal_table.hpp"
#include "stopwatch.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <hiredis/hiredis.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using bench::nanoseconds;
using bench::rethrow;

constexpr int names = 1000;

// 32 bytes, made beforehand.
std::vector<std::string> const session_names = []
{
    std::vector<std::string> made;
    for (int i = 0; i < names; ++i)
        made.push_back("session " + std::to_string(1'000'000'000 + i) + " of a thousand");
    return made;
}();

std::string const& name(int i)
{
    return session_names[static_cast<std::size_t>(i)];
}

// Listens on a unix socket in a directory of its own, and ends with this object.
class server
{
public:
    server()
    {
        auto directory = (std::filesystem::temp_directory_path() / "reprise-bench-XXXXXX").string();
        if (::mkdtemp(directory.data()) == nullptr)
            throw std::runtime_error{"mkdtemp"};
        directory_ = directory;
        for (auto const* program : {"redis-server", "valkey-server"})
            if (start(program))
                return;
        std::filesystem::remove_all(directory_);
        throw std::runtime_error{"neither redis-server nor valkey-server can be started"};
    }
    server(server const&) = delete;
    server& operator=(server const&) = delete;
    ~server()
    {
        ::kill(pid_, SIGKILL); // it has nothing to keep
        ::waitpid(pid_, nullptr, 0);
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }

    [[nodiscard]] std::string socket_path() const { return (directory_ / "redis.sock").string(); }

private:
    bool start(char const* program)
    {
        std::vector<std::string> const arguments{
            program,        "--port", "0",     "--unixsocket",      socket_path(), "--save", "",
            "--appendonly", "no",     "--dir", directory_.string(), "--loglevel",  "warning"};
        std::vector<char*> argv;
        for (auto const& argument : arguments)
            argv.push_back(const_cast<char*>(argument.c_str())); // posix_spawn(3) does not write there
        argv.push_back(nullptr);
        return ::posix_spawnp(&pid_, program, nullptr, nullptr, argv.data(), environ) == 0;
    }

    std::filesystem::path directory_;
    pid_t pid_ = -1;
};

struct cost
{
    double cpu = 0;  // us of this process, for each lookup
    double wall = 0; // us
};

template <class Work>
cost measure(int lookups, Work work)
{
    auto const cpu = bench::cpu_time(CLOCK_PROCESS_CPUTIME_ID);
    auto const wall = bench::cpu_time(CLOCK_MONOTONIC);
    work();
    auto const per_lookup = [&](nanoseconds t)
    { return std::chrono::duration<double, std::micro>(t).count() / lookups; };
    return {per_lookup(bench::cpu_time(CLOCK_PROCESS_CPUTIME_ID) - cpu),
            per_lookup(bench::cpu_time(CLOCK_MONOTONIC) - wall)};
}

using context_ptr = std::unique_ptr<redisContext, decltype(&redisFree)>;

context_ptr connect(std::string const& path)
{
    for (int i = 0; i < 500; ++i)
    {
        context_ptr context{redisConnectUnix(path.c_str()), &redisFree};
        if (context && context->err == 0)
            return context;
        std::this_thread::sleep_for(10ms);
    }
    throw std::runtime_error{"the server does not listen"};
}

void get_with_hiredis(redisContext& context, int lookups)
{
    for (int i = 0; i < lookups; ++i)
    {
        auto const& key = name(i % names);
        auto* const reply = static_cast<redisReply*>(redisCommand(&context, "GET reprise:%b", key.data(), key.size()));
        if (reply == nullptr || reply->type != REDIS_REPLY_STRING)
            throw std::runtime_error{"hiredis: no value"};
        freeReplyObject(reply);
    }
}

// What pipelining can give at most: no coroutines, no deadlines, nothing else.
void get_pipelined_with_hiredis(redisContext& context, int lookups)
{
    for (int i = 0; i < lookups; i += 16)
    {
        for (int j = i; j < i + 16; ++j)
        {
            auto const& key = name(j % names);
            redisAppendCommand(&context, "GET reprise:%b", key.data(), key.size());
        }
        for (int j = i; j < i + 16; ++j)
        {
            void* reply = nullptr;
            if (redisGetReply(&context, &reply) != REDIS_OK ||
                static_cast<redisReply*>(reply)->type != REDIS_REPLY_STRING)
                throw std::runtime_error{"hiredis: no value"};
            freeReplyObject(reply);
        }
    }
}

asio::awaitable<void> get_some(reprise::storage& storage, int& left)
{
    while (left > 0)
    {
        auto asked = name(left-- % names);
        auto const value = co_await storage.get(std::move(asked));
        if (!value)
            throw std::runtime_error{"redis_storage: no value"};
    }
}

void get_with_storage(asio::io_context& io, reprise::storage& storage, int lookups, int in_flight)
{
    int running = in_flight;
    for (int i = 0; i < in_flight; ++i)
        asio::co_spawn(io, get_some(storage, lookups),
                       [&](std::exception_ptr e)
                       {
                           rethrow(e);
                           if (--running == 0)
                               io.stop(); // the storage's connection is still waiting there
                       });
    io.restart();
    io.run();
}

asio::awaitable<void> fill(reprise::storage& storage)
{
    auto const expiry = std::chrono::system_clock::now() + 1h;
    for (int i = 0; i < names; ++i)
    {
        auto kept = name(i);
        reprise::secret_bytes value{std::size_t{200}};
        co_await storage.put(std::move(kept), std::move(value), expiry);
    }
}

struct contestant
{
    char const* what;
    std::function<cost(int lookups)> run;
    std::vector<double> cpu{};
    std::vector<double> wall{};
    std::vector<double> to_hiredis{};       // ratio of CPU to hiredis, one at a time, in the same round
    std::vector<double> to_one_at_a_time{}; // to the same client, one at a time
};

} // namespace

int main()
try
{
    server const redis;
    auto const hiredis = connect(redis.socket_path());

    reprise::redis_storage_options options;
    options.socket_path = redis.socket_path();
    options.request_timeout = 10s; // a busy machine is no reason to stop
    auto const own_thread = reprise::redis_storage::make(options);
    asio::io_context io{1};
    options.executor = io.get_executor();
    auto const same_thread = reprise::redis_storage::make(options);
    asio::io_context other_io{1};
    asio::co_spawn(other_io, fill(*own_thread), rethrow);
    other_io.run();

    std::vector<contestant> contestants{
        // in pairs: one at a time, 16 at a time
        {"hiredis, synchronous, one at a time",
         [&](int n) { return measure(n, [&] { get_with_hiredis(*hiredis, n); }); }},
        {"hiredis, synchronous, pipelined by 16",
         [&](int n) { return measure(n, [&] { get_pipelined_with_hiredis(*hiredis, n); }); }},
        {"redis_storage, one at a time",
         [&](int n) { return measure(n, [&] { get_with_storage(io, *same_thread, n, 1); }); }},
        {"redis_storage, 16 in flight",
         [&](int n) { return measure(n, [&] { get_with_storage(io, *same_thread, n, 16); }); }},
        {"redis_storage on its own thread, one at a time",
         [&](int n) { return measure(n, [&] { get_with_storage(other_io, *own_thread, n, 1); }); }},
        {"redis_storage on its own thread, 16 in flight",
         [&](int n) { return measure(n, [&] { get_with_storage(other_io, *own_thread, n, 16); }); }},
    };
    constexpr int rounds = 7;
    constexpr int lookups = 4000;
    for (auto& c : contestants)
        c.run(lookups / 10); // connects, warms up
    for (int round = 0; round < rounds; ++round)
        for (std::size_t i = 0; i < contestants.size(); ++i)
        {
            auto& c = contestants[i];
            auto const spent = c.run(lookups);
            c.cpu.push_back(spent.cpu);
            c.wall.push_back(spent.wall);
            c.to_hiredis.push_back(spent.cpu / contestants.front().cpu.back());
            c.to_one_at_a_time.push_back(spent.cpu / contestants[i / 2 * 2].cpu.back());
        }

    std::printf("one lookup in Redis, median of %d rounds of %d\n%-52s %10s %10s %10s\n", rounds, lookups, "", "CPU us",
                "wall us", "to hiredis");
    for (auto const& c : contestants)
        std::printf("%-52s %10.1f %10.1f %10.3f\n", c.what, bench::median_of(c.cpu), bench::median_of(c.wall),
                    bench::median_of(c.to_hiredis));
    std::printf("\n");
    bench::print_goal_heading("CPU us");
    for (std::size_t i = 3; i < contestants.size(); i += 2)
        bench::print_goal(contestants[i].what + std::string{" / one at a time"}, bench::median_of(contestants[i].cpu),
                          bench::median_of(contestants[i].to_one_at_a_time), 0.20);
}
catch (std::exception const& e)
{
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
