// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// HTTPS over loopback: the server on one thread, the client on another, eight connections in flight. Both share one
// CPU, so that neither pays for waking the other's.

#include "benches.hpp"
#include "coroutines.hpp"
#include "loopback_server.hpp"
#include "stopwatch.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/server_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <optional>
#include <string>
#include <thread>

#include <sched.h>

namespace bench {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr int in_flight = 8;
constexpr int connections = 48; // in a batch
constexpr int pairs = 20;       // of batches
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

// As Beast's own examples have it, with the timeouts that a server needs, and no_delay.
class beast_server final : public loopback_server
{
public:
    explicit beast_server(kind const& k) : loopback_server(k) { resume_by_hand(tls().native_handle(), k); }

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

class reprise_http_server final : public loopback_server
{
public:
    explicit reprise_http_server(kind const& k) : loopback_server(k), cache_(resume_with_reprise(tls(), k)) {}

private:
    asio::awaitable<void> connection(tcp::socket socket) override
    {
        reprise::server_options options;
        options.handshake_timeout = options.shutdown_timeout = 0s; // the tcp_stream has its own
        reprise::server_stream<beast::tcp_stream> stream{beast::tcp_stream{std::move(socket)}, cache_, options};
        stream.next_layer().expires_after(30s);
        co_await stream.async_handshake();
        count(stream.handshake().resumed());
        stream.next_layer().expires_after(30s);
        co_await answer(stream);
        stream.next_layer().expires_after(30s);
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
            asio::co_spawn(io_, work(to), rethrow);
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

// SSL_set_session by hand, done well: as many sessions as connections, each used once, and time limits as in Beast's
// examples.
class hand_written_client final : public http_client
{
public:
    using http_client::http_client;

private:
    asio::awaitable<void> visit(tcp::endpoint to) override
    {
        asio::ssl::stream<beast::tcp_stream> stream{beast::tcp_stream{executor()}, tls()};
        auto& transport = stream.next_layer();
        transport.expires_after(30s);
        co_await transport.async_connect(to, asio::use_awaitable);
        transport.socket().set_option(tcp::no_delay{true});
        name_peer(stream.native_handle());
        if (!sessions_.empty())
        {
            SSL_set_session(stream.native_handle(), sessions_.back().get());
            sessions_.pop_back();
        }
        co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
        transport.expires_after(30s);
        co_await ask(stream);
        if (resumes())
            sessions_.emplace_back(SSL_get1_session(stream.native_handle()));
        transport.expires_after(30s);
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
        using stream_type = reprise::client_stream<beast::tcp_stream>;
        reprise::client_options options;
        options.connect_timeout = options.shutdown_timeout = 0s; // the tcp_stream has its own
        std::optional<stream_type> stream;
        if (resumes())
            stream.emplace(executor(), tls(), *store_, options);
        else
            stream.emplace(executor(), tls(), options);
        stream->next_layer().expires_after(30s);
        co_await stream->async_connect(std::array{to}, "localhost");
        stream->next_layer().expires_after(30s);
        co_await ask(*stream);
        stream->next_layer().expires_after(30s);
        co_await stream->async_shutdown();
    }

    std::shared_ptr<reprise::memory_session_store> store_ =
        reprise::memory_session_store::make({.max_tickets_per_key = 2 * in_flight});
};

std::unique_ptr<loopback_server> make_http_server(maker m, kind const& k)
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

struct contestant
{
    maker server;
    maker client;
    bool resume;
};

struct contest
{
    contestant theirs;
    contestant ours;
    bool time_server;
};

contest contestants(http_duel::subject what)
{
    switch (what)
    {
    case http_duel::server: return {{maker::asio, maker::asio, true}, {maker::reprise, maker::asio, true}, true};
    case http_duel::client: return {{maker::asio, maker::asio, true}, {maker::asio, maker::reprise, true}, false};
    case http_duel::resumed_client: break;
    }
    return {{maker::asio, maker::asio, false}, {maker::asio, maker::reprise, true}, false};
}

// A server and a client that visits it, whose CPU time is taken for one of the two.
class couple
{
public:
    couple(contestant const& c, kind const& k, bool time_server)
        : server_(make_http_server(c.server, k)), client_(make_http_client(c.client, k, c.resume)), resume_(c.resume),
          time_server_(time_server)
    {
        server_->start();
        (void)visit(2 * in_flight, false); // so that there is something to resume
    }
    couple(couple const&) = delete;
    couple& operator=(couple const&) = delete;
    ~couple() { server_->stop(); }

    double microseconds_each()
    {
        return std::chrono::duration<double, std::micro>(visit(connections, true)).count() / connections;
    }

private:
    nanoseconds visit(int times, bool check)
    {
        auto const served = server_->served() + static_cast<std::size_t>(times);
        auto const resumed = server_->resumed() + static_cast<std::size_t>(resume_ ? times : 0);
        auto const server_start = server_->cpu();
        auto const client_start = cpu_time(CLOCK_THREAD_CPUTIME_ID);
        client_->connect(server_->endpoint(), times);
        auto const client_spent = cpu_time(CLOCK_THREAD_CPUTIME_ID) - client_start;
        while (server_->served() < served)
            std::this_thread::sleep_for(100us);
        if (check && server_->resumed() != resumed)
            throw std::runtime_error{"a connection did not resume as it should"};
        return time_server_ ? server_->cpu() - server_start : client_spent;
    }

    std::unique_ptr<loopback_server> server_;
    std::unique_ptr<http_client> client_;
    bool resume_;
    bool time_server_;
};

class on_one_cpu
{
public:
    on_one_cpu()
    {
        ::sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(::sched_getcpu(), &one);
        ::sched_setaffinity(0, sizeof one, &one); // threads that are made from here on inherit it
    }
    on_one_cpu(on_one_cpu const&) = delete;
    on_one_cpu& operator=(on_one_cpu const&) = delete;
    ~on_one_cpu() { ::sched_setaffinity(0, sizeof before_, &before_); }

private:
    cpu_set_t before_{};
};

// Short batches in turn, so that a machine that changes its pace changes it for both.
void run(benchmark::State& state, http_duel duel)
try
{
    on_one_cpu const here;
    auto const [theirs_is, ours_is, time_server] = contestants(duel.what);
    couple theirs{theirs_is, duel.of, time_server};
    couple ours{ours_is, duel.of, time_server};
    std::vector<double> ratios;
    for ([[maybe_unused]] auto _ : state)
    {
        bool const ours_first = ratios.size() % 2 == 1;
        double const early = ours_first ? ours.microseconds_each() : 0;
        double const their_time = theirs.microseconds_each();
        double const our_time = ours_first ? early : ours.microseconds_each();
        state.SetIterationTime(our_time / 1e6);
        ratios.push_back(our_time / their_time);
    }
    state.counters["ratio"] = median_of(ratios);
}
catch (std::exception const& e)
{
    state.SkipWithError(e.what());
}

} // namespace

std::string name_of(http_duel const& duel)
{
    static constexpr char const* what[] = {"server, reprise / plain Beast", "client, reprise / by hand",
                                           "client, resumed / full"};
    return std::string{duel.of.name} + ": " + what[static_cast<int>(duel.what)];
}

void register_http()
{
    for (auto const& duel : http_duels())
        benchmark::RegisterBenchmark(name_of(duel).c_str(), run, duel)
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond)
            ->Iterations(pairs)
            ->Repetitions(3);
}

std::vector<http_duel> http_duels()
{
    std::vector<http_duel> result;
    for (auto const what : {http_duel::server, http_duel::client, http_duel::resumed_client})
        for (auto const& k : kinds)
            result.push_back({what, k});
    return result;
}

} // namespace bench
