// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"
#include "support/peers/redis.hpp"

#include <boost/asio/detached.hpp>

#include <atomic>
#include <map>

using namespace reprise;
using namespace std::chrono_literals;
using test::connect_error_of;
using test::error_of;
using test::result_of;

TEST_SUITE_BEGIN("redis_storage");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

time_point later()
{
    return std::chrono::system_clock::now() + 1h;
}

std::string what_of(asio::awaitable<std::optional<secret_bytes>> operation)
{
    try
    {
        (void)result_of(std::move(operation));
    }
    catch (system_error const& e)
    {
        return e.what();
    }
    return {};
}

} // namespace

TEST_CASE("an option out of bounds is refused and named")
{
    auto const refused = [](auto set, std::string const& naming)
    {
        redis_storage_options options;
        set(options);
        try
        {
            (void)redis_storage::make(std::move(options));
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option && std::string{e.what()}.find(naming) != std::string::npos;
        }
        return false;
    };
    using options = redis_storage_options;
    CHECK(refused([](options& o) { o.host.clear(); }, "host"));
    CHECK(refused([](options& o) { o.port = 0; }, "port"));
    CHECK(refused([](options& o) { o.socket_path.assign(108, 'x'); }, "socket_path"));
    CHECK(refused(
        [](options& o)
        {
            o.socket_path = "/x";
            o.tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
        },
        "tls"));
    CHECK(refused([](options& o) { o.user = "x"; }, "password"));
    CHECK(refused([](options& o) { o.key_prefix.assign(257, 'x'); }, "key_prefix"));
    CHECK(refused([](options& o) { o.connections = 0; }, "connections"));
    CHECK(refused([](options& o) { o.connections = 17; }, "connections"));
    CHECK(refused([](options& o) { o.request_timeout = 0ms; }, "request_timeout"));
    CHECK(refused([](options& o) { o.request_timeout = 60'001ms; }, "request_timeout"));
    CHECK(refused([](options& o) { o.connect_timeout = 0ms; }, "connect_timeout"));
    CHECK(refused([](options& o) { o.connect_timeout = 60'001ms; }, "connect_timeout"));
    CHECK(refused([](options& o) { o.max_pending = 0; }, "max_pending"));
    CHECK(refused([](options& o) { o.max_pending = (1u << 20) + 1; }, "max_pending"));
    CHECK(refused([](options& o) { o.max_value_bytes = 0; }, "max_value_bytes"));
    CHECK(refused([](options& o) { o.max_value_bytes = (64u << 20) + 1; }, "max_value_bytes"));
    CHECK(refused([](options& o) { o.failures_to_open = 0; }, "failures_to_open"));
    CHECK(refused([](options& o) { o.failures_to_open = 1001; }, "failures_to_open"));
    CHECK(refused([](options& o) { o.backoff_min = 0ms; }, "backoff_min"));
    CHECK(refused([](options& o) { o.backoff_max = o.backoff_min - 1ms; }, "backoff_max"));
    CHECK(refused([](options& o) { o.backoff_max = 3'600'001ms; }, "backoff_max"));
    CHECK(refused([](options& o) { o.now = nullptr; }, "now"));
}

TEST_CASE("an entry lives in the server for as long as it has to, under the prefix")
{
    test::redis_server const server;
    auto options = server.options();
    options.key_prefix = "shop:";
    auto const storage = redis_storage::make(options);
    result_of(storage->put("a", bytes("one"), std::chrono::system_clock::now() + 100s));
    CHECK(server.command({"GET", "shop:a"}) == "one");
    auto const left = std::stol(server.command({"PTTL", "shop:a"}));
    CHECK(left <= 100'000);
    CHECK(left > 80'000);
    CHECK(result_of(storage->put_if_absent("b", bytes("two"), std::chrono::system_clock::now() + 100s)));
    CHECK(std::stol(server.command({"PTTL", "shop:b"})) > 80'000);
    CHECK(storage->connection_stats().requests == 2);
    CHECK(storage->stats().entries == 0);
}

TEST_CASE("an entry less than a millisecond from its end is not kept")
{
    test::redis_server const server;
    auto options = server.options();
    auto const now = std::chrono::system_clock::now();
    options.now = [now] { return now; };
    auto const storage = redis_storage::make(options);
    result_of(storage->put("a", bytes("one"), now + 999us));
    CHECK(server.command({"EXISTS", "reprise:a"}) == "0");
}

TEST_CASE("put_if_absent with an expiry in the past answers as usual and keeps nothing")
{
    test::redis_server const server;
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("a", bytes("one"), later()));
    auto const past = std::chrono::system_clock::now() - 1h;
    CHECK_FALSE(result_of(storage->put_if_absent("a", bytes("two"), past)));
    CHECK(result_of(storage->put_if_absent("b", bytes("two"), past)));
    CHECK(test::eventually([&] { return server.command({"EXISTS", "reprise:b"}) == "0"; }));
}

TEST_CASE("prefixes and databases keep storages apart")
{
    test::redis_server const server;
    auto options = server.options();
    auto const first = redis_storage::make(options);
    options.database = 3;
    auto const second = redis_storage::make(options);
    options.key_prefix = "other:";
    auto const third = redis_storage::make(options);
    result_of(first->put("a", bytes("one"), later()));
    result_of(second->put("a", bytes("two"), later()));
    CHECK(result_of(first->get("a")) == bytes("one"));
    CHECK(result_of(second->get("a")) == bytes("two"));
    CHECK_FALSE(result_of(third->get("a")).has_value());
    options.database = 16;
    CHECK(connect_error_of(*redis_storage::make(options)) == redis_errc::database_refused);
}

TEST_CASE("a password is sent, and a wrong one or none is a clear error that does not tell it")
{
    test::redis_server const server{{"--requirepass", "correct horse"}};
    auto options = server.options();
    SUBCASE("right")
    {
        options.password = bytes("correct horse");
        auto const storage = redis_storage::make(options);
        CHECK_FALSE(result_of(storage->get("a")).has_value());
    }
    SUBCASE("wrong")
    {
        options.password = bytes("battery staple");
        options.backoff_min = options.backoff_max = 1h;
        auto const storage = redis_storage::make(options);
        CHECK(connect_error_of(*storage) == redis_errc::password_refused);
        auto const rejected = storage->connection_stats().rejected;
        CHECK(error_of(storage->get("a")) == redis_errc::circuit_open);
        auto const text = what_of(storage->get("a"));
        CHECK_MESSAGE(text.find("WRONGPASS") != std::string::npos, text); // the reason is in it
        CHECK(text.find("battery") == std::string::npos);
        CHECK(storage->connection_stats().rejected == rejected + 2);
        CHECK(storage->connection_stats().failed_connects == 1);
    }
    SUBCASE("none")
    {
        CHECK(connect_error_of(*redis_storage::make(options)) == redis_errc::password_missing);
    }
}

TEST_CASE("the password of a server that has none is refused")
{
    test::redis_server const server;
    auto options = server.options();
    options.password = bytes("secret");
    CHECK(connect_error_of(*redis_storage::make(options)) == redis_errc::password_refused);
}

TEST_CASE("an ACL user with the documented permissions is enough, and a missing one is a clear error")
{
    test::redis_server const server{
        {"--user", "shop", "on", ">secret", "~shop:*", "+get", "+set", "+getdel", "+del", "+ping", "+select"}};
    auto options = server.options();
    options.user = "shop";
    options.password = bytes("secret");
    options.key_prefix = "shop:";
    auto const storage = redis_storage::make(options);
    result_of(storage->put("a", bytes("one"), later()));
    CHECK(result_of(storage->put_if_absent("b", bytes("one"), later())));
    CHECK(result_of(storage->get("a")) == bytes("one"));
    CHECK(result_of(storage->take("a")) == bytes("one"));
    CHECK(result_of(storage->erase("b")));
    options.key_prefix = "other:";
    auto const elsewhere = redis_storage::make(options);
    CHECK(error_of(elsewhere->get("a")) == redis_errc::not_permitted);
    CHECK(elsewhere->connection_stats().error_replies == 1);
    CHECK(elsewhere->connection_stats().state == redis_state::connected);
}

TEST_CASE("a server without memory refuses what is put, and answers what is asked")
{
    test::redis_server const server{{"--maxmemory", "1", "--maxmemory-policy", "noeviction"}};
    auto const storage = redis_storage::make(server.options());
    CHECK(error_of(storage->put("a", bytes("one"), later())) == redis_errc::server_out_of_memory);
    CHECK_FALSE(result_of(storage->get("a")).has_value());
}

TEST_CASE("somebody else's key of another type is an error, and take leaves it alone")
{
    test::redis_server const server;
    server.command({"RPUSH", "reprise:a", "x"});
    auto const storage = redis_storage::make(server.options());
    CHECK(error_of(storage->get("a")) == redis_errc::foreign_key);
    CHECK(error_of(storage->take("a")) == redis_errc::foreign_key);
    CHECK(server.command({"LLEN", "reprise:a"}) == "1");
}

TEST_CASE("a node of a cluster is a clear error")
{
    test::redis_server const server{{"--cluster-enabled", "yes"}};
    auto const storage = redis_storage::make(server.options());
    CHECK(error_of(storage->get("a")) == redis_errc::cluster_unsupported); // CLUSTERDOWN: it has no slots
    server.command({"CLUSTER", "ADDSLOTSRANGE", "0", "0"});
    CHECK(error_of(storage->get("a")) == redis_errc::cluster_unsupported);
}

TEST_CASE("a replica answers what is asked, and refuses what is put")
{
    test::redis_server const primary;
    test::redis_server const replica{{"--replicaof", "127.0.0.1 " + std::to_string(primary.port())}};
    auto const storage = redis_storage::make(replica.options());
    CHECK(error_of(storage->put("a", bytes("one"), later())) == redis_errc::server_read_only);
    CHECK(error_of(storage->take("a")) == redis_errc::server_read_only);
}

TEST_CASE("a value that is too large is refused, and what was there stays")
{
    test::redis_server const server;
    auto options = server.options();
    options.max_value_bytes = 1000;
    auto const storage = redis_storage::make(options);
    result_of(storage->put("a", bytes(std::string(1000, 'x')), later()));
    CHECK(error_of(storage->put("a", bytes(std::string(1001, 'x')), later())) == redis_errc::value_too_large);
    CHECK(error_of(storage->put_if_absent("b", bytes(std::string(1001, 'x')), later())) == redis_errc::value_too_large);
    CHECK(result_of(storage->get("a")) == bytes(std::string(1000, 'x')));
}

TEST_CASE("a server that loses its data causes misses")
{
    test::redis_server const server;
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("a", bytes("one"), later()));
    server.command({"FLUSHALL"});
    CHECK_FALSE(result_of(storage->get("a")).has_value());
}

TEST_CASE("of two storages that take the same thousand names each gets what the other did not")
{
    test::redis_server const server;
    auto options = server.options();
    auto const first = redis_storage::make(options);
    options.socket_path = server.socket_path();
    options.connections = 2;
    auto const second = redis_storage::make(options);
    auto const name = [](int i) { return "session " + std::to_string(i); };
    constexpr int names = 1000;
    std::vector<std::atomic<int>> winners(names);
    std::atomic<int> failures = 0;
    {
        asio::io_context io;
        for (int i = 0; i < names; ++i)
            asio::co_spawn(io, first->put(name(i), bytes("one"), later()),
                           [&](std::exception_ptr e) { failures += e ? 1 : 0; });
        io.run();
    }
    {
        std::vector<std::jthread> threads;
        for (auto const& storage : {first, second})
            threads.emplace_back(
                [&, storage]
                {
                    asio::io_context io;
                    for (int i = 0; i < names; ++i)
                        asio::co_spawn(io, storage->take(name(i)),
                                       [&, i](std::exception_ptr e, std::optional<secret_bytes> value)
                                       {
                                           failures += e ? 1 : 0;
                                           winners[static_cast<std::size_t>(i)] += value == bytes("one") ? 1 : 0;
                                       });
                    io.run();
                });
    }
    CHECK(failures == 0);
    for (auto const& count : winners)
        CHECK(count == 1);
}

TEST_CASE("what is asked for together travels together")
{
    test::redis_server const server;
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("a", bytes("one"), later()));
    auto const reads = [&]
    {
        auto const info = server.command({"INFO", "stats"});
        constexpr std::string_view field = "total_reads_processed:";
        return std::stoi(info.substr(info.find(field) + field.size()));
    };
    auto const before = reads();
    asio::io_context io;
    int found = 0;
    for (int i = 0; i < 100; ++i)
        asio::co_spawn(io, storage->get("a"),
                       [&](std::exception_ptr e, std::optional<secret_bytes> value) { found += !e && value ? 1 : 0; });
    io.run();
    CHECK(found == 100);
    auto const needed = reads() - before;
    CHECK_MESSAGE(needed < 50, needed, " reads for 100 requests");
}

TEST_SUITE_END();
