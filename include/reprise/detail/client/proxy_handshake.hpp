// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/client/response_head.hpp>
#include <reprise/error.hpp>
#include <reprise/http_proxy.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace reprise::detail {

namespace asio = boost::asio;

/// `CONNECT host:port` for this proxy. Nothing, if what it is made of would make another request of it, or the service has no
/// port.
[[nodiscard]] std::optional<std::string> connect_request(http_proxy const& proxy, std::string const& host,
                                                         std::string const& service);

/// Whether there is a proxy, and what is said to it stays on its line.
[[nodiscard]] bool can_be_asked(http_proxy const& proxy);

/// The name under which sessions through this proxy are filed.
[[nodiscard]] std::string route_of(http_proxy const& proxy);

/** Reads the proxy's answer to CONNECT. Its bytes are untrusted.

    The answer is complete at the end of its head: a 2xx has no body, whatever its Content-Length or Transfer-Encoding says
    (RFC 9110, 9.3.6), and nobody reads the body of another. All heads together, interim ones included, have at most 16 KiB.
*/
class proxy_reply
{
public:
    /// More bytes. @return Whether the answer is complete: it was yes. An error says why not.
    [[nodiscard]] bool put(std::string_view bytes, error_code& ec);

private:
    std::size_t left_ = std::size_t{16} * 1024; // of the limit, at the beginning of this head
    response_head head_{left_};
    std::size_t size_ = 0; // of this head
};

/// Say this `connect_request` to the proxy at the other end of `stream`.
template <class Stream>
asio::awaitable<error_code> ask_proxy(Stream& stream, std::string request)
{
    constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
    auto const [failed, written] = co_await asio::async_write(stream, asio::buffer(request), no_throw);
    if (failed)
        co_return failed;
    proxy_reply reply;
    std::array<char, 1024> bytes;
    for (bool complete = false; !complete;)
    {
        auto [ec, size] = co_await stream.async_read_some(asio::buffer(bytes), no_throw);
        if (ec)
            co_return ec;
        complete = reply.put({bytes.data(), size}, ec);
        if (ec)
            co_return ec;
    }
    co_return error_code{};
}

} // namespace reprise::detail
