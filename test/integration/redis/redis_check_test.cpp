// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a storage says of a server that it cannot use: which one, and what to do.
#include "support/harness.hpp"
#include "support/keys.hpp"
#include "support/own_network.hpp"
#include "support/peers/redis.hpp"

#include <reprise/storage/memory_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>
#include <reprise/storage/tiered_storage.hpp>

#include <dlfcn.h>
#include <netdb.h>

#include <condition_variable>
#include <mutex>

using namespace reprise;
using namespace std::chrono_literals;
using test::error_of;
using test::result_of;

namespace {

/// While it is there, getaddrinfo(3) does not return for "hangs.test".
class hanging_resolver
{
public:
    hanging_resolver()
    {
        std::lock_guard const lock{mutex};
        is_open = false;
    }
    ~hanging_resolver()
    {
        std::unique_lock lock{mutex};
        is_open = true;
        changed.notify_all();
        changed.wait(lock, [] { return asked == 0; });
    }

    static void ask()
    {
        std::unique_lock lock{mutex};
        ++asked;
        ++asked_ever;
        changed.notify_all();
        changed.wait(lock, [] { return is_open; });
        --asked;
        changed.notify_all();
    }

    static void wait_until_asked()
    {
        std::unique_lock lock{mutex};
        REQUIRE(changed.wait_for(lock, 20s, [] { return asked > 0; }));
    }

    static int times()
    {
        std::lock_guard const lock{mutex};
        return asked_ever;
    }

private:
    static inline std::mutex mutex;
    static inline std::condition_variable changed;
    static inline bool is_open = true;
    static inline int asked = 0;
    static inline int asked_ever = 0;
};

} // namespace

// In the place of the C library's.
extern "C" int getaddrinfo(char const* node, char const* service, ::addrinfo const* hints, ::addrinfo** result)
{
    using function = int (*)(char const*, char const*, ::addrinfo const*, ::addrinfo**);
    static auto const original = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    if (node != nullptr && std::string_view{node} == "hangs.test")
    {
        hanging_resolver::ask();
        return EAI_NONAME;
    }
    return original(node, service, hints, result);
}

TEST_SUITE_BEGIN("redis_storage says what is wrong");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

std::string what_of(asio::awaitable<void> operation)
{
    try
    {
        result_of(std::move(operation));
    }
    catch (system_error const& e)
    {
        return e.what();
    }
    return "no error";
}

void check_contains(std::string const& text, std::initializer_list<std::string_view> parts)
{
    for (auto const part : parts)
        CHECK_MESSAGE(text.find(part) != std::string::npos, text, " lacks ", part);
}

// Says its line to whoever connects, and listens no further.
class talker
{
public:
    explicit talker(std::string line) : line_(std::move(line))
    {
        asio::co_spawn(io_, accept(), [](std::exception_ptr) {});
        thread_ = std::jthread{[this] { io_.run(); }};
    }
    ~talker() { io_.stop(); }

    [[nodiscard]] unsigned short port() const { return acceptor_.local_endpoint().port(); }

private:
    asio::awaitable<void> accept()
    {
        for (;;)
        {
            connections_.push_back(co_await acceptor_.async_accept(asio::use_awaitable));
            co_await asio::async_write(connections_.back(), asio::buffer(line_), asio::use_awaitable);
        }
    }

    std::string const line_;
    asio::io_context io_;
    asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::vector<asio::ip::tcp::socket> connections_;
    std::jthread thread_;
};

redis_storage_options options_for(unsigned short port, bool tls)
{
    redis_storage_options o;
    o.port = port;
    o.request_timeout = o.connect_timeout = 20s;
    if (tls)
        o.tls = std::make_shared<asio::ssl::context>(test::client_context());
    return o;
}

} // namespace

TEST_CASE("a server that works passes, and nothing is left in it")
{
    test::redis_server const server;
    auto const storage = redis_storage::make(server.options());
    CHECK_FALSE(error_of(storage->check()));
    CHECK_FALSE(error_of(storage->check()));
    CHECK(server.command({"DBSIZE"}) == "0");
    CHECK_FALSE(error_of(
        sealed_storage::make({.inner = storage, .keys = {test::key_of(1)}, .name_key = test::key_of(2)})->check()));
    CHECK_FALSE(error_of(tiered_storage::make({.near = memory_storage::make(), .far = storage})->check()));
    auto options = server.options();
    options.socket_path = server.socket_path();
    CHECK_FALSE(error_of(redis_storage::make(options)->check()));
}

TEST_CASE("a server that is not there is named, through other storages too")
{
    auto const port = test::free_port();
    auto const name = "127.0.0.1:" + std::to_string(port);
    storage_ptr const storage = redis_storage::make(options_for(port, false));
    CHECK(error_of(storage->check()) == asio::error::connection_refused);
    for (auto const& s :
         {storage,
          storage_ptr{sealed_storage::make({.inner = storage, .keys = {test::key_of(1)}, .name_key = test::key_of(2)})},
          storage_ptr{tiered_storage::make({.near = memory_storage::make(), .far = storage})}})
        check_contains(what_of(s->check()), {name, "Connection refused"});
    check_contains(what_of(storage->put("a", bytes("one"), std::chrono::system_clock::now() + 1h)),
                   {name, "Connection refused", "circuit breaker is open"});
    redis_storage_options o;
    o.socket_path = "/nowhere/redis.sock";
    check_contains(what_of(redis_storage::make(o)->check()), {"/nowhere/redis.sock", "No such file"});
    o = options_for(port, false);
    o.host = "::1";
    check_contains(what_of(redis_storage::make(o)->check()), {"[::1]:" + std::to_string(port)});
    o.host = "does-not-exist.invalid";
    check_contains(what_of(redis_storage::make(o)->check()), {"does-not-exist.invalid:" + std::to_string(port)});
}

TEST_CASE("a connection to itself says that nobody listens")
{
    auto const port = test::free_port();
    auto const own = std::to_string(port) + "\t" + std::to_string(port); // the port that each new socket gets
    bool allowed = true;
    for (auto const* host : {"127.0.0.1", "localhost"})
    {
        CAPTURE(host);
        error_code ended;
        std::uint64_t bad_answers = 0;
        auto const connect = [&]
        {
            auto options = options_for(port, false);
            options.host = host;
            options.backoff_min = options.backoff_max = 20s; // one attempt
            auto const storage = redis_storage::make(options);
            ended = error_of(storage->check());
            bad_answers = storage->connection_stats().bad_answers;
        };
        if (!test::in_own_network("ip_local_port_range", own, connect))
        {
            allowed = false;
            continue;
        }
        CHECK_MESSAGE(ended == asio::error::connection_refused, ended.message());
        CHECK(bad_answers == 0);
    }
    if (!allowed)
        MESSAGE("no network of our own is allowed here: not tested");
}

TEST_CASE("a password that is wrong is not repeated")
{
    test::redis_server const server{{"--requirepass", "correct horse"}};
    auto options = server.options();
    options.user = "default";
    options.password = bytes("battery staple");
    auto const text = what_of(redis_storage::make(options)->check());
    check_contains(text, {"127.0.0.1:" + std::to_string(server.port()), "WRONGPASS"});
    CHECK(text.find("battery") == std::string::npos);
}

TEST_CASE("a user who may not write, and a replica, are found out")
{
    test::redis_server const server;
    server.command({"ACL", "SETUSER", "reader", "on", ">pass", "~*", "+get", "+ping"});
    auto options = server.options();
    options.user = "reader";
    options.password = bytes("pass");
    auto storage = redis_storage::make(options);
    CHECK(error_of(storage->check()) == redis_errc::not_permitted);
    check_contains(what_of(storage->check()), {"127.0.0.1:" + std::to_string(server.port()), "NOPERM"});
    test::redis_server const replica{{"--replicaof", "127.0.0.1 " + std::to_string(server.port())}};
    CHECK(error_of(redis_storage::make(replica.options())->check()) == redis_errc::server_read_only);
}

TEST_CASE("where one side alone speaks TLS, its first bytes tell")
{
    using namespace std::string_literals;
    SUBCASE("an alert of TLS")
    {
        talker const server{"\x15\x03\x01\x00\x02\x02\x46"s};
        auto const storage = redis_storage::make(options_for(server.port(), false));
        CHECK(error_of(storage->check()) == redis_errc::tls_expected);
        check_contains(what_of(storage->check()), {"127.0.0.1:" + std::to_string(server.port()), "rediss://"});
    }
    SUBCASE("a handshake record of TLS")
    {
        talker const server{"\x16\x03\x03\x00\x04\x00\x00\x00\x00"s};
        CHECK(error_of(redis_storage::make(options_for(server.port(), false))->check()) == redis_errc::tls_expected);
    }
    SUBCASE("text in answer to a ClientHello")
    {
        talker const server{"-ERR Protocol error: unbalanced quotes in request\r\n"};
        auto const storage = redis_storage::make(options_for(server.port(), true));
        CHECK(error_of(storage->check()) == redis_errc::plain_text_expected);
        check_contains(what_of(storage->check()), {"127.0.0.1:" + std::to_string(server.port()), "redis://"});
    }
    SUBCASE("neither")
    {
        talker const server{"220 mail.test ESMTP\r\n"};
        CHECK(error_of(redis_storage::make(options_for(server.port(), false))->check()) == redis_errc::bad_answer);
    }
}

TEST_CASE("a peer that accepts connections and is silent may expect TLS, or plain text")
{
    talker const server{""};
    for (bool const tls : {false, true})
    {
        auto options = options_for(server.port(), tls);
        options.connect_timeout = 50ms;
        auto const storage = redis_storage::make(options);
        CHECK(error_of(storage->check()) == asio::error::timed_out);
        check_contains(what_of(storage->check()),
                       {"127.0.0.1:" + std::to_string(server.port()), tls ? "write redis://" : "write rediss://"});
    }
    // One that cannot be reached at all says nothing of TLS.
    auto const text = what_of(redis_storage::make(options_for(test::free_port(), false))->check());
    CHECK(text.find("rediss://") == std::string::npos);
}

TEST_CASE("a check ends with its storage, and may be cancelled")
{
    talker const server{""};
    auto storage = redis_storage::make(options_for(server.port(), false));
    asio::io_context io;
    asio::cancellation_signal cancel;
    std::vector<error_code> ends;
    auto const note = [&](std::exception_ptr e)
    {
        try
        {
            if (e)
                std::rethrow_exception(e);
        }
        catch (system_error const& error)
        {
            ends.push_back(error.code());
        }
    };
    asio::co_spawn(io, storage->check(), note);
    asio::co_spawn(io, storage->check(), asio::bind_cancellation_slot(cancel.slot(), note));
    io.poll();
    CHECK(ends.empty());
    cancel.emit(asio::cancellation_type::terminal);
    io.poll();
    CHECK(ends.size() == 1);
    storage.reset();
    io.run();
    REQUIRE(ends.size() == 2);
    for (auto const& end : ends)
        CHECK(end == asio::error::operation_aborted);
}

TEST_CASE("a name that is being resolved holds nobody up: neither the storage's end nor its context's")
{
    hanging_resolver const resolver;
    auto const before = hanging_resolver::times();
    auto options = options_for(1, false);
    options.host = "hangs.test";
    SUBCASE("on a thread of its own")
    {
        auto storage = redis_storage::make(options);
        hanging_resolver::wait_until_asked();
        storage.reset();
    }
    SUBCASE("on the caller's context")
    {
        asio::io_context io;
        options.executor = io.get_executor();
        auto storage = redis_storage::make(options);
        io.poll();
        hanging_resolver::wait_until_asked();
        SUBCASE("which goes first") {}
        SUBCASE("which goes last")
        {
            storage.reset();
            io.run();
        }
    }
    SUBCASE("and attempts that give up begin no second one")
    {
        options.connect_timeout = 1ms;
        options.backoff_min = options.backoff_max = 1ms;
        auto const storage = redis_storage::make(options);
        CHECK(test::eventually([&] { return storage->connection_stats().failed_connects >= 5; }));
        CHECK(storage->connection_stats().last_error == asio::error::timed_out);
    }
    CHECK(hanging_resolver::times() == before + 1);
}

TEST_CASE("the default check of a storage writes an entry and takes it")
{
    auto const memory = memory_storage::make();
    CHECK_FALSE(error_of(memory->check()));
    CHECK(memory->stats().entries == 0);
}

TEST_SUITE_END();
