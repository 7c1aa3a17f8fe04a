// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/printers.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/server_stream.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/testing/certificate.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/read.hpp>

#include <doctest/doctest.h>
#include <openssl/tls1.h>

#include <functional>
#include <string>
#include <vector>

namespace test {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio::ip::tcp;
using reprise::error_code;

/// The authority that all tests trust, made once.
reprise::testing::certificate_authority const& authority();

/// A server context with a certificate for a.test, b.test and localhost.
asio::ssl::context server_context(std::vector<std::string> const& names = {"a.test", "b.test", "localhost",
                                                                           "127.0.0.1"});

/// A client context that trusts `authority` and verifies.
asio::ssl::context client_context();

void set_versions(asio::ssl::context& tls, int lowest, int highest);

/** Where everything of a test on this context runs: the context's own executor, or, where the environment variable
    REPRISE_TEST_STRAND is set, one strand for all. `run` has two threads then.
*/
asio::any_io_executor executor_of(asio::io_context& io);

/// Run to the end. A test that hangs fails: nothing may take longer than the limit.
void run(asio::io_context& io, asio::awaitable<void> test, std::chrono::seconds limit = 20s);

/// One kind of resumption, and how a server is set up for it.
struct kind
{
    char const* name;
    reprise::resumption_kind on_server;
    reprise::resumption_kind on_client;
    int version;
    bool tickets;
};
inline std::vector<kind> const kinds = {
    {"TLS 1.2 session id", reprise::resumption_kind::tls12_session_id, reprise::resumption_kind::tls12_session_id,
     TLS1_2_VERSION, false},
    {"TLS 1.2 ticket", reprise::resumption_kind::tls12_ticket, reprise::resumption_kind::tls12_ticket, TLS1_2_VERSION,
     true},
    {"TLS 1.3 stateless", reprise::resumption_kind::tls13_stateless, reprise::resumption_kind::tls13_ticket,
     TLS1_3_VERSION, true},
    {"TLS 1.3 stateful", reprise::resumption_kind::tls13_stateful, reprise::resumption_kind::tls13_ticket,
     TLS1_3_VERSION, false},
};

/// A socket whose operations, and those of the streams on it, are awaited where no token is given.
using awaiting_socket = asio::use_awaitable_t<>::as_default_on_t<tcp::socket>;

using server_side = reprise::server_stream<awaiting_socket>;
using client_side = reprise::client_stream<awaiting_socket>;

/// What a server does with a connection after the handshake.
using conversation = std::function<asio::awaitable<void>(server_side&)>;

/// Answer with one byte, then shut down. A client that is gone already is within its rights.
asio::awaitable<void> answer_and_shut_down(server_side& stream);

/// A server on loopback that serves until it is destroyed.
class server
{
public:
    server(asio::io_context& io, reprise::session_cache cache, reprise::server_options options = {},
           conversation talk = answer_and_shut_down);

    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
    [[nodiscard]] tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
    [[nodiscard]] tcp::acceptor& acceptor() noexcept { return acceptor_; }
    void stop() { acceptor_.close(); }

    std::vector<reprise::handshake_info> handshakes; ///< of all connections, in the order in which they were done
    std::vector<error_code> failures;                ///< of those that failed

private:
    asio::awaitable<void> serve();
    asio::awaitable<void> session(tcp::socket socket);

    reprise::session_cache cache_;
    reprise::server_options options_;
    conversation talk_;
    tcp::acceptor acceptor_;
};

/// The service of endpoints: the port of the first one.
[[nodiscard]] inline std::string port_of(std::vector<tcp::endpoint> const& endpoints)
{
    return endpoints.empty() ? "443" : std::to_string(endpoints.front().port());
}

/// Read the server's byte, up to the end of the stream.
asio::awaitable<void> read_all(client_side& stream);

/// Options of a cache for this kind of resumption, completed.
[[nodiscard]] reprise::session_cache_options cache_options(kind const& k, reprise::session_cache_options from = {});

/// How a world is made; each part has its default.
struct setup
{
    kind of = kinds[3];
    reprise::session_cache_options cache{};
    reprise::server_options server{};
    conversation talk = answer_and_shut_down;
    std::function<void(asio::ssl::context&)> configure = [](asio::ssl::context&) {}; ///< the server's context
};

/// One server, one client context, one store.
struct world
{
    explicit world(setup s = {});

    [[nodiscard]] client_side stream(reprise::client_options options = {});

    /// Connect to "localhost", read the answer, shut down.
    asio::awaitable<reprise::handshake_info> visit(client_side& stream);

    /// Run a test on this world's io_context.
    void run(std::function<asio::awaitable<void>()> test) { test::run(io, test()); }

    asio::io_context io;
    asio::ssl::context server_tls;
    asio::ssl::context client_tls;
    reprise::session_cache cache;
    std::shared_ptr<reprise::memory_session_store> store;
    server srv;
};

} // namespace test
