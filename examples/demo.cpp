// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Measures what resumption saves on this machine. The HTTPS service runs on one thread, a client on another. The client
// makes full and resumed connections in turn, for each kind of resumption.

#include "common/service.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/testing/certificate.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

#include <pthread.h>
#include <time.h>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using steady = std::chrono::steady_clock;
using std::chrono::nanoseconds;

// A TCP socket that counts round trips: how often the client had to wait for the server.
class counting_socket
{
public:
    using executor_type = tcp::socket::executor_type;
    using lowest_layer_type = tcp::socket::lowest_layer_type;

    explicit counting_socket(asio::any_io_executor const& ex) : socket_(ex) {}

    executor_type get_executor() { return socket_.get_executor(); }
    tcp::socket& next_layer() { return socket_; }
    lowest_layer_type& lowest_layer() { return socket_.lowest_layer(); }
    lowest_layer_type const& lowest_layer() const { return socket_.lowest_layer(); }

    template <class Buffers, class Token>
    auto async_write_some(Buffers const& buffers, Token&& token)
    {
        has_asked_ = true;
        return socket_.async_write_some(buffers, std::forward<Token>(token));
    }

    template <class Buffers, class Token>
    auto async_read_some(Buffers const& buffers, Token&& token)
    {
        round_trips_ += std::exchange(has_asked_, false) ? 1 : 0;
        return socket_.async_read_some(buffers, std::forward<Token>(token));
    }

    [[nodiscard]] int round_trips() const { return round_trips_; }
    void start_counting()
    {
        round_trips_ = 1; // the TCP handshake
        has_asked_ = false;
    }

private:
    tcp::socket socket_;
    int round_trips_ = 0;
    bool has_asked_ = false;
};

struct kind
{
    char const* name;
    int version;
    bool tickets;
    reprise::resumption_kind expected;
};

constexpr kind kinds[] = {
    {"TLS 1.2 session id", TLS1_2_VERSION, false, reprise::resumption_kind::tls12_session_id},
    {"TLS 1.2 ticket", TLS1_2_VERSION, true, reprise::resumption_kind::tls12_ticket},
    {"TLS 1.3 stateless ticket", TLS1_3_VERSION, true, reprise::resumption_kind::tls13_stateless},
    {"TLS 1.3 stateful ticket", TLS1_3_VERSION, false, reprise::resumption_kind::tls13_stateful},
};

nanoseconds cpu_time(clockid_t of)
{
    timespec t{};
    ::clock_gettime(of, &t);
    return std::chrono::seconds{t.tv_sec} + nanoseconds{t.tv_nsec};
}

// The service on its own thread, so that its CPU time is measured separately from the client's.
class server
{
public:
    server(reprise::testing::identity const& own, kind const& k)
        : tls_(context(own, k)), cache_(tls_, {.id_context = "demo", .tickets = k.tickets}),
          service_(io_, {asio::ip::address_v4::loopback(), 0}, cache_, {})
    {
        asio::co_spawn(io_, service_.serve(), asio::detached);
        thread_ = std::jthread{[this] { io_.run(); }};
        ::pthread_getcpuclockid(thread_.native_handle(), &cpu_clock_);
    }

    ~server() { io_.stop(); }

    [[nodiscard]] tcp::endpoint endpoint() const { return service_.endpoint(); }
    [[nodiscard]] nanoseconds cpu() const { return cpu_time(cpu_clock_); }
    [[nodiscard]] reprise::session_cache_stats stats() const { return cache_.stats(); }

private:
    static asio::ssl::context context(reprise::testing::identity const& own, kind const& k)
    {
        asio::ssl::context tls{asio::ssl::context::tls_server};
        tls.use_certificate_chain(asio::buffer(own.certificate));
        tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
        SSL_CTX_set_min_proto_version(tls.native_handle(), k.version);
        SSL_CTX_set_max_proto_version(tls.native_handle(), k.version);
        return tls;
    }

    asio::io_context io_{1};
    asio::ssl::context tls_;
    reprise::session_cache cache_;
    example::service service_;
    clockid_t cpu_clock_{};
    std::jthread thread_; // the last member, so joined before the members that it uses are destroyed
};

struct samples
{
    std::vector<nanoseconds> latency; // from connect() to the response
    std::vector<int> round_trips;
    nanoseconds client_cpu{};
    nanoseconds server_cpu{};

    void add(samples const& other)
    {
        latency.insert(latency.end(), other.latency.begin(), other.latency.end());
        round_trips.insert(round_trips.end(), other.round_trips.begin(), other.round_trips.end());
        client_cpu += other.client_cpu;
        server_cpu += other.server_cpu;
    }
};

double us(nanoseconds t)
{
    return std::chrono::duration<double, std::micro>(t).count();
}

double percentile(std::vector<nanoseconds> values, std::size_t percent)
{
    auto const at = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) * percent / 100);
    std::nth_element(values.begin(), at, values.end());
    return us(*at);
}

using stream = reprise::client_stream<counting_socket>;

asio::awaitable<void> get_once(stream& tls, beast::flat_buffer& buffer)
{
    http::request<http::empty_body> request{http::verb::get, "/", 11};
    request.set(http::field::host, "localhost");
    request.keep_alive(false);
    co_await http::async_write(tls, request, asio::use_awaitable);
    http::response<http::string_body> response;
    co_await http::async_read(tls, buffer, response, asio::use_awaitable);
    if (response.result() != http::status::ok)
        throw std::runtime_error{"the server answered " + std::to_string(response.result_int())};
}

// Measure a block of full or of resumed connections. For full handshakes, the store is cleared before each connection.
asio::awaitable<samples> measure(server const& srv, asio::ssl::context& tls, reprise::session_store& store, bool resume,
                                 unsigned count)
{
    samples result;
    std::vector const endpoints{srv.endpoint()};
    auto const port = std::to_string(srv.endpoint().port());
    stream connection{co_await asio::this_coro::executor, tls, store};
    auto const server_before = srv.cpu();
    auto const client_before = cpu_time(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < count; ++i)
    {
        if (!resume)
            co_await store.clear();
        connection.next_layer().start_counting();
        auto const start = steady::now();
        auto const info = co_await connection.async_connect("localhost", port, {.endpoints = endpoints});
        if (info.resumed() != resume)
            throw std::runtime_error{resume ? "expected a resumed handshake, but it was full because: " +
                                                  std::string{to_string(info.reason)}
                                            : "expected a full handshake, but it resumed"};
        beast::flat_buffer buffer;
        co_await get_once(connection, buffer);
        result.latency.push_back(steady::now() - start);
        result.round_trips.push_back(connection.next_layer().round_trips());
        co_await connection.async_shutdown();
    }
    result.client_cpu = cpu_time(CLOCK_THREAD_CPUTIME_ID) - client_before;
    result.server_cpu = srv.cpu() - server_before;
    co_return result;
}

struct row
{
    samples full;
    samples resumed;
};

// Alternate between full and resumed, so that both run under the same load.
asio::awaitable<row> measure_kind(server const& srv, asio::ssl::context& tls, unsigned connections)
{
    auto const store = reprise::memory_session_store::make();
    constexpr unsigned blocks = 10;
    unsigned const per_block = std::max(1u, connections / blocks);
    (void)co_await measure(srv, tls, *store, false, 1); // warm up, and store a session
    row result;
    for (unsigned i = 0; i < blocks; ++i)
    {
        result.full.add(co_await measure(srv, tls, *store, false, per_block));
        result.resumed.add(co_await measure(srv, tls, *store, true, per_block));
    }
    co_return result;
}

void print(char const* name, char const* sort, samples const& s)
{
    auto const count = static_cast<double>(s.latency.size());
    double const round_trips = std::accumulate(s.round_trips.begin(), s.round_trips.end(), 0.0) / count;
    std::printf("%-25s %-8s %9.0f us %9.0f us %7.1f %12.0f us %9.0f us\n", name, sort, percentile(s.latency, 50),
                percentile(s.latency, 99), round_trips, us(s.server_cpu) / count, us(s.client_cpu) / count);
}

void print(char const* name, row const& r)
{
    print(name, "full", r.full);
    print("", "resumed", r.resumed);
    std::printf("%-25s %-8s %9.2f    %9.2f    %7s %12.2f    %9.2f\n\n", "", "ratio",
                percentile(r.resumed.latency, 50) / percentile(r.full.latency, 50),
                percentile(r.resumed.latency, 99) / percentile(r.full.latency, 99), "",
                us(r.resumed.server_cpu) / us(r.full.server_cpu), us(r.resumed.client_cpu) / us(r.full.client_cpu));
}

row run_kind(kind const& k, reprise::testing::certificate_authority const& authority, unsigned connections)
{
    server srv{authority.issue({"localhost"}), k};
    asio::ssl::context tls{asio::ssl::context::tls_client};
    tls.add_certificate_authority(asio::buffer(authority.pem()));
    asio::io_context io{1};
    row result;
    std::exception_ptr failure;
    asio::co_spawn(io, measure_kind(srv, tls, connections),
                   [&](std::exception_ptr e, row r)
                   {
                       failure = e;
                       result = std::move(r);
                   });
    io.run();
    if (failure)
        std::rethrow_exception(failure);
    // Both ends must agree on the number of resumed connections.
    auto const resumed = srv.stats().resumed_by_kind[static_cast<std::size_t>(k.expected)];
    if (resumed != result.resumed.latency.size())
        throw std::runtime_error{"the server resumed " + std::to_string(resumed) + " connections as " +
                                 std::string{to_string(k.expected)} + ", but the client resumed " +
                                 std::to_string(result.resumed.latency.size())};
    return result;
}

} // namespace

int main(int argc, char** argv)
try
{
    unsigned connections = 300;
    CLI::App app{"Compares full with resumed HTTPS connections on this machine."};
    app.add_option("--connections", connections, "Full connections, and resumed ones, for each kind of resumption")
        ->check(CLI::Range(10, 100'000))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);

    reprise::testing::certificate_authority const authority{"reprise demo authority"};
    std::printf("One GET per connection, %u full and %u resumed connections, P-256 certificate, %s.\n\n", connections,
                connections, ::OpenSSL_version(OPENSSL_VERSION));
    std::printf("%-25s %-8s %12s %12s %7s %15s %12s\n", "kind", "", "median", "p99", "trips", "server CPU",
                "client CPU");
    row all;
    for (auto const& k : kinds)
    {
        auto const r = run_kind(k, authority, connections);
        print(k.name, r);
        all.full.add(r.full);
        all.resumed.add(r.resumed);
    }
    std::printf(
        "Over all four kinds, a resumed connection took %.0f %% of the client's CPU time, %.0f %% of the server's CPU\n"
        "time and %.0f %% of the median latency of a full connection. Trips are round trips to the server, from the\n"
        "TCP handshake to the response: each adds the network's round-trip time.\n",
        100 * us(all.resumed.client_cpu) / us(all.full.client_cpu),
        100 * us(all.resumed.server_cpu) / us(all.full.server_cpu),
        100 * percentile(all.resumed.latency, 50) / percentile(all.full.latency, 50));
    return 0;
}
catch (std::exception const& e)
{
    std::fprintf(stderr, "demo: %s\n", e.what());
    return 1;
}
