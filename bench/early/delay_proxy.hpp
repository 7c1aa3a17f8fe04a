// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <atomic>
#include <chrono>
#include <thread>

namespace bench {

namespace asio = boost::asio;

/** Stands between a client and a server on loopback, as far from each other as one likes.

    Bytes are delayed, in order and however many are under way; they are neither lost nor slowed down. The proxy itself
    accepts at once, so it makes up for the round trip of TCP's handshake: what the client writes counts as sent when
    that would have been over. What came with the SYN (TCP Fast Open) has left before, but no more of it than a packet
    of an ordinary network would have carried.
*/
class delay_proxy
{
public:
    /// With a thread of its own, until it is destroyed.
    /// @throws system_error, if it is to accept Fast Open and may not.
    delay_proxy(asio::ip::tcp::endpoint server, bool fast_open);
    delay_proxy(delay_proxy const&) = delete;
    delay_proxy& operator=(delay_proxy const&) = delete;
    ~delay_proxy();

    [[nodiscard]] asio::ip::tcp::endpoint endpoint() const { return acceptor_.local_endpoint(); }

    /// Of connections that are made from now on.
    void set_distance(std::chrono::milliseconds one_way) { distance_ = one_way; }

private:
    asio::awaitable<void> accept();
    asio::awaitable<void> join(asio::ip::tcp::socket client);

    asio::ip::tcp::endpoint server_;
    std::atomic<std::chrono::milliseconds> distance_{std::chrono::milliseconds{0}};
    asio::io_context io_{1};
    asio::ip::tcp::acceptor acceptor_;
    std::jthread thread_;
};

} // namespace bench
