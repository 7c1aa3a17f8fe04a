// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/server_stream.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

namespace example {

namespace asio = boost::asio;

/// Counters for the summary at the end.
struct service_counters
{
    std::atomic<std::uint64_t> connections{0};
    std::atomic<std::uint64_t> requests{0};
};

struct service_options
{
    /// Serve the files below this directory. Empty: serve a fixed page.
    std::optional<std::filesystem::path> docroot{};

    /// Timeout for receiving a whole request, and for the pause between two requests. Must be > 0 s.
    std::chrono::seconds request_timeout{30};

    reprise::server_options stream{};
};

/** A small HTTPS service that implements GET and HEAD. May be destroyed before the io_context.

    Answers other requests with 400, 405, 408, 413, 414, 417, 431, 501 or 505. Then closes the connection if the end of
    the request is not known.
*/
class service
{
public:
    /// Listen at the endpoint. @throws system_error of the socket.
    service(asio::io_context& io, asio::ip::tcp::endpoint const& at, reprise::session_cache cache,
            service_options options);

    [[nodiscard]] asio::ip::tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

    /// Accept data in a connection's first packet (TCP Fast Open).
    [[nodiscard]] boost::system::error_code enable_fast_open();

    /// Accept connections until `stop`, each on its own strand. Ends when all connections have ended.
    asio::awaitable<void> serve();

    /// Stop accepting, close connections that wait for another request, and finish the others. May be called on any
    /// thread.
    void stop();

    [[nodiscard]] service_counters const& counters() const noexcept { return counters_; }

private:
    struct connection;

    asio::awaitable<void> accept();
    asio::awaitable<void> talk(std::shared_ptr<connection> c);
    asio::awaitable<void> answer_requests(connection& c);
    asio::awaitable<bool> wait_for_request(connection& c);
    asio::awaitable<bool> answer_one(connection& c);
    void begin(asio::ip::tcp::socket socket);
    void end(std::shared_ptr<connection> const& c);

    asio::io_context& io_;
    reprise::session_cache cache_;
    service_options options_;
    service_counters counters_;
    std::atomic<bool> is_stopping_{false};

    asio::ip::tcp::acceptor acceptor_; // its strand also guards the members below
    std::set<std::shared_ptr<connection>> open_;
    asio::steady_timer all_ended_;
};

} // namespace example
