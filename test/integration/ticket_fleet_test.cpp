// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Three processes of https_server that share ticket keys through one Redis, behind HAProxy: their keys change and they
// are restarted one after the other, under load.

#include "support/harness.hpp"
#include "support/peers/haproxy.hpp"
#include "support/peers/https_examples.hpp"
#include "support/peers/redis.hpp"

#include <boost/asio/co_spawn.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

using namespace test;

TEST_SUITE_BEGIN("ticket fleet");

namespace {

constexpr std::size_t server_count = 3;

std::string page_of(std::size_t server)
{
    return "server " + std::to_string(server) + "\n";
}

// Which server a page is of; server_count for none.
std::size_t server_of(std::string const& page)
{
    std::size_t server = 0;
    while (server < server_count && page != page_of(server))
        ++server;
    return server;
}

std::string random_secret(temporary_directory const& directory)
{
    std::array<unsigned char, 32> bytes{};
    REQUIRE(::RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
    auto const path = directory.write("secret", {reinterpret_cast<char const*>(bytes.data()), bytes.size()});
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    return path;
}

// The number that follows a label in a summary.
std::uint64_t number(std::string const& summary, std::string_view label)
{
    auto const at = summary.find(label);
    return at == std::string::npos ? 0 : std::stoull(summary.substr(at + label.size()));
}

struct ticket_fleet
{
    explicit ticket_fleet(std::chrono::seconds rotate)
    {
        for (std::size_t i = 0; i < server_count; ++i)
        {
            auto const docroot = sites / std::to_string(i);
            std::filesystem::create_directory(docroot);
            sites.write(std::to_string(i) + "/index.html", page_of(i));
            options[i] = {
                "--docroot",       docroot,
                "--timeout",       "30",
                "--ticket-keys",   "redis:redis://127.0.0.1:" + std::to_string(redis.port()) + "?timeout=2000",
                "--fleet-secret",  secret,
                "--ticket-rotate", std::to_string(rotate.count())};
            servers[i].emplace(certificates, options[i]);
        }
        balance.emplace(std::vector<std::string>{servers[0]->port, servers[1]->port, servers[2]->port});
    }

    // End a server; what it says then is kept.
    void stop(std::size_t i)
    {
        auto& process = servers[i]->process;
        process.signal(SIGTERM);
        CHECK(process.wait() == 0);
        summaries.push_back(process.output());
    }

    void restart(std::size_t i)
    {
        balance->drain(i);
        auto const port = servers[i]->port;
        stop(i);
        servers[i].emplace(certificates, options[i], port);
        balance->readmit(i);
    }

    // Of all servers that have ended.
    [[nodiscard]] std::uint64_t sum(std::string_view label) const
    {
        std::uint64_t result = 0;
        for (auto const& summary : summaries)
            result += number(summary, label);
        return result;
    }

    credentials certificates;
    temporary_directory sites;
    std::string secret = random_secret(sites);
    redis_server redis;
    std::array<std::vector<std::string>, server_count> options;
    std::array<std::optional<example_server>, server_count> servers;
    std::optional<haproxy> balance;
    std::vector<std::string> summaries;
};

// What clients have seen.
struct tally
{
    std::uint64_t requests = 0;
    std::uint64_t reconnects = 0; // without each client's first connection
    std::uint64_t resumed = 0;
    std::uint64_t elsewhere = 0;                  // of these, in TLS 1.3, not at the server that had issued the ticket
    std::set<std::string> keys;                   // that have sealed a ticket
    std::vector<std::string> full;                // why a reconnect ran in full
    std::vector<std::string> failed;              // why a request failed
    std::array<std::uint64_t, server_count> at{}; // requests that each server has answered
};

// What a ticket says of the key that has sealed it.
std::string key_of_ticket(client_side& stream)
{
    unsigned char const* ticket = nullptr;
    std::size_t size = 0;
    ::SSL_SESSION_get0_ticket(::SSL_get0_session(stream.native_handle()), &ticket, &size);
    return {reinterpret_cast<char const*>(ticket), std::min<std::size_t>(size, 8)};
}

// Clients that do nothing but reconnect, on a thread of their own, because a test waits for processes.
class load
{
public:
    // So many with TLS 1.2 and as many with TLS 1.3.
    load(std::string port, int clients) : port_(std::move(port))
    {
        for (int i = 0; i < clients; ++i)
            for (auto const version : {TLS1_2_VERSION, TLS1_3_VERSION})
                asio::co_spawn(io_, reconnect(version), [](std::exception_ptr) {});
        thread_ = std::jthread{[this] { io_.run(); }};
    }

    ~load() { is_over_ = true; }

    [[nodiscard]] tally now() const
    {
        std::lock_guard const lock{mutex_};
        return tally_;
    }

    [[nodiscard]] tally finish()
    {
        is_over_ = true;
        thread_.join();
        return tally_;
    }

    // Wait until so many more requests were answered, or until they have met so many keys more.
    void wait_for_requests(std::uint64_t more) const
    {
        auto const until = now().requests + more;
        REQUIRE(eventually([&] { return now().requests >= until; }, 60s));
    }
    void wait_for_keys(std::size_t more) const
    {
        auto const until = now().keys.size() + more;
        REQUIRE(eventually([&] { return now().keys.size() >= until; }, 60s));
    }

private:
    asio::awaitable<void> reconnect(int version)
    {
        auto tls = client_context();
        SSL_CTX_set_min_proto_version(tls.native_handle(), version);
        SSL_CTX_set_max_proto_version(tls.native_handle(), version);
        auto const store = reprise::memory_session_store::make();
        client_side stream{io_.get_executor(), tls, *store};
        std::optional<std::size_t> last;
        while (!is_over_)
            try
            {
                auto const a = co_await get(stream, port_);
                note(a, version, key_of_ticket(stream), last);
                last = server_of(a.body);
            }
            catch (std::exception const& e)
            {
                std::lock_guard const lock{mutex_};
                tally_.failed.emplace_back(e.what());
            }
    }

    void note(answer const& a, int version, std::string key, std::optional<std::size_t> last)
    {
        std::lock_guard const lock{mutex_};
        auto const server = server_of(a.body);
        if (server == server_count)
        {
            tally_.failed.push_back("another page: " + a.body);
            return;
        }
        ++tally_.requests;
        ++tally_.at[server];
        tally_.keys.insert(std::move(key));
        if (!last)
            return;
        ++tally_.reconnects;
        if (!a.info.resumed())
        {
            tally_.full.push_back(std::string{to_string(a.info.protocol)} + " at server " + std::to_string(server) +
                                  ": " + std::string{to_string(a.info.reason)});
            return;
        }
        ++tally_.resumed;
        if (version == TLS1_3_VERSION && server != *last)
            ++tally_.elsewhere;
    }

    std::string port_;
    std::atomic<bool> is_over_{false};
    mutable std::mutex mutex_;
    tally tally_;
    asio::io_context io_;
    std::jthread thread_;
};

// Connect until each server has resumed a session: the first key of a fleet does not issue at once. The number of
// requests.
std::uint64_t warm_up(ticket_fleet& f)
{
    asio::io_context io;
    auto tls = client_context();
    auto const store = reprise::memory_session_store::make();
    std::uint64_t requests = 0;
    run(io,
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), tls, *store};
            for (std::size_t in_a_row = 0; in_a_row < 2 * server_count; ++requests)
            {
                auto const a = co_await get(stream, f.balance->port());
                in_a_row = a.info.resumed() ? in_a_row + 1 : 0;
            }
        }());
    return requests;
}

void print(tally const& t, ticket_fleet const& f)
{
    std::string text =
        std::to_string(t.requests) + " requests, " + std::to_string(t.failed.size()) + " failed; " +
        std::to_string(t.resumed) + " of " + std::to_string(t.reconnects) + " reconnects resumed (" +
        std::to_string(t.reconnects != 0 ? 100.0 * static_cast<double>(t.resumed) / static_cast<double>(t.reconnects)
                                         : 0.0) +
        " %), " + std::to_string(t.elsewhere) + " of TLS 1.3 at another server; " + std::to_string(t.keys.size()) +
        " keys; at each server";
    for (auto const n : t.at)
        text += " " + std::to_string(n);
    text += "; " + std::to_string(f.summaries.size()) + " processes, steps of their keys";
    for (auto const& summary : f.summaries)
        text += " " + std::to_string(number(summary, ", steps "));
    text += "; failed refreshes " + std::to_string(f.sum(", failed refreshes "));
    for (auto const& why : t.full)
        text += "\nin full: " + why;
    for (auto const& why : t.failed)
        text += "\nfailed: " + why;
    MESSAGE(text);
}

// What both ends have counted is the same, and what must not happen has not.
void check(tally const& t, ticket_fleet const& f, std::uint64_t warm_up_requests)
{
    CHECK(t.failed.empty());
    CHECK(t.resumed * 1000 >= t.reconnects * 999);
    CHECK(t.elsewhere > 0);
    CHECK(f.sum(", requests ") == t.requests + warm_up_requests);
    auto const by_ticket =
        f.sum("resumed by " + std::string{to_string(reprise::resumption_kind::tls12_ticket)} + ": ") +
        f.sum("resumed by " + std::string{to_string(reprise::resumption_kind::tls13_stateless)} + ": ");
    CHECK(by_ticket >= t.resumed);
    CHECK(by_ticket <= t.resumed + warm_up_requests);
    CHECK(f.sum(", failed ") == 0);
    CHECK(f.sum(", refused steps ") == 0);
}

} // namespace

TEST_CASE(
    "a fleet resumes nearly every reconnect while its keys change and its servers are restarted, and no request fails")
{
    ticket_fleet f{4s};
    auto const warm_up_requests = warm_up(f);
    load l{f.balance->port(), 3};
    for (int round = 0; round < 3; ++round)
    {
        l.wait_for_keys(1);
        for (std::size_t i = 0; i < server_count; ++i)
        {
            l.wait_for_requests(100);
            f.restart(i);
        }
    }
    l.wait_for_keys(2); // so that the last processes meet a change, too
    auto const t = l.finish();
    for (std::size_t i = 0; i < server_count; ++i)
        f.stop(i);

    print(t, f);
    check(t, f, warm_up_requests);
    for (auto const& summary : f.summaries)
        CHECK(number(summary, ", requests ") > 0);
    // Keys come once when a process starts, and again when they change.
    for (auto i = f.summaries.size() - server_count; i < f.summaries.size(); ++i)
        CHECK(number(f.summaries[i], ", steps ") >= 2);
}

TEST_CASE(
    "no request fails while the Redis of a fleet's keys is killed and comes back empty, and its keys go on changing")
{
    ticket_fleet f{2s};
    auto const warm_up_requests = warm_up(f);
    load l{f.balance->port(), 2};
    l.wait_for_keys(1);
    l.wait_for_requests(50);
    f.redis.kill();
    l.wait_for_keys(1);
    f.redis.start();
    l.wait_for_keys(2);
    auto const t = l.finish();
    for (std::size_t i = 0; i < server_count; ++i)
        f.stop(i);

    print(t, f);
    check(t, f, warm_up_requests);
    CHECK(f.sum(", failed refreshes ") > 0);
}

TEST_CASE("a server whose Redis cannot be reached says so, and serves without tickets")
{
    temporary_directory const directory;
    credentials const c;
    example_server srv{c, std::vector<std::string>{"--ticket-keys",
                                                   "redis:redis://127.0.0.1:" + std::to_string(free_port()),
                                                   "--fleet-secret", random_secret(directory)}};
    CHECK(contains(srv.process.output(), "warning: --ticket-keys: "));
    asio::io_context io;
    auto tls = client_context();
    auto const store = reprise::memory_session_store::make();
    run(io,
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), tls, *store};
            auto const first = co_await get(stream, srv.port);
            CHECK_FALSE(first.info.resumed());
            auto const second = co_await get(stream, srv.port);
            CHECK(contains(second.body, "resumed: "));
            CHECK(contains(second.body, to_string(reprise::resumption_kind::tls13_stateful)));
        }());
    srv.process.signal(SIGTERM);
    CHECK(srv.process.wait() == 0);
    CHECK(contains(srv.process.output(), "last error of their keys: "));
}

TEST_SUITE_END();
