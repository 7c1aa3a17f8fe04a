// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/client/client_stream.hpp>
#include <reprise/client/early_data.hpp>
#include <reprise/http/early_methods.hpp>
#include <reprise/io/initiate.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace reprise {

/// Which requests a client sends early.
enum class early_request
{
    if_safe, ///< those whose method is safe (RFC 9110, 9.2.1)
    always,  ///< this one, whatever its method: the caller knows that it may be done twice
    never,
};

namespace detail {

struct http_peer
{
    std::string host;
    std::string service;
};

template <class Body, class Fields>
std::string to_bytes(boost::beast::http::request<Body, Fields> const& request, error_code& ec)
{
    boost::beast::http::request_serializer<Body, Fields> serializer{request};
    std::string bytes;
    while (!ec && !serializer.is_done())
        serializer.next(ec,
                        [&](error_code&, auto const& buffers)
                        {
                            auto const size = bytes.size();
                            for (asio::const_buffer const part : boost::beast::buffers_range_ref(buffers))
                                bytes.append(static_cast<char const*>(part.data()), part.size());
                            serializer.consume(bytes.size() - size);
                        });
    return bytes;
}

template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Fields>
class http_exchange
{
public:
    client_stream<NextLayer>& stream;
    boost::beast::http::request<RequestBody, RequestFields> const& request;
    DynamicBuffer& buffer;
    boost::beast::http::response<Body, Fields>& response;

    asio::awaitable<outcome<handshake_info>> run(std::optional<http_peer> to, early_request early)
    {
        bool const goes_early =
            early == early_request::always || (early == early_request::if_safe && is_safe_method(request.method()));
        error_code ec;
        if (goes_early)
            ec = co_await connect_with(to);
        else
        {
            ec = co_await connect(to);
            if (!ec)
                ec = co_await write();
        }
        if (!ec)
            ec = co_await read();
        if (!ec && response.result_int() == too_early_status &&
            stream.handshake().early_data == early_data_status::accepted)
            ec = co_await send_again();
        co_return outcome<handshake_info>{ec, stream.handshake()};
    }

private:
    static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

    // Not with ?:, of which GCC 12 destroys both ends.
    asio::awaitable<error_code> connect(std::optional<http_peer> const& to)
    {
        if (!to)
            co_return std::get<0>(co_await stream.async_reconnect(no_throw));
        co_return std::get<0>(co_await stream.async_connect(to->host, to->service, no_throw));
    }

    asio::awaitable<error_code> connect_with(std::optional<http_peer> const& to)
    {
        error_code ec;
        auto const bytes = to_bytes(request, ec);
        if (ec)
            co_return ec;
        early_data const early{asio::buffer(bytes)};
        if (!to)
            co_return std::get<0>(co_await stream.async_reconnect(early, no_throw));
        co_return std::get<0>(co_await stream.async_connect(to->host, to->service, early, no_throw));
    }

    asio::awaitable<error_code> write()
    {
        co_return std::get<0>(co_await boost::beast::http::async_write(stream, request, no_throw));
    }

    asio::awaitable<error_code> read()
    {
        response = {};
        co_return std::get<0>(co_await boost::beast::http::async_read(stream, buffer, response, no_throw));
    }

    // Once, and not early: the handshake is complete by now.
    asio::awaitable<error_code> send_again()
    {
        error_code ec;
        if (!response.keep_alive())
        {
            std::tie(ec) = co_await stream.async_shutdown(no_throw);
            buffer.consume(buffer.size());
            if (!ec)
                ec = co_await connect({});
        }
        if (!ec)
            ec = co_await write();
        if (!ec)
            ec = co_await read();
        co_return ec;
    }
};

template <class Exchange>
asio::awaitable<outcome<handshake_info>> run_exchange(Exchange exchange, std::optional<http_peer> to,
                                                      early_request early)
{
    co_return co_await exchange.run(std::move(to), early);
}

template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Fields,
          class Token>
auto async_exchange(client_stream<NextLayer>& stream, std::optional<http_peer> to,
                    boost::beast::http::request<RequestBody, RequestFields> const& request, DynamicBuffer& buffer,
                    boost::beast::http::response<Body, Fields>& response, early_request early, Token&& token)
{
    auto start = [to = std::move(to), early, &stream, &request, &buffer, &response]() mutable
    {
        buffer.consume(buffer.size()); // of an earlier connection
        using exchange = http_exchange<NextLayer, RequestBody, RequestFields, DynamicBuffer, Body, Fields>;
        return run_exchange(exchange{stream, request, buffer, response}, std::move(to), early);
    };
    return initiate<handshake_info>(stream.get_executor(), std::move(start), std::forward<Token>(token));
}

} // namespace detail

/** Connect, send a request and read its response; the request goes with the first flight if it may and the session allows.

    Nothing is added to the request. A response of 425 Too Early to a request that went early is not delivered: the request
    is sent once more, after the handshake, and on a new connection if the server closes this one (RFC 8470, 5.2). The stream
    stays connected.

    @param request What its serializer gives is held in memory while it goes early.
    @param buffer Holds what was read beyond the response. What it holds at the start is dropped.

    @par Completion Signature
    @code void(error_code, handshake_info) @endcode

    @par Object Lifetimes
    Stream, request, buffer and response must outlive the operation.

    @par Per-Operation Cancellation
    `terminal`, as `client_stream::async_connect`.

    @par Errors
    Those of connecting, writing and reading. The server may have processed the request all the same.
*/
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Fields,
          asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
auto async_connect_and_request(client_stream<NextLayer>& stream, std::string_view host, std::string_view service,
                               boost::beast::http::request<RequestBody, RequestFields> const& request,
                               DynamicBuffer& buffer, boost::beast::http::response<Body, Fields>& response,
                               early_request early, Token&& token = {})
{
    return detail::async_exchange(stream, detail::http_peer{std::string{host}, std::string{service}}, request, buffer,
                                  response, early, std::forward<Token>(token));
}

/// The same to the same peer again.
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Fields,
          asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
auto async_reconnect_and_request(client_stream<NextLayer>& stream,
                                 boost::beast::http::request<RequestBody, RequestFields> const& request,
                                 DynamicBuffer& buffer, boost::beast::http::response<Body, Fields>& response,
                                 early_request early, Token&& token = {})
{
    return detail::async_exchange(stream, std::nullopt, request, buffer, response, early, std::forward<Token>(token));
}

} // namespace reprise
