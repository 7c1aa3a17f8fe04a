// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/counted_executor.hpp"
#include "support/harness.hpp"
#include "support/peers/redis.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <csignal>

using namespace reprise;
using namespace std::chrono_literals;
using test::error_of;
using test::result_of;
using words = std::vector<std::string>;

TEST_SUITE_BEGIN("redis_storage and a server in trouble");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

time_point later()
{
    return std::chrono::system_clock::now() + 1h;
}

asio::awaitable<void> pause(std::chrono::milliseconds time)
{
    asio::steady_timer timer{co_await asio::this_coro::executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

// Answers GET with the name itself, but for "slow", which it keeps until told; and what comes after that waits too.
struct echo
{
    std::atomic<int> asked = 0;
    std::atomic<bool> is_held = true;
    test::fake_redis server{[this](auto& socket, words command) -> asio::awaitable<void>
                            {
                                ++asked;
                                auto const name = command.at(1).substr(std::string_view{"reprise:"}.size());
                                while (name == "slow" && is_held)
                                    co_await pause(1ms);
                                co_await test::send(socket, "$" + std::to_string(name.size()) + "\r\n" + name + "\r\n");
                            }};
};

// An operation on an io_context of the test's.
struct pending_get
{
    pending_get(asio::io_context& io, storage& s, std::string name)
    {
        asio::co_spawn(io, s.get(std::move(name)),
                       asio::bind_cancellation_slot(cancel.slot(),
                                                    [this](std::exception_ptr e, std::optional<secret_bytes> v)
                                                    {
                                                        try
                                                        {
                                                            is_over = true;
                                                            value = std::move(v);
                                                            if (e)
                                                                std::rethrow_exception(e);
                                                        }
                                                        catch (system_error const& failure)
                                                        {
                                                            error = failure.code();
                                                        }
                                                    }));
    }

    asio::cancellation_signal cancel;
    bool is_over = false;
    std::optional<secret_bytes> value;
    error_code error;
};

} // namespace

TEST_CASE("while the server hangs operations end in time and nobody else is delayed; then it comes back by itself")
{
    for (bool const on_own_thread : {false, true})
    {
        CAPTURE(on_own_thread);
        test::redis_server const server;
        asio::io_context io;
        auto options = server.options();
        options.request_timeout = 200ms;
        if (!on_own_thread)
            options.executor = io.get_executor();
        auto storage = redis_storage::make(options);
        auto longest = 0ns;
        bool ticks = true;
        auto const ticker = [&]() -> asio::awaitable<void>
        {
            auto last = std::chrono::steady_clock::now();
            while (ticks)
            {
                co_await pause(1ms);
                auto const now = std::chrono::steady_clock::now();
                longest = std::max<std::chrono::nanoseconds>(longest, now - last);
                last = now;
            }
        };
        asio::co_spawn(io, ticker(), asio::detached);
        auto const outage = [&]() -> asio::awaitable<void>
        {
            co_await storage->put("a", bytes("one"), later());
            server.signal(SIGSTOP);
            std::size_t timeouts = 0;
            std::size_t at_once = 0;
            for (int i = 0; i < 100; ++i)
            {
                auto const start = std::chrono::steady_clock::now();
                try
                {
                    (void)co_await storage->get("a");
                    FAIL("a stopped server answered");
                }
                catch (system_error const& e)
                {
                    timeouts += e.code() == redis_errc::timed_out ? 1 : 0;
                    at_once += e.code() == redis_errc::circuit_open ? 1 : 0;
                }
                CHECK(std::chrono::steady_clock::now() - start < 400ms);
            }
            // On a thread of its own it may see the second operation before it has opened the circuit for the first,
            // and ends it when it does.
            std::size_t const between = on_own_thread && timeouts == 2 ? 1 : 0;
            CHECK(timeouts == 1 + between);
            CHECK(at_once == 99 - between);
            auto const stats = storage->connection_stats();
            CHECK(stats.state == redis_state::open);
            CHECK(stats.timeouts == 1);
            CHECK(stats.rejected == 99 - between);
            server.signal(SIGCONT);
            std::optional<secret_bytes> value;
            auto const deadline = std::chrono::steady_clock::now() + 20s;
            while (!value && std::chrono::steady_clock::now() < deadline)
            {
                try
                {
                    value = co_await storage->get("a");
                }
                catch (system_error const&)
                {
                }
                co_await pause(1ms);
            }
            CHECK(value == bytes("one"));
            ticks = false;
            storage.reset();
        };
        test::run(io, outage());
        CHECK_MESSAGE(longest < 150ms, longest.count());
    }
}

TEST_CASE("a server that is killed and started again is found by itself")
{
    test::redis_server server;
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("a", bytes("one"), later()));
    server.kill();
    CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::open; }));
    CHECK(error_of(storage->get("a")) == redis_errc::circuit_open);
    CHECK(test::eventually([&] { return storage->connection_stats().last_error == asio::error::connection_refused; }));
    server.start();
    CHECK(test::eventually([&] { return !error_of(storage->get("a")); }));
    CHECK_FALSE(result_of(storage->get("a")).has_value()); // it has lost its data
    CHECK(storage->connection_stats().state == redis_state::connected);
    CHECK(storage->connection_stats().connects == 2);
}

TEST_CASE("a storage may be made before its server")
{
    unsigned short const port = test::free_port();
    redis_storage_options options;
    options.port = port;
    auto const storage = redis_storage::make(options);
    CHECK(test::connect_error_of(*storage) == asio::error::connection_refused);
}

TEST_CASE("an operation does not wait for a connection longer than its own time")
{
    asio::io_context io;
    test::tcp::acceptor const silent{io, {asio::ip::address_v4::loopback(), 0}};
    redis_storage_options options;
    options.port = silent.local_endpoint().port();
    options.request_timeout = 20ms;
    options.connect_timeout = 60s;
    auto const storage = redis_storage::make(options);
    for (int i = 0; i < 3; ++i)
        CHECK(error_of(storage->get("a")) == redis_errc::timed_out);
    CHECK(storage->connection_stats().state == redis_state::connecting);
    CHECK(storage->connection_stats().timeouts == 3);
}

TEST_CASE("a connection that the server drops while idle costs nothing")
{
    test::redis_server const server;
    auto const storage = redis_storage::make(server.options());
    result_of(storage->put("a", bytes("one"), later()));
    server.command({"CLIENT", "KILL", "TYPE", "normal"});
    CHECK(test::eventually([&] { return storage->connection_stats().connects == 2; })); // though nobody asks
    CHECK(result_of(storage->get("a")) == bytes("one"));
    CHECK(storage->connection_stats().failed_connects == 0);
}

TEST_CASE("with several connections one that is lost does not stop the others")
{
    test::redis_server const server;
    auto options = server.options();
    options.connections = 4;
    auto const storage = redis_storage::make(options);
    CHECK(test::eventually([&] { return storage->connection_stats().connects == 4; }));
    for (int i = 0; i < 20; ++i)
        result_of(storage->put("a", bytes("one"), later()));
    CHECK(storage->connection_stats().requests == 20);
}

TEST_CASE("a full queue refuses at once")
{
    echo e;
    auto options = e.server.options();
    options.max_pending = 3;
    auto const storage = redis_storage::make(options);
    asio::io_context io;
    pending_get slow{io, *storage, "slow"};
    pending_get second{io, *storage, "b"};
    pending_get third{io, *storage, "c"};
    io.poll();
    CHECK(test::eventually([&] { return e.asked == 1; }));
    CHECK(error_of(storage->get("d")) == redis_errc::queue_full);
    CHECK(storage->connection_stats().queue_full == 1);
    e.is_held = false;
    io.run();
    CHECK(third.value == bytes("c"));
    CHECK(result_of(storage->get("d")) == bytes("d"));
}

TEST_CASE("a cancelled operation ends at once, whatever its request waits for, and later answers still match")
{
    SUBCASE("for the connection")
    {
        asio::io_context io;
        test::tcp::acceptor const silent{io, {asio::ip::address_v4::loopback(), 0}};
        redis_storage_options options;
        options.port = silent.local_endpoint().port();
        options.request_timeout = options.connect_timeout = 60s;
        auto const storage = redis_storage::make(options);
        pending_get get{io, *storage, "a"};
        io.poll();
        CHECK_FALSE(get.is_over);
        get.cancel.emit(asio::cancellation_type::terminal);
        io.run();
        CHECK(get.error == asio::error::operation_aborted);
    }
    SUBCASE("for its answer")
    {
        echo e;
        auto const storage = redis_storage::make(e.server.options());
        asio::io_context io;
        pending_get slow{io, *storage, "slow"};
        io.poll();
        REQUIRE(test::eventually([&] { return e.asked == 1; }));
        pending_get behind{io, *storage, "b"};
        pending_get further_behind{io, *storage, "c"};
        pending_get last{io, *storage, "d"};
        io.poll();
        slow.cancel.emit(asio::cancellation_type::terminal);
        further_behind.cancel.emit(asio::cancellation_type::terminal);
        io.poll();
        CHECK(slow.error == asio::error::operation_aborted);
        CHECK(further_behind.error == asio::error::operation_aborted);
        CHECK_FALSE(behind.is_over);
        e.is_held = false;
        io.restart();
        io.run_for(20s);
        CHECK(behind.value == bytes("b"));
        CHECK(last.value == bytes("d"));
        CHECK(storage->connection_stats().connects == 1);
    }
    SUBCASE("to be written, behind one that does not fit into the socket")
    {
        test::redis_server const server;
        auto options = server.options();
        options.max_value_bytes = 64u << 20;
        auto const storage = redis_storage::make(options);
        CHECK_FALSE(result_of(storage->get("b")).has_value());
        server.signal(SIGSTOP);
        asio::io_context io;
        bool is_put = false;
        asio::co_spawn(io, storage->put("large", secret_bytes{std::size_t{32} << 20}, later()),
                       [&](std::exception_ptr failure) { is_put = !failure; });
        io.poll();
        pending_get get{io, *storage, "a"};
        io.poll();
        get.cancel.emit(asio::cancellation_type::terminal);
        io.poll();
        CHECK(get.error == asio::error::operation_aborted);
        server.signal(SIGCONT);
        io.restart();
        io.run_for(20s);
        CHECK(is_put);
        CHECK_FALSE(result_of(storage->get("b")).has_value());
    }
}

TEST_CASE("a slow server: what is late ends in time, and its answers are not taken for those of others")
{
    constexpr auto each = 100ms;
    std::atomic<bool> is_slow = true;
    test::fake_redis const server{[&](auto& socket, words command) -> asio::awaitable<void>
                                  {
                                      if (is_slow)
                                          co_await pause(each);
                                      co_await test::send(socket, "$" + std::to_string(command.at(1).size()) + "\r\n" +
                                                                      command.at(1) + "\r\n");
                                  }};
    auto options = server.options();
    options.request_timeout = each * 5 / 2; // two answers come in time, and each keeps the connection alive
    options.key_prefix = "";
    asio::io_context io;
    SUBCASE("for a while")
    {
        options.failures_to_open = 1000;
        auto const storage = redis_storage::make(options);
        CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::connected; }));
        std::vector<std::unique_ptr<pending_get>> gets;
        for (int i = 0; i < 6; ++i)
            gets.push_back(std::make_unique<pending_get>(io, *storage, std::to_string(i)));
        io.run_for(20s);
        CHECK(gets.front()->value == bytes("0"));
        CHECK(gets.back()->error == redis_errc::timed_out);
        is_slow = false;
        CHECK(test::eventually([&] { return !error_of(storage->get("x")); }));
        CHECK(result_of(storage->get("y")) == bytes("y"));
        CHECK(storage->connection_stats().connects == 1);
        CHECK(storage->connection_stats().timeouts >= 3);
    }
    SUBCASE("once too often")
    {
        options.failures_to_open = 2;
        options.backoff_min = options.backoff_max = 1h;
        auto const storage = redis_storage::make(options);
        CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::connected; }));
        std::vector<std::unique_ptr<pending_get>> gets;
        for (int i = 0; i < 6; ++i)
            gets.push_back(std::make_unique<pending_get>(io, *storage, std::to_string(i)));
        io.run_for(20s);
        CHECK(gets.back()->error == redis_errc::timed_out);
        CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::open; }));
    }
}

TEST_CASE("a storage that is destroyed ends its operations")
{
    echo e;
    asio::io_context io;
    SUBCASE("on a thread of its own")
    {
        auto storage = redis_storage::make(e.server.options());
        pending_get written{io, *storage, "slow"};
        io.poll();
        REQUIRE(test::eventually([&] { return e.asked == 1; }));
        pending_get behind{io, *storage, "b"};
        auto never_started = storage->get("c");
        io.poll();
        storage.reset();
        io.run();
        CHECK(written.error == asio::error::operation_aborted);
        CHECK(behind.error == asio::error::operation_aborted);
        CHECK(error_of(std::move(never_started)) == asio::error::operation_aborted);
    }
    SUBCASE("on the caller's io_context, whose run() then ends")
    {
        auto options = e.server.options();
        options.executor = io.get_executor();
        auto storage = redis_storage::make(options);
        pending_get written{io, *storage, "slow"};
        REQUIRE(test::eventually([&] { return io.poll(), e.asked == 1; }));
        storage.reset();
        io.run();
        CHECK(written.error == asio::error::operation_aborted);
    }
    SUBCASE("while it connects")
    {
        test::tcp::acceptor const silent{io, {asio::ip::address_v4::loopback(), 0}};
        redis_storage_options options;
        options.port = silent.local_endpoint().port();
        options.request_timeout = options.connect_timeout = 60s;
        auto storage = redis_storage::make(options);
        pending_get get{io, *storage, "a"};
        io.poll();
        storage.reset();
        io.run();
        CHECK(get.error == asio::error::operation_aborted);
    }
    SUBCASE("while it waits to connect again")
    {
        redis_storage_options options;
        options.port = test::free_port();
        options.backoff_min = options.backoff_max = 1h;
        auto storage = redis_storage::make(options);
        CHECK(test::eventually([&] { return storage->connection_stats().state == redis_state::open; }));
        storage.reset();
    }
}

TEST_CASE("the io_contexts may go before the storage")
{
    echo e;
    SUBCASE("the caller's, with operations pending")
    {
        auto const storage = redis_storage::make(e.server.options());
        {
            asio::io_context io;
            pending_get get{io, *storage, "slow"};
            io.poll();
            REQUIRE(test::eventually([&] { return e.asked == 1; }));
        }
        e.is_held = false;
        CHECK(result_of(storage->get("b")) == bytes("b"));
    }
    SUBCASE("the one that serves the connections")
    {
        auto serving = std::make_unique<asio::io_context>();
        auto options = e.server.options();
        options.executor = serving->get_executor();
        auto const storage = redis_storage::make(options);
        asio::io_context io;
        pending_get get{io, *storage, "slow"};
        io.poll();
        REQUIRE(test::eventually([&] { return serving->poll(), e.asked == 1; }));
        serving.reset();
        io.run();
        CHECK(get.error == asio::error::operation_aborted);
        CHECK(error_of(storage->get("b")) == asio::error::operation_aborted);
    }
    SUBCASE("the one that serves the connections, before it ever ran")
    {
        auto serving = std::make_unique<asio::io_context>();
        auto options = e.server.options();
        options.executor = serving->get_executor();
        auto const storage = redis_storage::make(options);
        asio::io_context io;
        pending_get get{io, *storage, "a"};
        io.poll();
        serving.reset();
        io.run();
        CHECK(get.error == asio::error::operation_aborted);
    }
    SUBCASE("either, and nothing of their executors is kept")
    {
        std::weak_ptr<int> serving_copies;
        std::weak_ptr<int> calling_copies;
        std::shared_ptr<redis_storage> storage;
        auto const get = [](std::shared_ptr<redis_storage> s, std::string name) -> asio::awaitable<void>
        { (void)co_await s->get(std::move(name)); };
        {
            asio::io_context calling;
            asio::io_context serving;
            auto options = e.server.options();
            test::counted_executor const serves{serving};
            test::counted_executor const calls{calling};
            serving_copies = serves.copies();
            calling_copies = calls.copies();
            options.executor = serves;
            storage = redis_storage::make(options);
            asio::co_spawn(calls, get(storage, "slow"), asio::detached);
            asio::co_spawn(asio::make_strand(calling), get(storage, "slow"), asio::detached);
            calling.poll();
            REQUIRE(test::eventually([&] { return serving.poll(), e.asked == 1; }));
            asio::co_spawn(calls, get(storage, "a"), asio::detached); // this one waits behind them
            calling.restart();
            calling.poll();
        }
        CHECK(serving_copies.use_count() == 0);
        CHECK(calling_copies.use_count() == 0);
    }
    SUBCASE("one that does both")
    {
        auto io = std::make_unique<asio::io_context>();
        auto options = e.server.options();
        options.executor = io->get_executor();
        auto const storage = redis_storage::make(options);
        pending_get get{*io, *storage, "slow"};
        REQUIRE(test::eventually([&] { return io->poll(), e.asked == 1; }));
        io.reset();
        CHECK_FALSE(get.is_over);
    }
}

TEST_SUITE_END();
