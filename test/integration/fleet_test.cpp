// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Two processes of https_server with one Redis, behind a balancer; then some of it dies.

#include "support/harness.hpp"
#include "support/peers/https_examples.hpp"
#include "support/peers/redis.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <csignal>
#include <optional>

using namespace test;

TEST_SUITE_BEGIN("fleet");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

// A TCP balancer: each connection goes to the next server, or to the one after it if that is gone.
class balancer
{
public:
    balancer(asio::io_context& io, std::vector<std::string> const& ports)
        : acceptor_(executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0})
    {
        for (auto const& port : ports)
            servers_.emplace_back(asio::ip::address_v4::loopback(), static_cast<unsigned short>(std::stoi(port)));
        asio::co_spawn(executor_of(io), serve(), asio::detached);
    }

    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

private:
    asio::awaitable<void> serve()
    {
        for (;;)
        {
            auto [ec, client] = co_await acceptor_.async_accept(as_tuple);
            if (ec)
                co_return;
            asio::co_spawn(acceptor_.get_executor(), connect(std::move(client)), asio::detached);
        }
    }

    asio::awaitable<void> connect(tcp::socket client)
    {
        tcp::socket server{client.get_executor()};
        auto const first = next_++;
        for (std::size_t tries = 0; tries < servers_.size(); ++tries)
        {
            auto const [ec] = co_await server.async_connect(servers_[(first + tries) % servers_.size()], as_tuple);
            if (!ec)
                break;
            server.close();
        }
        if (!server.is_open())
            co_return;
        using namespace asio::experimental::awaitable_operators;
        co_await (copy(client, server) && copy(server, client));
    }

    static asio::awaitable<void> copy(tcp::socket& from, tcp::socket& to)
    {
        std::array<char, 4096> data;
        for (error_code ec; !ec;)
        {
            auto const [read_error, size] = co_await from.async_read_some(asio::buffer(data), as_tuple);
            ec = read_error;
            if (!ec)
                ec = std::get<0>(co_await asio::async_write(to, asio::buffer(data, size), as_tuple));
        }
        error_code ignored;
        to.shutdown(tcp::socket::shutdown_send, ignored);
    }

    tcp::acceptor acceptor_;
    std::vector<tcp::endpoint> servers_;
    std::size_t next_ = 0;
};

struct fleet
{
    explicit fleet(kind const& k) : of(k)
    {
        set_versions(client_tls, k.version, k.version);
        for (auto& s : servers)
            s.emplace(certificates, k, std::vector<std::string>{"--storage", "redis:" + url});
        balance.emplace(io, std::vector<std::string>{servers[0]->port, servers[1]->port});
    }

    client_side stream() { return {executor_of(io), client_tls, *store}; }

    kind of;
    credentials certificates;
    redis_server redis;
    std::string url = "redis://127.0.0.1:" + std::to_string(redis.port());
    std::array<std::optional<example_server>, 2> servers;
    asio::io_context io;
    asio::ssl::context client_tls = client_context();
    std::shared_ptr<reprise::memory_session_store> store = reprise::memory_session_store::make();
    std::optional<balancer> balance;
};

std::vector<kind> const remembered = {kinds[0], kinds[3]}; // a TLS 1.2 session id, a TLS 1.3 stateful ticket

// What some clients have seen that do nothing but reconnect.
struct load
{
    int answered = 0;
    int resumed = 0;
    int again = 0; ///< requests that were sent a second time, for their connection broke
    int failed = 0;
    bool over = false;
    int running = 0;
};

asio::awaitable<void> reconnect_on(fleet& f, load& l)
{
    ++l.running;
    auto stream = f.stream();
    for (int tries = 0; !l.over;)
        try
        {
            auto const a = co_await get(stream, f.balance->port());
            bool const resumed = a.info.resumed();
            CHECK(contains(a.body, resumed_page(f.of)) == resumed); // both ends say the same
            ++l.answered;
            l.resumed += resumed ? 1 : 0;
            tries = 0;
        }
        catch (reprise::system_error const&)
        {
            l.again += tries == 0 ? 1 : 0;
            l.failed += tries == 0 ? 0 : 1;
            ++tries;
        }
    --l.running;
}

// Ask again and again until it holds.
asio::awaitable<bool> soon(std::function<bool()> holds)
{
    asio::steady_timer timer{co_await asio::this_coro::executor};
    for (auto const start = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() - start < 20s;)
    {
        if (holds())
            co_return true;
        timer.expires_after(2ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
    co_return false;
}

// Until so many more have been answered, or have resumed.
auto more(int const& count, int by)
{
    return soon([&count, until = count + by] { return count >= until; });
}

} // namespace

TEST_CASE("a session of one server resumes at the other")
{
    for (auto const& k : remembered)
    {
        CAPTURE(std::string{k.name});
        fleet f{k};
        run(f.io,
            [&]() -> asio::awaitable<void>
            {
                auto stream = f.stream();
                for (int visit = 0; visit < 6; ++visit)
                {
                    auto const a = co_await get(stream, f.balance->port());
                    CHECK(a.info.resumed() == (visit > 0));
                    CHECK(contains(a.body, resumed_page(k)) == (visit > 0));
                    CHECK(co_await soon([&] { return f.redis.command({"DBSIZE"}) == "1"; })); // it is written behind
                }
            }());
        for (auto& server : f.servers)
        {
            server->process.signal(SIGTERM);
            CHECK(server->process.wait() == 0);
            CHECK(contains(server->process.output(), "connections 3"));
        }
    }
}

TEST_CASE("no request fails while Redis dies and comes back, and while a server dies")
{
    for (auto const& k : remembered)
    {
        CAPTURE(std::string{k.name});
        fleet f{k};
        load l;
        run(
            f.io,
            [&]() -> asio::awaitable<void>
            {
                for (int clients = 0; clients < 4; ++clients)
                    asio::co_spawn(executor_of(f.io), reconnect_on(f, l), asio::detached);
                CHECK(co_await more(l.resumed, 20));

                f.redis.signal(SIGSTOP); // it hangs
                CHECK(co_await more(l.answered, 20));
                f.redis.kill();
                CHECK(co_await more(l.answered, 20));
                CHECK(l.again == 0);

                f.redis.start(); // empty
                CHECK(co_await more(l.resumed, 20));
                CHECK(l.again == 0);

                f.servers[0]->process.signal(SIGKILL);
                // On the clients' thread: one that asks again must not meet it while it is dying.
                CHECK(f.servers[0]->process.wait() == 128 + SIGKILL);
                CHECK(co_await more(l.resumed, 40));

                l.over = true;
                CHECK(co_await soon([&] { return l.running == 0; }));
            }(),
            60s);
        CHECK(l.failed == 0);
        CHECK(l.again <= 4); // those that the dead server was talking to
        auto& survivor = f.servers[1]->process;
        survivor.signal(SIGTERM);
        CHECK(survivor.wait() == 0);
        CHECK_FALSE(contains(survivor.output(), "storage errors 0"));
    }
}

TEST_SUITE_END();
