// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_stream.hpp>
#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/http/exchange.hpp>
#include <reprise/detail/http/read_message.hpp>
#include <reprise/detail/http/retry_after.hpp>
#include <reprise/early_data.hpp>
#include <reprise/error.hpp>
#include <reprise/http/early_methods.hpp>
#include <reprise/http/response_limits.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace reprise {

/// Which requests a client sends early.
enum class early_request
{
    if_safe, ///< requests whose method is safe (RFC 9110, 9.2.1)
    always,  ///< this request, whatever its method: the caller declares it safe to replay
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

/// Longest Retry-After of a 425 response that the retry waits for.
inline constexpr std::chrono::seconds longest_retry_after{5};

/// Connects and makes one exchange, and a second one after 425 Too Early.
template <class NextLayer, class Request, class DynamicBuffer, class Parser>
class connecting_exchange
{
public:
    connecting_exchange(client_stream<NextLayer>& stream, Request const& request, DynamicBuffer& buffer, Parser& parser)
        : stream_(stream), request_(request), buffer_(buffer), exchange_(stream, request, buffer, parser)
    {
    }

    asio::awaitable<outcome<handshake_info>> run(std::optional<http_peer> to, early_request early)
    {
        bool const goes_early =
            early == early_request::always || (early == early_request::if_safe && is_safe_method(request_.method()));
        buffer_.consume(buffer_.size()); // input of an earlier connection
        error_code ec;
        std::string bytes;
        if (goes_early)
            bytes = to_bytes(request_, ec);
        if (!ec)
            ec = co_await connect(to, bytes);
        if (ec)
            co_return outcome<handshake_info>{ec, stream_.handshake()};
        ec = co_await close_if_failed(stream_, exchange(goes_early, bytes));
        co_return outcome<handshake_info>{ec, stream_.handshake()};
    }

private:
    static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
    static constexpr std::uint64_t longest_refusal = std::uint64_t{64} * 1024; // beyond, a new connection is cheaper

    asio::awaitable<error_code> connect(std::optional<http_peer> const& to, std::string const& bytes)
    {
        if (bytes.empty())
        {
            if (!to)
                co_return std::get<0>(co_await stream_.async_reconnect(no_throw));
            co_return std::get<0>(co_await stream_.async_connect(to->host, to->service, no_throw));
        }
        // The exchange sends what the server has not accepted early, while it reads the response.
        early_data_send_options const options{.send_rest = false};
        early_data const early{asio::buffer(bytes), options};
        if (!to)
            co_return std::get<0>(co_await stream_.async_reconnect(early, no_throw));
        co_return std::get<0>(co_await stream_.async_connect(to->host, to->service, early, no_throw));
    }

    asio::awaitable<error_code> exchange(bool goes_early, std::string const& bytes)
    {
        if (!goes_early)
            co_return co_await exchange_.run();
        if (stream_.handshake().early_data == early_data_status::accepted)
            exchange_.retry_status = too_early_status;
        auto const ec = co_await exchange_.run(asio::buffer(bytes) + stream_.handshake().early_size);
        if (ec || !exchange_.must_retry())
            co_return ec;
        co_return co_await send_again();
    }

    // Sends the request once more, and not early: the handshake is complete.
    asio::awaitable<error_code> send_again()
    {
        exchange_.retry_status = 0;
        auto const delay = co_await delay_asked();
        if (!delay) // the caller decides
            co_return co_await exchange_.read_final();
        boost::beast::http::response_parser<boost::beast::http::string_body> refusal;
        refusal.header_limit(response_header_limit);
        refusal.body_limit(longest_refusal);
        refusal.skip(request_.method() == boost::beast::http::verb::head);
        auto ec = co_await read_message(stream_, buffer_, refusal, message_part::head);
        bool const ends = ec || refusal.need_eof() || !persists(refusal.get().base());
        if (!ends)
            ec = co_await read_message(stream_, buffer_, refusal, message_part::all);
        if (delay->count() != 0)
        {
            asio::steady_timer timer{co_await asio::this_coro::executor, *delay};
            co_await timer.async_wait(asio::use_awaitable);
        }
        if (ends || ec || buffer_.size() != 0 || !stream_.is_idle())
        {
            std::tie(ec) = co_await stream_.async_shutdown(no_throw);
            buffer_.consume(buffer_.size());
            if (!ec)
                ec = co_await connect({}, {});
        }
        if (!ec)
            ec = co_await exchange_.run();
        co_return ec;
    }

    // The delay that the response in the buffer asks for. Empty if the delay is too long or not a number of seconds.
    asio::awaitable<std::optional<std::chrono::seconds>> delay_asked()
    {
        namespace http = boost::beast::http;
        for (;;)
        {
            auto const copy = boost::beast::buffers_to_string(buffer_.data());
            http::response_parser<http::empty_body> head;
            head.header_limit(response_header_limit);
            error_code ec;
            (void)head.put(asio::buffer(copy), ec);
            if (head.is_header_done())
            {
                auto const delay = retry_after(head.get().base());
                co_return delay && *delay <= longest_retry_after ? delay : std::nullopt;
            }
            if (is_http_error(ec, http::error::need_more))
                ec = co_await read_more(stream_, buffer_);
            if (ec)
                co_return std::nullopt;
        }
    }

    client_stream<NextLayer>& stream_;
    Request const& request_;
    DynamicBuffer& buffer_;
    http_exchange<NextLayer, Request, DynamicBuffer, Parser> exchange_;
};

template <class NextLayer, class Request, class DynamicBuffer, class Body, class Allocator>
asio::awaitable<outcome<handshake_info>>
connect_and_request(client_stream<NextLayer>& stream, std::optional<http_peer> to, Request const& request,
                    DynamicBuffer& buffer, boost::beast::http::response_parser<Body, Allocator>& parser,
                    early_request early)
{
    if (parser.got_some())
        co_return outcome<handshake_info>{errc::bad_option, {}};
    connecting_exchange<NextLayer, Request, DynamicBuffer, boost::beast::http::response_parser<Body, Allocator>>
        exchange{stream, request, buffer, parser};
    co_return co_await exchange.run(std::move(to), early);
}

template <class NextLayer, class Request, class DynamicBuffer, class Body, class Allocator>
asio::awaitable<outcome<handshake_info>> connect_and_request(
    client_stream<NextLayer>& stream, std::optional<http_peer> to, Request const& request, DynamicBuffer& buffer,
    boost::beast::http::response<Body, boost::beast::http::basic_fields<Allocator>>& response, early_request early)
{
    boost::beast::http::response_parser<Body, Allocator> parser;
    set_default_limits(parser);
    auto ended = co_await connect_and_request(stream, std::move(to), request, buffer, parser, early);
    if (!ended.ec)
        response = parser.release();
    co_return ended;
}

// Into: a parser or a response.
template <class NextLayer, class Request, class DynamicBuffer, class Into, class Token>
auto async_exchange(client_stream<NextLayer>& stream, std::optional<http_peer> to, Request const& request,
                    DynamicBuffer& buffer, Into& into, early_request early, Token&& token)
{
    auto start = [to = std::move(to), early, &stream, &request, &buffer, &into]() mutable
    { return connect_and_request(stream, std::move(to), request, buffer, into, early); };
    return initiate<handshake_info>(stream.get_executor(), std::move(start), std::forward<Token>(token));
}

} // namespace detail

/** Connect, send a request and read its response. The request is sent as early data if `early` and the session allow.

    Nothing is added to the request. Interim responses (1xx except 101) are dropped (RFC 9110, 15.2).

    A 425 Too Early to a request that was sent early is not delivered. The request is sent once more, after the
    handshake, and on a new connection if the server closes this one (RFC 8470, 5.2). The retry waits as Retry-After
    asks, at most 5 s. A 425 that asks for more, or names a date, is delivered.

    A request of more than 16 KiB is written while the response is read. A response that is complete before the whole
    request was sent is delivered, and the stream is closed (RFC 9112, 9.5). Otherwise the stream stays connected.

    @param request The serialised request is held in memory while it is sent early.
    @param buffer Holds the bytes read beyond the response. Its earlier content is dropped.
    @param response Read with `response_body_limit` and `response_header_limit`. Set when the operation succeeds.

    @par Completion Signature
    @code void(error_code, handshake_info) @endcode

    @par Object Lifetimes
    Stream, request, buffer and response must outlive the operation.

    @par Per-Operation Cancellation
    `terminal`, as `client_stream::async_connect`. Afterwards the stream is closed.

    @par Errors
    After an error the stream is closed. The server may have processed the request.
    @li Errors of connecting, writing and reading.
    @li `http::error::bad_transfer_encoding` for a response whose fields contradict each other about its end.
    @li `http::error::header_limit` beyond `interim_responses_limit` or `chunk_line_limit`.
*/
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
auto async_connect_and_request(
    client_stream<NextLayer>& stream, std::string_view host, std::string_view service,
    boost::beast::http::request<RequestBody, RequestFields> const& request, DynamicBuffer& buffer,
    boost::beast::http::response<Body, boost::beast::http::basic_fields<Allocator>>& response, early_request early,
    Token&& token = {})
{
    return detail::async_exchange(stream, detail::http_peer{std::string{host}, std::string{service}}, request, buffer,
                                  response, early, std::forward<Token>(token));
}

/// Connect, send a request, and read the response into the caller's parser, which sets the limits and prepares the
/// body. The parser gets the final response only, and must be unused (`errc::bad_option`). With `buffer_body`,
/// `http::error::need_buffer` leaves the stream open; continue with `http::async_read`.
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
auto async_connect_and_request(client_stream<NextLayer>& stream, std::string_view host, std::string_view service,
                               boost::beast::http::request<RequestBody, RequestFields> const& request,
                               DynamicBuffer& buffer, boost::beast::http::response_parser<Body, Allocator>& parser,
                               early_request early, Token&& token = {})
{
    return detail::async_exchange(stream, detail::http_peer{std::string{host}, std::string{service}}, request, buffer,
                                  parser, early, std::forward<Token>(token));
}

/// Connect again to the same peer as `async_reconnect` does, send a request and read its response. Parameters, result
/// and errors are those of `async_connect_and_request`.
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
auto async_reconnect_and_request(
    client_stream<NextLayer>& stream, boost::beast::http::request<RequestBody, RequestFields> const& request,
    DynamicBuffer& buffer, boost::beast::http::response<Body, boost::beast::http::basic_fields<Allocator>>& response,
    early_request early, Token&& token = {})
{
    return detail::async_exchange(stream, std::nullopt, request, buffer, response, early, std::forward<Token>(token));
}

/// Connect again to the same peer, send a request, and read the response into the caller's parser.
template <class NextLayer, class RequestBody, class RequestFields, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
auto async_reconnect_and_request(client_stream<NextLayer>& stream,
                                 boost::beast::http::request<RequestBody, RequestFields> const& request,
                                 DynamicBuffer& buffer, boost::beast::http::response_parser<Body, Allocator>& parser,
                                 early_request early, Token&& token = {})
{
    return detail::async_exchange(stream, std::nullopt, request, buffer, parser, early, std::forward<Token>(token));
}

} // namespace reprise
