// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// HTTPS over loopback: the server on one thread, the client on another, eight connections in flight.

#include "benches.hpp"
#include "measured.hpp"

#include <reprise/client/client_stream.hpp>
#include <reprise/client/memory_session_store.hpp>
#include <reprise/server/server_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include <pthread.h>

namespace bench {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;
using plain_socket = asio::basic_stream_socket<tcp, asio::any_io_executor>;

constexpr int in_flight = 8;
constexpr int connections = 400;
constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

template <class Stream>
asio::awaitable<void> answer(Stream& stream)
{
    beast::flat_buffer buffer;
    http::request<http::empty_body> request;
    co_await http::async_read(stream, buffer, request, asio::use_awaitable);
    http::response<http::string_body> response{http::status::ok, request.version()};
    response.set(http::field::content_type, "text/plain");
    response.keep_alive(false);
    response.body() = "It works.\n";
    response.prepare_payload();
    co_await http::async_write(stream, response, asio::use_awaitable);
}

template <class Stream>
asio::awaitable<void> ask(Stream& stream)
{
    http::request<http::empty_body> request{http::verb::get, "/", 11};
    request.set(http::field::host, "localhost");
    request.keep_alive(false);
    co_await http::async_write(stream, request, asio::use_awaitable);
    beast::flat_buffer buffer;
    http::response<http::string_body> response;
    co_await http::async_read(stream, buffer, response, asio::use_awaitable);
    if (response.result() != http::status::ok)
        throw std::runtime_error{"not the answer that was expected"};
}

// A server that counts what it has done.
class http_server
{
public:
    explicit http_server(kind const& k)
        : tls_(server_context(k)), acceptor_(io_, {asio::ip::address_v4::loopback(), 0})
    {
    }
    http_server(http_server const&) = delete;
    http_server& operator=(http_server const&) = delete;
    virtual ~http_server() = default;

    [[nodiscard]] tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
    [[nodiscard]] nanoseconds cpu() const { return cpu_time(clock_); }
    [[nodiscard]] int served() const { return served_; }
    [[nodiscard]] int resumed() const { return resumed_; }

    void run()
    {
        asio::co_spawn(io_, serve(), asio::detached);
        thread_ = std::jthread{[this] { io_.run(); }};
        ::pthread_getcpuclockid(thread_.native_handle(), &clock_);
    }

    void stop()
    {
        io_.stop();
        thread_.join();
    }

protected:
    asio::ssl::context& tls() { return tls_; }
    void count(bool resumed) { resumed_ += resumed ? 1 : 0; }

private:
    virtual asio::awaitable<void> connection(tcp::socket socket) = 0;

    asio::awaitable<void> serve()
    {
        for (;;)
            asio::co_spawn(io_, connection(co_await acceptor_.async_accept(asio::use_awaitable)),
                           [this](std::exception_ptr) { ++served_; });
    }

    asio::io_context io_{1};
    asio::ssl::context tls_;
    tcp::acceptor acceptor_;
    clockid_t clock_{};
    std::atomic<int> served_ = 0;
    std::atomic<int> resumed_ = 0;
    std::jthread thread_;
};

// As Beast's own examples have it, with the timeouts that a server needs, and no_delay.
class beast_server final : public http_server
{
public:
    explicit beast_server(kind const& k) : http_server(k) { resume_by_hand(tls().native_handle(), k); }

private:
    asio::awaitable<void> connection(tcp::socket socket) override
    {
        socket.set_option(tcp::no_delay{true});
        beast::ssl_stream<beast::tcp_stream> stream{beast::tcp_stream{std::move(socket)}, tls()};
        beast::get_lowest_layer(stream).expires_after(30s);
        co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
        count(SSL_session_reused(stream.native_handle()) == 1);
        beast::get_lowest_layer(stream).expires_after(30s);
        co_await answer(stream);
        beast::get_lowest_layer(stream).expires_after(30s);
        co_await stream.async_shutdown(no_throw);
    }
};

class reprise_http_server final : public http_server
{
public:
    explicit reprise_http_server(kind const& k) : http_server(k), cache_(resume_with_reprise(tls(), k)) {}

private:
    asio::awaitable<void> connection(tcp::socket socket) override
    {
        reprise::server_stream<beast::tcp_stream> stream{beast::tcp_stream{std::move(socket)}, cache_};
        co_await stream.async_handshake();
        count(stream.handshake().resumed());
        stream.next_layer().expires_after(30s);
        co_await answer(stream);
        stream.next_layer().expires_never();
        co_await stream.async_shutdown();
    }

    reprise::session_cache cache_;
};

// What all the workers of a client share.
class http_client
{
public:
    http_client(kind const& k, bool resume) : tls_(client_context(k)), resume_(resume) {}
    http_client(http_client const&) = delete;
    http_client& operator=(http_client const&) = delete;
    virtual ~http_client() = default;

    void connect(tcp::endpoint to, int times)
    {
        left_ = times;
        for (int i = 0; i < in_flight; ++i)
            asio::co_spawn(io_, work(to),
                           [](std::exception_ptr e)
                           {
                               if (e)
                                   std::rethrow_exception(e);
                           });
        io_.restart();
        io_.run();
    }

protected:
    asio::ssl::context& tls() { return tls_; }
    [[nodiscard]] bool resumes() const { return resume_; }
    asio::any_io_executor executor() { return io_.get_executor(); }

private:
    virtual asio::awaitable<void> visit(tcp::endpoint to) = 0;

    asio::awaitable<void> work(tcp::endpoint to)
    {
        while (left_-- > 0)
            co_await visit(to);
    }

    asio::io_context io_{1};
    asio::ssl::context tls_;
    bool resume_;
    int left_ = 0;
};

// SSL_set_session by hand, done well: as many sessions as connections, each used once.
class hand_written_client final : public http_client
{
public:
    using http_client::http_client;

private:
    asio::awaitable<void> visit(tcp::endpoint to) override
    {
        asio::ssl::stream<plain_socket> stream{plain_socket{executor()}, tls()};
        co_await stream.next_layer().async_connect(to, asio::use_awaitable);
        stream.next_layer().set_option(tcp::no_delay{true});
        name_peer(stream.native_handle());
        if (!sessions_.empty())
        {
            SSL_set_session(stream.native_handle(), sessions_.back().get());
            sessions_.pop_back();
        }
        co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
        co_await ask(stream);
        if (resumes())
            sessions_.emplace_back(SSL_get1_session(stream.native_handle()));
        co_await stream.async_shutdown(no_throw);
    }

    std::vector<reprise::ssl_session_ptr> sessions_;
};

class reprise_http_client final : public http_client
{
public:
    using http_client::http_client;

private:
    asio::awaitable<void> visit(tcp::endpoint to) override
    {
        using stream_type = reprise::client_stream<plain_socket>;
        reprise::client_options const options;
        std::optional<stream_type> stream;
        if (resumes())
            stream.emplace(executor(), tls(), *store_, options);
        else
            stream.emplace(executor(), tls(), options);
        std::vector<tcp::endpoint> const endpoints{to};
        co_await stream->async_connect(endpoints, "localhost");
        co_await ask(*stream);
        co_await stream->async_shutdown();
    }

    std::shared_ptr<reprise::memory_session_store> store_ =
        reprise::memory_session_store::make({.max_tickets_per_key = 2 * in_flight});
};

std::unique_ptr<http_server> make_http_server(maker m, kind const& k)
{
    if (m == maker::reprise)
        return std::make_unique<reprise_http_server>(k);
    return std::make_unique<beast_server>(k);
}

std::unique_ptr<http_client> make_http_client(maker m, kind const& k, bool resume)
{
    if (m == maker::reprise)
        return std::make_unique<reprise_http_client>(k, resume);
    return std::make_unique<hand_written_client>(k, resume);
}

void run(benchmark::State& state, maker server_maker, maker client_maker, kind k, bool resume, bool time_server)
{
    auto const server = make_http_server(server_maker, k);
    auto const client = make_http_client(client_maker, k, resume);
    server->run();
    auto const connect = [&](int times)
    {
        int const before = server->served();
        client->connect(server->endpoint(), times);
        auto const client_cpu = cpu_time(CLOCK_THREAD_CPUTIME_ID);
        while (server->served() < before + times)
            std::this_thread::sleep_for(100us);
        return client_cpu;
    };
    connect(2 * in_flight); // so that there is something to resume
    for ([[maybe_unused]] auto _ : state)
    {
        int const resumed_before = server->resumed();
        auto const server_start = server->cpu();
        auto const client_start = cpu_time(CLOCK_THREAD_CPUTIME_ID);
        auto const client_end = connect(connections);
        auto const spent = time_server ? server->cpu() - server_start : client_end - client_start;
        if (server->resumed() - resumed_before != (resume ? connections : 0))
        {
            state.SkipWithError("a connection did not resume as it should");
            break;
        }
        state.SetIterationTime(std::chrono::duration<double>(spent).count() / connections);
    }
    server->stop();
}

void add(std::string const& name, maker server, maker client, kind const& k, bool resume, bool time_server)
{
    benchmark::RegisterBenchmark(name.c_str(), run, server, client, k, resume, time_server)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(1);
}

} // namespace

std::string http_server_name(maker m, kind const& k)
{
    return std::string{"http-server/"} + (m == maker::reprise ? "reprise/" : "beast/") + k.name + "/resumed";
}

std::string http_client_name(maker m, kind const& k, bool resume)
{
    return std::string{"http-client/"} + (m == maker::reprise ? "reprise/" : "by-hand/") + k.name +
           (resume ? "/resumed" : "/full");
}

void register_http()
{
    for (auto const& k : kinds)
        for (auto const m : {maker::asio, maker::reprise})
        {
            add(http_server_name(m, k), m, maker::asio, k, true, true);
            for (bool const resume : {false, true})
                add(http_client_name(m, k, resume), maker::asio, m, k, resume, false);
        }
}

} // namespace bench
