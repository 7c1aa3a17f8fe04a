// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/client/client_stream.hpp>
#include <reprise/http/idempotent_methods.hpp>
#include <reprise/io/initiate.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <optional>
#include <tuple>
#include <utility>

namespace reprise {

/// Which requests are sent again when a connection that was kept alive has turned out dead.
enum class request_retry
{
    if_idempotent, ///< those that may be done twice (RFC 9110, 9.2.2)
    always,        ///< this one, whatever its method: the caller knows
    never,
};

/// How a request went.
struct request_outcome
{
    bool reconnected = false; ///< a connection was made for it
    bool retried = false;     ///< it was sent twice
};

namespace detail {

template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator>
class kept_alive_exchange
{
public:
    using response_type = boost::beast::http::response<Body, boost::beast::http::basic_fields<Allocator>>;

    client_stream<NextLayer>& stream;
    boost::beast::http::request<RequestBody, RequestFields> const& request;
    DynamicBuffer& buffer;
    response_type& response;
    bool answered = false; ///< bytes of an answer have come

    asio::awaitable<outcome<request_outcome>> run(request_retry retry)
    {
        request_outcome how;
        error_code ec;
        if (buffer.size() != 0 || !stream.is_idle()) // what nobody has asked for is no answer (RFC 9112, 6.3)
        {
            how.reconnected = true;
            ec = co_await reconnect();
        }
        if (!ec)
            ec = co_await exchange();
        if (ec && !how.reconnected && may_send_again(ec, retry))
        {
            how = {.reconnected = true, .retried = true};
            ec = co_await reconnect();
            if (!ec)
                ec = co_await exchange();
        }
        co_return outcome<request_outcome>{ec, how};
    }

private:
    static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

    // Once bytes of an answer have come it is not the connection that was dead.
    [[nodiscard]] bool may_send_again(error_code ec, request_retry retry) const
    {
        bool const may_be_done_twice = retry == request_retry::always || (retry == request_retry::if_idempotent &&
                                                                          is_idempotent_method(request.method()));
        return may_be_done_twice && !answered && ec != asio::error::operation_aborted;
    }

    asio::awaitable<error_code> reconnect()
    {
        stream.close();
        buffer.consume(buffer.size()); // of the connection before
        co_return std::get<0>(co_await stream.async_reconnect(no_throw));
    }

    asio::awaitable<error_code> exchange()
    {
        namespace http = boost::beast::http;
        auto [ec, size] = co_await http::async_write(stream, request, no_throw);
        if (ec)
            co_return ec;
        http::response_parser<Body, Allocator> parser;
        parser.skip(request.method() == http::verb::head);
        std::tie(ec, size) = co_await http::async_read(stream, buffer, parser, no_throw);
        answered = parser.got_some();
        if (ec)
            co_return ec;
        if (!parser.keep_alive())
            stream.close();
        response = parser.release();
        co_return ec;
    }
};

template <class Exchange>
asio::awaitable<outcome<request_outcome>> run_kept_alive(Exchange exchange, request_retry retry)
{
    co_return co_await exchange.run(retry);
}

} // namespace detail

/** Send a request on a connection that is kept alive, and read its response.

    If the connection is closed, or the server has said what nobody asked for, it is made again first, resuming. If it turns
    out to be dead only when it is used (the server closes idle connections when it likes), before any byte of a response,
    the request is sent once more on a new one: those that may be done twice, for the server may have processed it. After a
    response that ends the connection the stream is closed. It has been connected before.

    @param retry Which requests are sent again.
    @param buffer Of this connection alone. Where something is left in it, the connection is made again.

    @par Completion Signature
    @code void(error_code, request_outcome) @endcode

    @par Object Lifetimes
    Stream, request, buffer and response must outlive the operation.

    @par Per-Operation Cancellation
    `terminal`. Afterwards the stream can be reconnected.

    @par Errors
    Those of connecting, writing and reading. `errc::never_connected`, if there is no peer yet.
*/
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, request_outcome)> Token = asio::use_awaitable_t<>>
auto async_request(client_stream<NextLayer>& stream,
                   boost::beast::http::request<RequestBody, RequestFields> const& request, DynamicBuffer& buffer,
                   boost::beast::http::response<Body, boost::beast::http::basic_fields<Allocator>>& response,
                   request_retry retry, Token&& token = {})
{
    auto start = [retry, &stream, &request, &buffer, &response]
    {
        using exchange =
            detail::kept_alive_exchange<NextLayer, RequestBody, RequestFields, DynamicBuffer, Body, Allocator>;
        return detail::run_kept_alive(exchange{stream, request, buffer, response}, retry);
    };
    return detail::initiate<request_outcome>(stream.get_executor(), std::move(start), std::forward<Token>(token));
}

} // namespace reprise
