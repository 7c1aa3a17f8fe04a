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

/// Make the request `CONNECT host:port` for this proxy. Returns nothing if the service has no port, or if the host or
/// the proxy's options contain characters that would change the request.
[[nodiscard]] std::optional<std::string> connect_request(http_proxy const& proxy, std::string const& host,
                                                         std::string const& service);

/// Whether the proxy has a host and a service, and an authorization of one line.
[[nodiscard]] bool can_be_asked(http_proxy const& proxy);

/// The `session_scope::route` of connections through this proxy.
[[nodiscard]] std::string route_of(http_proxy const& proxy);

/** Reads a proxy's response to CONNECT. Its bytes are untrusted.

    The response is complete at the end of its head. A 2xx response has no body, whatever its Content-Length or
    Transfer-Encoding says (RFC 9110, 9.3.6). The body of another response is not read. All heads together, interim
    responses included, may have at most 16 KiB.
*/
class proxy_reply
{
public:
    /// Process more bytes. @return Whether a complete response has accepted the request. @param ec Why the request was
    /// refused, or the response is invalid.
    [[nodiscard]] bool put(std::string_view bytes, error_code& ec);

private:
    std::size_t left_ = std::size_t{16} * 1024; // bytes left of the limit when this head began
    response_head head_{left_};
    std::size_t size_ = 0; // bytes of this head
};

/// Send a `connect_request` to the proxy at the other end of `stream`, and read the response. @return An error of the
/// stream, or why the proxy refused.
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
