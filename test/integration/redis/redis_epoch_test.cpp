// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a server's data has been through, as far as the server says, and whose answers a process reads.
#include "storage/redis/server_info.hpp"
#include "support/forked.hpp"
#include "support/peers/redis.hpp"

#include <algorithm>

using namespace reprise;
using namespace std::chrono_literals;
using test::error_of;
using test::result_of;

TEST_SUITE_BEGIN("redis_storage and its epoch");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

time_point later()
{
    return std::chrono::system_clock::now() + 1h;
}

storage_epoch epoch_of(storage& s)
{
    return result_of(s.epoch());
}

with_epoch<bool> strike(storage& s, std::string name)
{
    return result_of(s.put_if_absent_with_epoch(std::move(name), secret_bytes{1}, later()));
}

// When the connection that is lost has been replaced.
storage_epoch epoch_after_reconnect(storage& s)
{
    storage_epoch found;
    REQUIRE(test::eventually(
        [&]
        {
            try
            {
                found = epoch_of(s);
                return true;
            }
            catch (system_error const&)
            {
                return false;
            }
        }));
    return found;
}

void become_replica(test::redis_server const& of, test::redis_server const& primary)
{
    of.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
    REQUIRE(test::eventually(
        [&] { return of.command({"INFO", "replication"}).find("master_link_status:up") != std::string::npos; }));
}

} // namespace

TEST_CASE("an epoch is read out of INFO, and unknown where a field is missing or odd")
{
    struct row
    {
        std::string info;
        storage_epoch expected;
    };
    std::string const whole = "# Server\r\nredis_version:7.0\r\nrun_id:abc\r\n# Replication\r\nrole:master\r\n"
                              "master_replid:def\r\nmaster_replid2:000\r\n# Stats\r\nevicted_keys:12\r\n";
    auto const without = [&](std::string_view line, std::string_view instead = "")
    {
        auto text = whole;
        auto const at = text.find(line);
        REQUIRE(at != std::string::npos);
        return text.replace(at, line.size(), instead);
    };
    std::vector<row> const rows = {
        {whole, {"abc def", 12}},
        {without("run_id:abc\r\n"), {"", 12}},
        {without("run_id:abc", "run_id:"), {"", 12}},
        {without("run_id:abc", "old_run_id:abc"), {"", 12}},
        {without("run_id:abc", "run_id:" + std::string(129, 'x')), {"", 12}},
        {without("master_replid:def\r\n"), {"", 12}},
        {without("role:master", "role:slave"), {"", 12}},
        {without("role:master\r\n"), {"", 12}},
        {without("evicted_keys:12\r\n"), {"abc def", std::nullopt}},
        {without("evicted_keys:12", "evicted_keys:many"), {"abc def", std::nullopt}},
        {without("evicted_keys:12", "evicted_keys:12x"), {"abc def", std::nullopt}},
        {without("evicted_keys:12", "evicted_keys:-1"), {"abc def", std::nullopt}},
        {without("evicted_keys:12", "evicted_keys:99999999999999999999"), {"abc def", std::nullopt}},
        {"run_id:abc\nrole:master\nmaster_replid:def\nevicted_keys:0", {"abc def", 0}},
        {"", {}},
        {"\r\n\r\n:::\n", {}},
    };
    for (auto const& r : rows)
        CHECK_MESSAGE(detail::epoch_of(r.info) == r.expected, r.info);
}

TEST_CASE("the epoch stays while the server runs; a restart from a snapshot begins a new one")
{
    test::redis_server server;
    auto const storage = redis_storage::make(server.options());
    auto const first = epoch_of(*storage);
    CHECK(first.incarnation.size() == 81);
    CHECK(first.evicted == 0u);
    auto const struck = strike(*storage, "a");
    CHECK(struck.value);
    CHECK(struck.epoch == first);
    CHECK_FALSE(strike(*storage, "a").value);
    server.command({"SAVE"});
    CHECK(strike(*storage, "b").value);
    server.kill();
    server.start();
    auto const second = epoch_after_reconnect(*storage);
    CHECK(second.incarnation != first.incarnation);
    CHECK_FALSE(strike(*storage, "a").value); // it is what it was
    auto const again = strike(*storage, "b"); // and has lost this
    CHECK(again.value);
    CHECK(again.epoch == second);
}

TEST_CASE("a restart with an append-only file begins a new incarnation, because the last second may be missing")
{
    test::redis_server server{{"--appendonly", "yes"}};
    auto const storage = redis_storage::make(server.options());
    auto const before = strike(*storage, "a");
    server.kill();
    server.start();
    CHECK(epoch_after_reconnect(*storage).incarnation != before.epoch.incarnation);
}

TEST_CASE("a session that was taken is there again after a restart, in another incarnation")
{
    test::redis_server server;
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("a", bytes("one"), later()));
    server.command({"SAVE"});
    auto const first = result_of(storage->take_with_epoch("a"));
    CHECK(first.value == bytes("one"));
    server.kill();
    server.start();
    (void)epoch_after_reconnect(*storage);
    auto const second = result_of(storage->take_with_epoch("a"));
    CHECK(second.value == bytes("one"));
    CHECK(second.epoch.incarnation != first.epoch.incarnation);
}

TEST_CASE("the epoch comes with GETDEL's substitute, too")
{
    test::redis_server const server{{"--rename-command", "GETDEL", ""}};
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("a", bytes("one"), later()));
    auto const taken = result_of(storage->take_with_epoch("a"));
    CHECK(taken.value == bytes("one"));
    CHECK(taken.epoch == epoch_of(*storage));
}

TEST_CASE("a failover begins a new incarnation, and so does a failback to a server that never stopped")
{
    test::redis_server const one;
    test::redis_server const two;
    become_replica(two, one);
    auto const on_one = redis_storage::make(one.options());
    auto const on_two = redis_storage::make(two.options());
    auto const first = epoch_of(*on_one);
    CHECK(error_of(on_two->epoch()) == errc::guard_unsure); // a replica

    two.command({"REPLICAOF", "NO", "ONE"});
    auto const second = epoch_after_reconnect(*on_two);
    CHECK(second.incarnation != first.incarnation);

    become_replica(one, two);
    CHECK(error_of(on_one->epoch()) == errc::guard_unsure);
    one.command({"REPLICAOF", "NO", "ONE"});
    auto const third = epoch_after_reconnect(*on_one);
    CHECK(third.incarnation != first.incarnation);
    CHECK(third.incarnation != second.incarnation);
}

TEST_CASE("evictions are seen, whoever's entries they make room for")
{
    test::redis_server const server{{"--maxmemory", "3mb", "--maxmemory-policy", "allkeys-random"}};
    auto const storage = redis_storage::make(server.options());
    auto const before = strike(*storage, "a").epoch;
    for (int i = 0; i < 50; ++i)
        server.command({"SET", "other " + std::to_string(i), std::string(100'000, 'x')});
    auto const after = strike(*storage, "b").epoch;
    CHECK(after.incarnation == before.incarnation);
    CHECK(*after.evicted > *before.evicted);
}

TEST_CASE("an operation whose server does not tell its epoch works, and the epoch is unknown")
{
    test::redis_server const server;
    server.command({"ACL", "SETUSER", "quiet", "on", ">pass", "~*", "+get", "+set", "+getdel", "+del", "+ping"});
    auto options = server.options();
    options.user = "quiet";
    options.password = bytes("pass");
    auto const storage = redis_storage::make(options);
    auto const struck = strike(*storage, "a");
    CHECK(struck.value);
    CHECK(struck.epoch == storage_epoch{});
    result_of(storage->put("b", bytes("one"), later()));
    CHECK(result_of(storage->take_with_epoch("b")).value == bytes("one"));
    CHECK(error_of(storage->epoch()) == redis_errc::not_permitted);
}

TEST_CASE("INFO may be longer than max_value_bytes")
{
    test::redis_server const server;
    auto options = server.options();
    options.max_value_bytes = 1;
    auto const storage = redis_storage::make(options);
    CHECK(strike(*storage, "a").epoch == epoch_of(*storage));
    CHECK(storage->connection_stats().bad_answers == 0);
}

TEST_CASE("the epoch is asked for on the connection that has answered, or it is unknown")
{
    std::atomic<int> connections_with_info = 0;
    test::fake_redis const server{
        [&](test::fake_redis::socket& s, std::vector<std::string> words) -> asio::awaitable<void>
        {
            if (words.at(0) == "INFO")
                ++connections_with_info;
            if (words.at(0) == "INFO") // it is killed between two answers
                throw std::runtime_error{"closed"};
            co_await test::send(s, "+OK\r\n");
        }};
    auto const storage = redis_storage::make(server.options());
    for (int i = 1; i <= 3; ++i)
    {
        auto const struck = strike(*storage, "a");
        CHECK(struck.value);
        CHECK(struck.epoch == storage_epoch{});
        CHECK(connections_with_info == i); // nothing is asked again elsewhere
    }
}

#ifndef REPRISE_TEST_NO_FORK
TEST_CASE("a child that is forked off later has a connection of its own, and reads its own answers alone")
{
    test::redis_server const server;
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("parent", bytes("parent"), later()));
    auto const round = [&](std::string const& name)
    {
        for (int i = 0; i < 200; ++i)
        {
            auto const value = name + " " + std::to_string(i);
            result_of(storage->put(name, bytes(value), later()));
            auto const found = result_of(storage->get(name));
            if (!found || *found != bytes(value))
                return 1;
        }
        return 0;
    };
    int here = -1;
    int there = -1;
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    {
        // The child of a thread is forked here, and works while the parent does.
        std::jthread const waiter{[&]
                                  {
                                      there = test::in_child(
                                          [&]
                                          {
                                              char begun = 0;
                                              (void)!::write(pipe[1], &begun, 1);
                                              return storage->connection_stats().connects != 0 ? 2 : round("child");
                                          });
                                  }};
        char begun = 0;
        REQUIRE(::read(pipe[0], &begun, 1) == 1);
        here = round("parent");
    }
    ::close(pipe[0]);
    ::close(pipe[1]);
    CHECK(here == 0);
    CHECK(there == 0);
    CHECK(storage->connection_stats().connects == 1);
}

TEST_CASE("in a child a storage on an executor of the caller's says what to do")
{
    test::redis_server const server;
    asio::io_context io;
    auto const work = asio::make_work_guard(io);
    std::jthread const thread{[&] { io.run(); }};
    auto options = server.options();
    options.executor = io.get_executor();
    auto storage = redis_storage::make(options);
    CHECK_FALSE(error_of(storage->check()));
    CHECK(test::in_child(
              [&]
              {
                  bool const is_clear = error_of(storage->get("a")) == errc::made_before_fork &&
                                        error_of(storage->check()) == errc::made_before_fork;
                  storage.reset();
                  return is_clear ? 0 : 1;
              }) == 0);
    CHECK_FALSE(error_of(storage->check()));
    storage.reset();
    io.stop();
}
#endif

TEST_SUITE_END();
