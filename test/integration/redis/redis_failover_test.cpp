// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Roles change while connections stay: two servers behind one address.
#include "support/harness.hpp"
#include "support/peers/redis.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>

#include <array>
#include <atomic>

using namespace reprise;
using namespace std::chrono_literals;
using test::error_of;
using test::result_of;

TEST_SUITE_BEGIN("redis_storage and a failover");

namespace {

secret_bytes bytes(std::string_view text)
{
    return secret_bytes{as_bytes(text)};
}

time_point later()
{
    return std::chrono::system_clock::now() + 1h;
}

/// An address whose new connections lead to one server or another. Those that are there stay where they are.
class balancer
{
public:
    explicit balancer(unsigned short port) : target(port)
    {
        asio::co_spawn(io_, accept(), asio::detached);
        thread_ = std::jthread{[this] { io_.run(); }};
    }
    ~balancer() { io_.stop(); }

    [[nodiscard]] unsigned short port() const { return acceptor_.local_endpoint().port(); }

    std::atomic<unsigned short> target;
    std::atomic<int> connections = 0;

private:
    using tcp = asio::ip::tcp;
    using socket_ptr = std::shared_ptr<tcp::socket>;

    asio::awaitable<void> accept()
    {
        auto const token = asio::as_tuple(asio::use_awaitable);
        for (;;)
        {
            auto const client = std::make_shared<tcp::socket>(co_await acceptor_.async_accept(asio::use_awaitable));
            auto const server = std::make_shared<tcp::socket>(io_);
            tcp::endpoint const to{asio::ip::address_v4::loopback(), target};
            auto const [ec] = co_await server->async_connect(to, token);
            if (ec)
                continue;
            ++connections;
            asio::co_spawn(io_, relay(client, server), asio::detached);
            asio::co_spawn(io_, relay(server, client), asio::detached);
        }
    }

    static asio::awaitable<void> relay(socket_ptr from, socket_ptr to)
    {
        auto const token = asio::as_tuple(asio::use_awaitable);
        std::array<char, 4096> buffer{};
        for (;;)
        {
            auto const [ec, size] = co_await from->async_read_some(asio::buffer(buffer), token);
            if (ec)
                break;
            co_await asio::async_write(*to, asio::buffer(buffer, size), token);
        }
        error_code ignored;
        to->close(ignored);
    }

    asio::io_context io_;
    tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
    std::jthread thread_;
};

// A storage that was connected to one server when that became a replica of another, to which the address leads since.
struct failover
{
    failover()
    {
        result_of(storage->put("a", bytes("one"), later()));
        one.command({"REPLICAOF", "127.0.0.1", std::to_string(two.port())});
        address.target = two.port();
    }

    test::redis_server const one;
    test::redis_server const two;
    balancer address{one.port()};
    std::shared_ptr<redis_storage> const storage = redis_storage::make(options());

private:
    [[nodiscard]] redis_storage_options options() const
    {
        auto result = one.options();
        result.port = address.port();
        return result;
    }
};

} // namespace

TEST_CASE("a primary that becomes a replica is left, and what waits goes to the next one")
{
    failover const f;
    auto const& storage = f.storage;
    CHECK(error_of(storage->put("b", bytes("one"), later())) == redis_errc::server_read_only);
    CHECK_FALSE(error_of(storage->put("c", bytes("one"), later())));
    CHECK(f.two.command({"EXISTS", "reprise:c"}) == "1");
    CHECK(storage->connection_stats().lost == 0);
    CHECK(storage->connection_stats().connects == 2);
    CHECK(f.address.connections == 2);
}

TEST_CASE("answers that are still to come are not lost when a replica is left")
{
    failover const f;
    auto const& storage = f.storage;
    asio::io_context io;
    int read_only = 0;
    int got = 0;
    for (int i = 0; i < 20; ++i)
    {
        asio::co_spawn(io, storage->erase("b"),
                       [&](std::exception_ptr e, bool)
                       {
                           try
                           {
                               if (e)
                                   std::rethrow_exception(e);
                           }
                           catch (system_error const& error)
                           {
                               read_only += error.code() == redis_errc::server_read_only ? 1 : 0;
                           }
                       });
        asio::co_spawn(io, storage->get("a"),
                       [&](std::exception_ptr e, std::optional<secret_bytes> const&) { got += e ? 0 : 1; });
    }
    io.run_for(20s);
    CHECK(read_only >= 1);
    CHECK(got == 20); // some by the old one, some by the new one
    CHECK(storage->connection_stats().lost == 0);
}

TEST_CASE("a server that stays a replica is asked all the same, and is not connected to in a busy loop")
{
    test::redis_server const primary;
    test::redis_server const replica{{"--replicaof", "127.0.0.1 " + std::to_string(primary.port())}};
    auto options = replica.options();
    options.backoff_min = options.backoff_max = 1h;
    auto const storage = redis_storage::make(options);
    for (int i = 0; i < 50; ++i)
    {
        CHECK(error_of(storage->put("a", bytes("one"), later())) == redis_errc::server_read_only);
        CHECK_FALSE(error_of(storage->get("a")));
    }
    CHECK(storage->connection_stats().connects == 2);
    CHECK(storage->connection_stats().state == redis_state::connected);
}

TEST_SUITE_END();
