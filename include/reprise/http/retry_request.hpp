// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_stream.hpp>
#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/http/exchange.hpp>
#include <reprise/detail/http/read_message.hpp>
#include <reprise/error.hpp>
#include <reprise/http/idempotent_methods.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>

#include <tuple>
#include <utility>

namespace reprise {

/// Which requests are retried when a kept-alive connection turns out to be dead.
enum class request_retry
{
    if_idempotent, ///< requests whose method is idempotent (RFC 9110, 9.2.2)
    always,        ///< this request, whatever its method: the caller declares it idempotent
    never,
};

/// How the operation got its response.
struct request_outcome
{
    bool reconnected = false; ///< made a new connection
    bool retried = false;     ///< sent the request twice
};

namespace detail {

template <class NextLayer, class Request, class DynamicBuffer, class Parser>
class kept_alive_exchange
{
public:
    kept_alive_exchange(client_stream<NextLayer>& stream, Request const& request, DynamicBuffer& buffer, Parser& parser)
        : stream_(stream), request_(request), buffer_(buffer), exchange_(stream, request, buffer, parser)
    {
    }

    asio::awaitable<outcome<request_outcome>> run(request_retry retry)
    {
        request_outcome how;
        auto const ec = co_await close_if_failed(stream_, try_twice(retry, how));
        if (!ec && !exchange_.can_go_on())
            stream_.close();
        co_return outcome<request_outcome>{ec, how};
    }

private:
    static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
    static constexpr unsigned request_timeout_status = 408;

    asio::awaitable<error_code> try_twice(request_retry retry, request_outcome& how)
    {
        bool const is_idempotent = retry == request_retry::always ||
                                   (retry == request_retry::if_idempotent && is_idempotent_method(request_.method()));
        error_code ec;
        if (buffer_.size() != 0 || !stream_.is_idle()) // unsolicited bytes are no response (RFC 9112, 6.3)
        {
            how.reconnected = true;
            ec = co_await reconnect();
            if (ec)
                co_return ec;
        }
        bool const may_retry = is_idempotent && !how.reconnected;
        // On a kept-alive connection the server sends 408 because the connection was idle (RFC 9110, 15.5.9).
        exchange_.retry_status = may_retry ? request_timeout_status : 0;
        ec = co_await exchange_.run();
        // A connection that has delivered bytes of a response was alive.
        bool const is_dead = ec && ec != asio::error::operation_aborted && !exchange_.is_answered();
        if (may_retry && (is_dead || exchange_.must_retry()))
        {
            how = {.reconnected = true, .retried = true};
            exchange_.retry_status = 0;
            ec = co_await reconnect();
            if (!ec)
                ec = co_await exchange_.run();
        }
        co_return ec;
    }

    asio::awaitable<error_code> reconnect()
    {
        stream_.close();
        buffer_.consume(buffer_.size()); // input of the old connection
        co_return std::get<0>(co_await stream_.async_reconnect(no_throw));
    }

    client_stream<NextLayer>& stream_;
    Request const& request_;
    DynamicBuffer& buffer_;
    http_exchange<NextLayer, Request, DynamicBuffer, Parser> exchange_;
};

template <class NextLayer, class Request, class DynamicBuffer, class Body, class Allocator>
asio::awaitable<outcome<request_outcome>>
request_kept_alive(client_stream<NextLayer>& stream, Request const& request, DynamicBuffer& buffer,
                   boost::beast::http::response_parser<Body, Allocator>& parser, request_retry retry)
{
    if (parser.got_some())
        co_return outcome<request_outcome>{errc::bad_option, {}};
    kept_alive_exchange<NextLayer, Request, DynamicBuffer, boost::beast::http::response_parser<Body, Allocator>>
        exchange{stream, request, buffer, parser};
    co_return co_await exchange.run(retry);
}

template <class NextLayer, class Request, class DynamicBuffer, class Body, class Allocator>
asio::awaitable<outcome<request_outcome>>
request_kept_alive(client_stream<NextLayer>& stream, Request const& request, DynamicBuffer& buffer,
                   boost::beast::http::response<Body, boost::beast::http::basic_fields<Allocator>>& response,
                   request_retry retry)
{
    boost::beast::http::response_parser<Body, Allocator> parser;
    set_default_limits(parser);
    auto ended = co_await request_kept_alive(stream, request, buffer, parser, retry);
    if (!ended.ec)
        response = parser.release();
    co_return ended;
}

// Into: a parser or a response.
template <class NextLayer, class Request, class DynamicBuffer, class Into, class Token>
auto start_request(client_stream<NextLayer>& stream, Request const& request, DynamicBuffer& buffer, Into& into,
                   request_retry retry, Token&& token)
{
    auto start = [retry, &stream, &request, &buffer, &into]
    { return request_kept_alive(stream, request, buffer, into, retry); };
    return initiate<request_outcome>(stream.get_executor(), std::move(start), std::forward<Token>(token));
}

} // namespace detail

/** Send a request on a kept-alive connection, and read its response.

    Reconnects first, resuming, if the stream is closed or the server has sent unsolicited bytes or close_notify. The
    stream must have been connected before.

    Retries the request once on a new connection if the connection turns out to be dead: it breaks before any byte of a
    response, or the server answers 408 Request Timeout. The server may have processed the request, so `retry` limits
    retries to idempotent requests.

    Interim responses (1xx except 101) are dropped (RFC 9110, 15.2). A request of more than 16 KiB is written while the
    response is read, because a server may refuse the request before the request is complete (RFC 9112, 9.5).

    The stream is closed after a response that ends the connection, and after a response that was complete before the
    whole request was sent. The stream stays open after 101, and after a 2xx to CONNECT.

    @param retry Which requests are retried.
    @param buffer Input of this connection only. If it is not empty, the operation reconnects.
    @param response Read with `response_body_limit` and `response_header_limit`. Set when the operation succeeds.

    @par Completion Signature
    @code void(error_code, request_outcome) @endcode

    @par Object Lifetimes
    Stream, request, buffer and response must outlive the operation.

    @par Per-Operation Cancellation
    `terminal`. Afterwards the stream is closed and can be reconnected.

    @par Errors
    After an error the stream is closed.
    @li Errors of connecting, writing and reading.
    @li `errc::never_connected`, if there is no peer yet.
    @li `http::error::bad_transfer_encoding` for a response whose fields contradict each other about its end.
    @li `http::error::header_limit` beyond `interim_responses_limit` or `chunk_line_limit`.
*/
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, request_outcome)> Token = asio::use_awaitable_t<>>
auto async_request(client_stream<NextLayer>& stream,
                   boost::beast::http::request<RequestBody, RequestFields> const& request, DynamicBuffer& buffer,
                   boost::beast::http::response<Body, boost::beast::http::basic_fields<Allocator>>& response,
                   request_retry retry, Token&& token = {})
{
    return detail::start_request(stream, request, buffer, response, retry, std::forward<Token>(token));
}

/// Send a request on a kept-alive connection, and read the response into the caller's parser, which sets the limits and
/// prepares the body. The parser gets the final response only, and must be unused (`errc::bad_option`). With
/// `buffer_body`, `http::error::need_buffer` leaves the stream open; continue with `http::async_read`.
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, request_outcome)> Token = asio::use_awaitable_t<>>
auto async_request(client_stream<NextLayer>& stream,
                   boost::beast::http::request<RequestBody, RequestFields> const& request, DynamicBuffer& buffer,
                   boost::beast::http::response_parser<Body, Allocator>& parser, request_retry retry,
                   Token&& token = {})
{
    return detail::start_request(stream, request, buffer, parser, retry, std::forward<Token>(token));
}

} // namespace reprise
