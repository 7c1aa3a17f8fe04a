// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Fetches URLs several times and reconnects in between. Prints for each connection whether it resumed.

#include "common/store_options.hpp"
#include "common/tls_options.hpp"
#include "common/url.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/explain.hpp>
#include <reprise/http/request.hpp>
#include <reprise/http/retry_request.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <iomanip>
#include <iostream>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct arguments
{
    std::vector<std::string> urls;
    unsigned repeat = 2;
    std::string ca;
    std::string cert;
    std::string key;
    example::tls_options tls;
    example::store_options store;
    bool no_tickets = false;
    bool keep_alive = false;
    bool explain = false;
    bool early_data = false;
    bool fast_open = false;
    unsigned concurrency = 1;
    bool json = false;
};

void declare(CLI::App& app, arguments& a)
{
    app.add_option("URL", a.urls, "URLs to fetch: https://HOST[:PORT][/PATH][?QUERY]")->required();
    app.add_option("--repeat", a.repeat, "Number of requests to each URL, one after another")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    app.add_option("--ca", a.ca, "PEM file of the CA to trust; without it, the system's CAs")->check(CLI::ExistingFile);
    auto* const cert = app.add_option("--cert", a.cert,
                                      "PEM file of the client's certificate chain; its sessions stay in this process")
                           ->check(CLI::ExistingFile);
    app.add_option("--key", a.key, "PEM file of the client's private key; without it, the file of --cert")
        ->needs(cert)
        ->check(CLI::ExistingFile);
    example::declare(app, a.tls);
    example::declare(app, a.store);
    app.add_flag("--explain", a.explain, "Before each connection, print which session it would offer, or why none");
    app.add_flag("--no-tickets", a.no_tickets, "Do not use TLS 1.2 tickets, so that TLS 1.2 resumes with session ids");
    app.add_flag("--keep-alive", a.keep_alive,
                 "Reuse the connection for the next request, if the server keeps it open");
    app.add_flag("--early-data", a.early_data, "Send the request as early data (0-RTT), if the session allows it");
    app.add_flag("--fast-open", a.fast_open, "Send the first flight in the first packet (TCP Fast Open)");
    app.add_option("--concurrency", a.concurrency, "Number of workers; each fetches all URLs")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_flag("--json", a.json, "Print one JSON object per request instead of a line of text");
}

// Result of one request. `new_connection` is false if the request reused an open connection.
struct outcome
{
    std::string error;
    bool new_connection = true;
    reprise::handshake_info handshake;
    unsigned status = 0;
    std::optional<steady::duration> handshake_time; // empty if the request was sent in the first flight
    steady::duration total_time{};

    [[nodiscard]] bool ok() const { return error.empty() && status >= 200 && status < 400; }
};

double ms(steady::duration d)
{
    return std::chrono::duration<double, std::milli>(d).count();
}

void print_json(std::string const& address, outcome const& o)
{
    json::object line{{"url", address}, {"ok", o.ok()}};
    if (!o.error.empty())
        line["error"] = o.error;
    else
    {
        line["new_connection"] = o.new_connection;
        line["resumed"] = o.handshake.resumed();
        line["kind"] = to_string(o.handshake.resumption);
        line["protocol"] = to_string(o.handshake.protocol);
        line["cipher"] = o.handshake.cipher;
        line["reason"] = to_string(o.handshake.reason);
        line["early_data"] = to_string(o.handshake.early_data);
        line["early_reason"] = to_string(o.handshake.early_reason);
        line["status"] = o.status;
        if (o.handshake_time)
            line["handshake_ms"] = ms(*o.handshake_time);
    }
    line["total_ms"] = ms(o.total_time);
    std::cout << json::serialize(line) << '\n';
}

void print_text(std::string const& address, outcome const& o)
{
    std::cout << address << "  ";
    if (!o.error.empty())
        std::cout << "failed: " << o.error << '\n';
    else
    {
        auto const& h = o.handshake;
        std::cout << (o.new_connection ? (h.resumed() ? "resumed  " : "full     ") : "kept     ") << std::left
                  << std::setw(17) << (h.resumed() ? to_string(h.resumption) : to_string(h.reason))
                  << to_string(h.protocol) << "  HTTP " << o.status << std::fixed << std::setprecision(2);
        if (o.handshake_time)
            std::cout << "  handshake " << ms(*o.handshake_time) << " ms";
        else
            std::cout << "  early data " << to_string(h.early_data);
        if (!o.handshake_time && h.early_data != reprise::early_data_status::accepted)
            std::cout << " (" << to_string(h.early_reason) << ')';
        std::cout << "  total " << ms(o.total_time) << " ms\n";
    }
}

// One worker's connection to one URL. The buffer may hold bytes of the next response.
struct connection
{
    reprise::client_stream<> stream;
    beast::flat_buffer buffer{};
    bool open = false;
    bool ever_connected = false;
};

using response_type = http::response<http::string_body>;

// Connects and sends the request in one operation, so that the request may go as early data.
asio::awaitable<void> fetch_early(connection& c, example::url const& u, http::request<http::empty_body> const& request,
                                  response_type& response)
{
    using reprise::early_request;
    if (c.ever_connected)
        co_await reprise::async_reconnect_and_request(c.stream, request, c.buffer, response, early_request::if_safe);
    else
        co_await reprise::async_connect_and_request(c.stream, u.host, u.port, request, c.buffer, response,
                                                    early_request::if_safe);
}

asio::awaitable<void> connect(connection& c, example::url const& u)
{
    c.buffer.clear();
    if (c.ever_connected)
        co_await c.stream.async_reconnect();
    else
        co_await c.stream.async_connect(u.host, u.port);
}

asio::awaitable<outcome> fetch(connection& c, example::url const& u, bool keep_alive, bool early_data)
{
    outcome result;
    auto const start = steady::now();
    try
    {
        result.new_connection = !c.open;
        http::request<http::empty_body> request{http::verb::get, u.target, 11};
        request.set(http::field::host, u.authority);
        request.set(http::field::user_agent, "reprise");
        response_type response;
        if (!c.open && early_data)
            co_await fetch_early(c, u, request, response);
        else
        {
            if (!c.open)
                co_await connect(c, u);
            result.handshake_time = steady::now() - start;
            auto const how = co_await reprise::async_request(c.stream, request, c.buffer, response,
                                                             reprise::request_retry::if_idempotent);
            result.new_connection = result.new_connection || how.reconnected;
        }
        c.ever_connected = true;
        c.open = c.stream.is_open();
        result.handshake = c.stream.handshake();
        result.status = response.result_int();
        result.total_time = steady::now() - start;
        if (!keep_alive || !c.open)
        {
            co_await c.stream.async_shutdown(); // also captures tickets that were not read yet
            c.open = false;
        }
    }
    catch (boost::system::system_error const& e)
    {
        result.error = e.code().message();
        result.total_time = steady::now() - start;
        c.stream.close();
        c.open = false;
    }
    co_return result;
}

asio::awaitable<void> work(arguments const& a, asio::ssl::context& tls, reprise::session_store& store, bool& all_ok)
{
    for (auto const& address : a.urls)
    {
        auto const u = example::parse_https_url(address);
        reprise::client_options options;
        options.fast_open = a.fast_open;
        options.policy_tag = "https_client"; // the context has no settings that reprise cannot read
        options.lookup_timeout = 1s;         // a store on a busy disk may need longer than the default
        reprise::client_stream<> stream{co_await asio::this_coro::executor, tls, store, options};
        connection c{std::move(stream)};
        for (unsigned i = 0; i < a.repeat; ++i)
        {
            if (a.explain && !c.open)
            {
                auto const e = co_await reprise::explain(u.host, u.port, tls, store, options);
                (a.json ? std::cerr : std::cout) << to_string(e);
            }
            auto const result = co_await fetch(c, u, a.keep_alive && i + 1 < a.repeat, a.early_data);
            all_ok = all_ok && result.ok();
            a.json ? print_json(address, result) : print_text(address, result);
        }
    }
}

asio::ssl::context make_context(arguments const& a)
{
    asio::ssl::context tls{asio::ssl::context::tls_client};
    example::apply(a.tls, tls);
    tls.set_verify_mode(asio::ssl::verify_peer);
    if (a.ca.empty())
        tls.set_default_verify_paths();
    else
        tls.load_verify_file(a.ca);
    if (!a.cert.empty())
        example::use_certificate(tls, a.cert, a.key);
    if (a.no_tickets)
        ::SSL_CTX_set_options(tls.native_handle(), SSL_OP_NO_TICKET);
    return tls;
}

// Run a task until it has ended. Rethrows its exception.
void complete(asio::io_context& io, asio::awaitable<void> task)
{
    asio::co_spawn(io, std::move(task),
                   [](std::exception_ptr e)
                   {
                       if (e)
                           std::rethrow_exception(e);
                   });
    io.run();
    io.restart();
}

asio::awaitable<void> work_side_by_side(arguments const& a, asio::ssl::context& tls, reprise::session_store& store,
                                        bool& all_ok)
{
    auto const executor = co_await asio::this_coro::executor;
    for (unsigned i = 0; i < a.concurrency; ++i)
        asio::co_spawn(executor, work(a, tls, store, all_ok),
                       [](std::exception_ptr e)
                       {
                           if (e)
                               std::rethrow_exception(e);
                       });
}

int run(arguments const& a)
{
    for (auto const& address : a.urls)
        (void)example::parse_https_url(address); // check all URLs before connecting
    auto tls = make_context(a);
    asio::io_context io{1};
    auto const store = example::make_store(a.store, std::max<std::size_t>(8, a.concurrency), io.get_executor());
    complete(io, example::import_sessions(a.store, *store));
    bool all_ok = true;
    complete(io, work_side_by_side(a, tls, *store, all_ok));
    complete(io, example::export_sessions(a.store, *store));
    return all_ok ? 0 : 1;
}

} // namespace

int main(int argc, char** argv)
try
{
    arguments a;
    CLI::App app{"Fetches URLs several times and resumes TLS sessions."};
    declare(app, a);
    CLI11_PARSE(app, argc, argv);
    return run(a);
}
catch (std::exception const& e)
{
    std::cerr << "https_client: " << e.what() << '\n';
    return 1;
}
