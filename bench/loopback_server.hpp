// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "contexts.hpp"
#include "stopwatch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <cstddef>
#include <thread>

namespace bench {

/// A server on loopback with one thread for all its connections, which counts what it has done.
class loopback_server
{
public:
    explicit loopback_server(kind const& k);
    loopback_server(loopback_server const&) = delete;
    loopback_server& operator=(loopback_server const&) = delete;
    virtual ~loopback_server() = default;

    [[nodiscard]] asio::ip::tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }
    [[nodiscard]] nanoseconds cpu() const { return cpu_time(clock_); }
    [[nodiscard]] std::size_t served() const { return served_; } ///< connections that have ended
    [[nodiscard]] std::size_t failed() const { return failed_; } ///< those that threw
    [[nodiscard]] std::size_t resumed() const { return resumed_; }

    void start();
    void stop();

protected:
    asio::io_context& io() { return io_; }
    asio::ssl::context& tls() { return tls_; }
    void count(bool resumed) { resumed_ += resumed ? 1 : 0; }

private:
    virtual asio::awaitable<void> connection(asio::ip::tcp::socket socket) = 0;
    asio::awaitable<void> serve();

    asio::io_context io_{1};
    asio::ssl::context tls_;
    asio::ip::tcp::acceptor acceptor_;
    clockid_t clock_{};
    std::atomic<std::size_t> served_ = 0;
    std::atomic<std::size_t> failed_ = 0;
    std::atomic<std::size_t> resumed_ = 0;
    std::jthread thread_;
};

} // namespace bench
