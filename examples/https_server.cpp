// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// An HTTPS server that resumes the TLS sessions of its clients.

#include "common/early_options.hpp"
#include "common/service.hpp"
#include "common/ticket_options.hpp"
#include "common/tls_options.hpp"
#include "common/url.hpp"

#include <reprise/storage/make_storage.hpp>
#include <reprise/testing/certificate.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <system_error>
#include <thread>

#include <unistd.h>

namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

constexpr std::chrono::seconds longest_stop{5};

struct arguments
{
    std::string listen = "127.0.0.1:8443";
    std::string cert;
    std::string key;
    std::string client_ca;
    example::tls_options tls;
    std::string id_context = "https_server/v1";
    unsigned timeout = 300;
    std::string mode = "server";
    example::ticket_options tickets;
    unsigned num_tickets = 1;
    std::string storage = "memory";
    example::early_options early;
    bool fast_open = false;
    unsigned threads = 1;
    std::string docroot;
    unsigned handshake_timeout = 10;
    unsigned request_timeout = 30;
};

void declare(CLI::App& app, arguments& a)
{
    app.add_option("--listen", a.listen, "ADDR:PORT to listen on; port 0 picks a free port")->capture_default_str();
    auto* const cert = app.add_option("--cert", a.cert, "PEM file of the certificate chain; without it, one is made")
                           ->check(CLI::ExistingFile);
    app.add_option("--key", a.key, "PEM file of the private key; without it, the file of --cert")
        ->needs(cert)
        ->check(CLI::ExistingFile);
    app.add_option("--client-ca", a.client_ca, "Require client certificates that are signed by this CA (PEM file)")
        ->check(CLI::ExistingFile);
    example::declare(app, a.tls);
    app.add_option("--id-context", a.id_context, "Session id context: name of what the sessions are for, 1 to 32 bytes")
        ->capture_default_str();
    app.add_option("--timeout", a.timeout, "Session lifetime in seconds")->capture_default_str();
    app.add_option("--mode", a.mode,
                   "Cache mode: off, server or openssl-internal; openssl-internal may have any of +no-auto-flush, "
                   "+no-internal, +no-internal-lookup, +no-internal-store")
        ->capture_default_str();
    example::declare(app, a.tickets);
    app.add_option("--num-tickets", a.num_tickets, "Number of TLS 1.3 tickets after a full handshake")
        ->capture_default_str();
    app.add_option("--storage", a.storage, "Store sessions in: memory, lmdb:PATH or redis:URL")->capture_default_str();
    example::declare(app, a.early);
    app.add_flag("--fast-open", a.fast_open, "Accept data in the first packet (TCP Fast Open)");
    app.add_option("--threads", a.threads, "Number of threads")->check(CLI::Range(1, 256))->capture_default_str();
    app.add_option("--docroot", a.docroot, "Serve the files below this directory instead of a fixed page")
        ->check(CLI::ExistingDirectory);
    app.add_option("--handshake-timeout", a.handshake_timeout, "Timeout of a handshake in seconds")
        ->capture_default_str();
    app.add_option("--request-timeout", a.request_timeout,
                   "Timeout in seconds for receiving a request, and for the pause between two requests")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
}

reprise::cache_mode parse_mode(std::string const& text)
{
    using reprise::cache_mode;
    static std::map<std::string, cache_mode> const names = {
        {"off", cache_mode::off},
        {"server", cache_mode::server},
        {"openssl-internal", cache_mode::openssl_internal},
        {"no-auto-flush", cache_mode::no_auto_flush},
        {"no-internal", cache_mode::no_internal},
        {"no-internal-lookup", cache_mode::no_internal_lookup},
        {"no-internal-store", cache_mode::no_internal_store},
    };
    auto mode = cache_mode::off;
    for (auto const& part : CLI::detail::split(text, '+'))
    {
        auto const at = names.find(part);
        if (at == names.end())
            throw std::runtime_error{"--mode: unknown part '" + part + "'; see --help"};
        mode = mode | at->second;
    }
    return mode;
}

tcp::endpoint parse_endpoint(std::string const& text)
{
    auto const colon = text.rfind(':');
    if (colon == std::string::npos)
        throw std::runtime_error{"--listen: expected ADDR:PORT, got '" + text + "'"};
    auto host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[')
        host = host.substr(1, host.size() - 2);
    boost::system::error_code ec;
    auto const address = asio::ip::make_address(host, ec);
    auto const port = example::parse_port(std::string_view{text}.substr(colon + 1));
    if (ec || !port)
        throw std::runtime_error{"--listen: not an address and port: '" + text +
                                 "'; write 127.0.0.1:8443 or [::1]:8443"};
    return {address, *port};
}

// A file with the CA certificate for clients. Removed when the server ends.
class ca_file
{
public:
    explicit ca_file(std::string const& pem)
    {
        char const* const directory = std::getenv("TMPDIR");
        path_ = std::filesystem::path{directory != nullptr ? directory : "/tmp"} / "reprise-ca-XXXXXX.pem";
        int const fd = ::mkstemps(path_.data(), 4); // a new file, which no other user can have prepared
        if (fd < 0)
            fail("create");
        ::close(fd);
        if (std::ofstream out{path_}; out << pem << std::flush)
            return;
        int const why = errno;
        ::unlink(path_.c_str());
        errno = why;
        fail("write");
    }
    ca_file(ca_file const&) = delete;
    ca_file& operator=(ca_file const&) = delete;
    ~ca_file() { ::unlink(path_.c_str()); }

    [[nodiscard]] std::string const& path() const noexcept { return path_; }

private:
    [[noreturn]] void fail(std::string const& verb) const
    {
        throw std::system_error{errno, std::generic_category(),
                                "cannot " + verb + " the CA certificate " + path_ +
                                    " (set TMPDIR, or give --cert and --key)"};
    }

    std::string path_;
};

// Without --cert, make a certificate authority for this run. A client can trust it with --ca.
std::unique_ptr<ca_file> make_certificate(asio::ssl::context& tls)
{
    reprise::testing::certificate_authority const authority{"reprise example authority"};
    auto const own = authority.issue({"localhost", "127.0.0.1", "::1"});
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    return std::make_unique<ca_file>(authority.pem());
}

asio::ssl::context make_context(arguments const& a)
{
    asio::ssl::context tls{asio::ssl::context::tls_server};
    example::apply(a.tls, tls);
    if (!a.cert.empty())
        example::use_certificate(tls, a.cert, a.key);
    if (!a.client_ca.empty())
    {
        example::load("--client-ca", a.client_ca, [&] { tls.load_verify_file(a.client_ca); });
        ::SSL_CTX_set_client_CA_list(tls.native_handle(), ::SSL_load_client_CA_file(a.client_ca.c_str()));
        tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
    return tls;
}

// Make the storage, for modes that use one. Other modes refuse --storage.
reprise::storage_ptr storage_for(reprise::cache_mode mode, std::string const& line)
{
    if (has(mode, reprise::cache_mode::server))
        try
        {
            return reprise::make_storage(line);
        }
        catch (std::exception const& e)
        {
            throw std::runtime_error{std::string{"--storage: "} + e.what()};
        }
    if (line != "memory")
        throw std::runtime_error{"--storage: needs --mode server"};
    return nullptr;
}

void print_summary(reprise::session_cache const& cache, example::service_counters const& counters)
{
    auto const stats = cache.stats();
    std::cout << "connections " << counters.connections << ", requests " << counters.requests << '\n'
              << "handshakes: full " << stats.full << ", resumed " << stats.resumed << ", failed " << stats.failed
              << '\n';
    for (std::size_t i = 0; i < stats.resumed_by_kind.size(); ++i)
        if (stats.resumed_by_kind[i] != 0)
            std::cout << "  resumed by " << to_string(static_cast<reprise::resumption_kind>(i)) << ": "
                      << stats.resumed_by_kind[i] << '\n';
    for (std::size_t i = 0; i < stats.full_by_reason.size(); ++i)
        if (stats.full_by_reason[i] != 0)
            std::cout << "  full because " << to_string(static_cast<reprise::full_handshake_reason>(i)) << ": "
                      << stats.full_by_reason[i] << '\n';
    std::cout << "sessions: stored " << stats.stored << ", held " << stats.entries << " (" << stats.bytes
              << " bytes), expired " << stats.expired << ", evicted " << stats.evicted << ", storage errors "
              << stats.storage_errors << '\n';
    example::print_tickets(std::cout, cache);
    example::print_early_data(std::cout, stats);
    std::cout << std::flush;
}

reprise::session_cache make_cache(asio::ssl::context& tls, arguments const& a)
try
{
    auto const mode = parse_mode(a.mode);
    auto early = example::make_early_data(a.early);
    auto tickets = a.tickets;
    if (example::needs_single_use_tickets(a.early) && !tickets.tickets && !tickets.keys)
        tickets.tickets = "off";
    return {tls,
            {.id_context = a.id_context,
             .session_lifetime = std::chrono::seconds{a.timeout},
             .mode = mode,
             .tickets = example::make_ticket_keys(tickets),
             .num_tickets = a.num_tickets,
             .early_data = std::move(early),
             .storage = storage_for(mode, a.storage)}};
}
catch (reprise::system_error const& e)
{
    if (!example::is_about_ticket_keys(e))
        throw;
    throw std::runtime_error{std::string{"--ticket-keys: "} + e.what()};
}

// After a signal, finish requests in progress. Stop at once after `longest_stop`, or after a second signal.
void stop_at_signal(asio::io_context& io, asio::signal_set& signals, asio::steady_timer& limit,
                    example::service& service)
{
    auto const end = [&](boost::system::error_code) { io.stop(); };
    signals.async_wait(
        [&, end](boost::system::error_code, int)
        {
            service.stop();
            signals.async_wait([end](boost::system::error_code ec, int) { end(ec); });
            limit.expires_after(longest_stop);
            limit.async_wait(end);
        });
}

asio::awaitable<void> serve_until_stopped(asio::io_context& io, example::service& service, reprise::session_cache cache)
{
    co_await service.serve();
    co_await cache.drain();
    io.stop(); // do not wait for signals
}

int serve(arguments const& a)
{
    auto tls = make_context(a);
    auto const ca = a.cert.empty() ? make_certificate(tls) : nullptr;
    auto const cache = make_cache(tls, a);
    auto const endpoint = parse_endpoint(a.listen);

    asio::io_context io{static_cast<int>(a.threads)};
    example::fetch_ticket_keys(io, cache, a.tickets);
    example::service_options options{.request_timeout = std::chrono::seconds{a.request_timeout},
                                     .stream = {.handshake_timeout = std::chrono::seconds{a.handshake_timeout}}};
    if (!a.docroot.empty())
        options.docroot = a.docroot;
    example::service service{io, endpoint, cache, std::move(options)};
    asio::co_spawn(io, serve_until_stopped(io, service, cache), asio::detached);
    asio::signal_set signals{io, SIGINT, SIGTERM};
    asio::steady_timer limit{io};
    stop_at_signal(io, signals, limit, service);
    if (a.fast_open)
        if (auto const ec = service.enable_fast_open())
            throw std::runtime_error{"--fast-open: " + ec.message()};
    if (ca)
        std::cout << "CA certificate: " << ca->path() << std::endl;
    std::cout << "listening on https://" << service.endpoint() << std::endl;

    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < a.threads; ++i)
        threads.emplace_back([&] { io.run(); });
    io.run();
    threads.clear();
    print_summary(cache, service.counters());
    return 0;
}

} // namespace

int main(int argc, char** argv)
try
{
    arguments a;
    CLI::App app{"Serves HTTPS and resumes the TLS sessions of its clients."};
    declare(app, a);
    CLI11_PARSE(app, argc, argv);
    return serve(a);
}
catch (std::exception const& e)
{
    std::cerr << "https_server: " << e.what() << '\n';
    return 1;
}
