// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Several processes of https_server that open the same tickets: a first flight is accepted by one of them, once.

#include "server/early/strike_register.hpp"
#include "support/early.hpp"
#include "support/flight.hpp"
#include "support/peers/https_examples.hpp"
#include "support/peers/redis.hpp"

#include <reprise/storage/make_storage.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>

#include <openssl/rand.h>

#include <csignal>
#include <deque>
#include <memory>

using namespace test;
using reprise::early_data_status;

TEST_SUITE_BEGIN("early_fleet");

namespace {

// As if the guard had been there for an hour. LMDB begins a new incarnation when nobody has the files open.
[[nodiscard]] reprise::storage_ptr make_guard_old(std::string const& storage_url)
{
    auto const then = std::chrono::system_clock::now() - 1h;
    auto const storage = reprise::make_storage(storage_url);
    reprise::detail::register_begin const begin{then, result_of(storage->epoch())};
    result_of(storage->put("reprise replay guard begin", begin.to_record(), then + 24h));
    return storage;
}

class fleet
{
public:
    fleet(std::size_t size, std::string const& guard)
    {
        std::string key(80, '\0');
        REQUIRE(RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) == 1);
        auto const path = files_.directory.write("ticket.key", key);
        start(size, {"--replay-guard", guard, "--ticket-keys", "files:" + path});
    }

    // Of tickets that are good for one use, in a storage of all.
    static std::unique_ptr<fleet> with_single_use_tickets(std::size_t size, std::string const& storage)
    {
        std::unique_ptr<fleet> made{new fleet};
        made->start(size, {"--replay-guard", "stateful", "--storage", storage});
        return made;
    }

    asio::awaitable<reprise::handshake_info> get()
    {
        std::string const request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        reprise::early_data const early{asio::buffer(request)};
        client_side stream{executor_of(io), tls_, *tickets_};
        auto info = co_await stream.async_connect("localhost", tap->port(), early);
        page.clear();
        (void)co_await asio::async_read(stream, asio::dynamic_buffer(page), asio::transfer_all(),
                                        asio::as_tuple(asio::use_awaitable));
        CHECK(contains(page, "200 OK"));
        co_await stream.async_shutdown();
        co_return info;
    }

    // A flight that no server has seen.
    asio::awaitable<std::string> lost_flight()
    {
        tap->loses = true;
        bool failed = false;
        try
        {
            co_await get();
        }
        catch (reprise::system_error const&)
        {
            failed = true;
        }
        CHECK(failed);
        tap->loses = false;
        co_return tap->flights.back();
    }

    asio::awaitable<void> replay_everywhere(std::string flight, std::size_t times)
    {
        auto const ex = co_await asio::this_coro::executor;
        using operation = decltype(asio::co_spawn(ex, replay(flight, flight), asio::deferred));
        std::vector<operation> all;
        for (std::size_t i = 0; i < times; ++i)
            all.push_back(asio::co_spawn(ex, replay(flight, servers_[i % servers_.size()].port), asio::deferred));
        auto const [order, failures, answers] =
            co_await asio::experimental::make_parallel_group(std::move(all))
                .async_wait(asio::experimental::wait_for_all{}, asio::use_awaitable);
        for (auto const& failure : failures)
            CHECK_FALSE(failure);
    }

    // Stop them all; how often they have accepted early data.
    std::size_t accepted()
    {
        std::size_t total = 0;
        for (auto& s : servers_)
        {
            s.process.signal(SIGTERM);
            CHECK(s.process.wait() == 0);
            summaries += s.process.output();
            std::string const label = "early data: accepted ";
            auto const at = s.process.output().find(label);
            if (at != std::string::npos)
                total += std::stoul(s.process.output().substr(at + label.size()));
        }
        return total;
    }

    void run(std::function<asio::awaitable<void>()> test) { test::run(io, test(), 60s); }

    asio::io_context io;
    std::optional<recorder> tap;
    std::string page;
    std::string summaries;

private:
    fleet() = default;

    void start(std::size_t size, std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), {"--early-data", "16384"});
        for (std::size_t i = 0; i < size; ++i)
            servers_.emplace_back(files_, arguments);
        tap.emplace(io, servers_.front().port);
    }

    credentials files_;
    std::deque<example_server> servers_;
    asio::ssl::context tls_ = client_context();
    std::shared_ptr<any_key_store> tickets_ = any_key_store::make();
};

} // namespace

TEST_CASE("two processes with one LMDB accept each flight once")
{
    temporary_directory const directory;
    auto const url = "lmdb:" + directory / "guard";
    auto const opened = make_guard_old(url);
    fleet f{2, url};
    f.run(
        [&]() -> asio::awaitable<void>
        {
            co_await f.get();
            CHECK((co_await f.get()).early_data == early_data_status::accepted);
            CHECK(contains(f.page, ", early"));
            auto const seen = f.tap->flights.back();
            co_await f.replay_everywhere(seen, 1);
            co_await f.replay_everywhere(seen, 100);
            auto const unseen = co_await f.lost_flight();
            co_await f.replay_everywhere(unseen, 100);
        });
    CHECK(f.accepted() == 2);
    CHECK(contains(f.summaries, "rejected because replayed"));
}

TEST_CASE("three servers with one Redis accept each flight once, also when it is killed and comes back empty")
{
    redis_server redis;
    auto const url = "redis://127.0.0.1:" + std::to_string(redis.port());
    auto const opened = make_guard_old(url);
    fleet f{3, url};
    f.run(
        [&]() -> asio::awaitable<void>
        {
            co_await f.get();
            CHECK((co_await f.get()).early_data == early_data_status::accepted);
            auto const seen = f.tap->flights.back();
            co_await f.replay_everywhere(seen, 100);
            auto const unseen = co_await f.lost_flight();
            co_await f.get(); // for a ticket
            redis.kill();
            co_await f.replay_everywhere(unseen, 30);
            co_await f.replay_everywhere(seen, 30);
            auto const down = co_await f.get();
            CHECK(down.early_data == early_data_status::rejected);
            CHECK(contains(f.page, "early data rejected: guard-"));
            redis.start();
            for (int i = 0; i < 5; ++i)
            {
                co_await f.replay_everywhere(unseen, 30);
                co_await f.replay_everywhere(seen, 30);
            }
            CHECK((co_await f.get()).early_data == early_data_status::rejected);
        });
    CHECK(f.accepted() == 1);
    CHECK(contains(f.summaries, "rejected because replayed"));
    CHECK(contains(f.summaries, "rejected because guard-failed"));
}

TEST_CASE("servers whose Redis goes back to a snapshot accept no flight a second time")
{
    redis_server redis;
    auto const url = "redis://127.0.0.1:" + std::to_string(redis.port());
    auto const opened = make_guard_old(url);
    fleet f{2, url};
    f.run(
        [&]() -> asio::awaitable<void>
        {
            co_await f.get();
            redis.command({"SAVE"}); // it has the begin of the register
            CHECK((co_await f.get()).early_data == early_data_status::accepted);
            auto const seen = f.tap->flights.back(); // and lacks this one
            redis.kill();
            redis.start();
            auto const restored = redis.command({"DBSIZE"}); // a strike adds to it, once a server has connected again
            for (int i = 0; i < 100 && redis.command({"DBSIZE"}) == restored; ++i)
                co_await f.replay_everywhere(seen, 30);
            CHECK(redis.command({"DBSIZE"}) != restored);
            for (int i = 0; i < 5; ++i)
                co_await f.replay_everywhere(seen, 30);
            CHECK((co_await f.get()).early_data == early_data_status::rejected);
        });
    CHECK(f.accepted() == 1);
    CHECK(contains(f.summaries, "rejected because guard-starting"));
}

TEST_CASE("a ticket that is good for one use is so for early data, also when Redis has its session again")
{
    redis_server redis;
    auto const url = "redis://127.0.0.1:" + std::to_string(redis.port());
    auto const of_two = fleet::with_single_use_tickets(2, url);
    auto& f = *of_two;
    f.run(
        [&]() -> asio::awaitable<void>
        {
            co_await f.get();
            CHECK(eventually([&] { return redis.command({"DBSIZE"}) == "1"; }));
            redis.command({"SAVE"});
            CHECK((co_await f.get()).early_data == early_data_status::accepted);
            auto const seen = f.tap->flights.back();
            co_await f.replay_everywhere(seen, 10);
            redis.kill();
            redis.start();
            CHECK(redis.command({"DBSIZE"}) == "1");
            bool is_taken = false; // again; lookups of a busy machine may be late
            for (int i = 0; i < 30 && !is_taken; ++i)
            {
                co_await f.replay_everywhere(seen, 10);
                is_taken = redis.command({"DBSIZE"}) == "0";
            }
            CHECK(is_taken);
            bool is_accepted = false; // what was stored since is
            for (int i = 0; i < 10 && !is_accepted; ++i)
                is_accepted = (co_await f.get()).early_data == early_data_status::accepted;
            CHECK(is_accepted);
        });
    CHECK(f.accepted() == 2);
    CHECK(contains(f.summaries, "rejected because guard-starting"));
}

TEST_SUITE_END();
