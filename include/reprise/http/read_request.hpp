// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/http/read_message.hpp>
#include <reprise/error.hpp>
#include <reprise/http/early_methods.hpp>
#include <reprise/server_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>

#include <array>
#include <functional>
#include <string_view>
#include <tuple>
#include <utility>

namespace reprise {

/// How a server handles requests that arrive as early data.
struct early_request_policy
{
    /// Which methods may be processed before the client has proved that it is live. Must not be empty.
    std::function<bool(boost::beast::http::verb)> allows = is_safe_method;

    /// True: requests of other methods wait for the end of the handshake, one round trip. False: the server answers
    /// 425, and the client sends the request again.
    bool waits = true;
};

/// How a request arrived.
enum class request_arrival
{
    on_time, ///< after the handshake
    early, ///< as early data, so it may be a replay; the policy allows the method, and the request has `Early-Data: 1`
    too_early ///< as early data that the policy does not allow: answer with `too_early_response`
};

namespace detail {

/// Whether the client may be waiting for 100 Continue before it sends the body (RFC 9110, 10.1.1).
template <class Body, class Allocator>
[[nodiscard]] bool waits_for_continue(boost::beast::http::request_parser<Body, Allocator> const& parser)
{
    auto const& head = parser.get().base();
    return !parser.is_done() && head.version() >= 11 &&
           has_token(head, boost::beast::http::field::expect, "100-continue");
}

/// Drop one empty line before a request: some old clients send CRLF after a body (RFC 9112, 2.2).
template <class Stream, class DynamicBuffer>
asio::awaitable<error_code> skip_empty_line(Stream& stream, DynamicBuffer& buffer)
{
    constexpr std::string_view empty_line = "\r\n";
    for (;;)
    {
        std::array<char, empty_line.size()> room;
        std::string_view const begin{room.data(), asio::buffer_copy(asio::buffer(room), buffer.data())};
        if (begin == empty_line)
            buffer.consume(begin.size());
        if (begin == empty_line || !empty_line.starts_with(begin))
            co_return error_code{};
        auto const ec = co_await read_more(stream, buffer);
        if (ec == asio::error::eof)
            co_return begin.empty() ? boost::beast::http::error::end_of_stream
                                    : boost::beast::http::error::partial_message;
        if (ec)
            co_return ec;
    }
}

template <class NextLayer, class DynamicBuffer, class Body, class Allocator>
asio::awaitable<error_code> read_whole(server_stream<NextLayer>& stream, DynamicBuffer& buffer,
                                       boost::beast::http::request_parser<Body, Allocator>& parser)
{
    bool const is_new = !parser.is_header_done();
    error_code ec;
    if (!parser.got_some())
        ec = co_await skip_empty_line(stream, buffer);
    if (!ec)
        ec = co_await read_message(stream, buffer, parser, message_part::head);
    if (!ec && !is_framed(parser.get().base(), parser.chunked()))
        ec = boost::beast::http::error::bad_transfer_encoding;
    if (!ec && is_new && buffer.size() == 0 && waits_for_continue(parser))
    {
        constexpr std::string_view interim = "HTTP/1.1 100 Continue\r\n\r\n";
        std::tie(ec, std::ignore) =
            co_await asio::async_write(stream, asio::buffer(interim), asio::as_tuple(asio::use_awaitable));
    }
    if (!ec)
        ec = co_await read_message(stream, buffer, parser, message_part::all);
    co_return ec;
}

template <class NextLayer, class DynamicBuffer, class Body, class Allocator>
asio::awaitable<outcome<request_arrival>> read_request(server_stream<NextLayer>& stream, DynamicBuffer& buffer,
                                                       boost::beast::http::request_parser<Body, Allocator>& parser,
                                                       early_request_policy const& policy)
{
    if (!policy.allows)
        co_return outcome<request_arrival>{errc::bad_option};
    if (auto const ec = co_await read_whole(stream, buffer, parser))
        co_return outcome<request_arrival>{ec};
    auto& request = parser.get();
    // Repeated or invalid, the field counts as one of value 1 (RFC 8470, 5.1).
    bool const is_marked = request.count(early_data_field) != 0;
    if (!is_marked && !stream.is_early())
        co_return outcome<request_arrival>{{}, request_arrival::on_time};
    if (policy.allows(request.method()))
    {
        request.set(early_data_field, "1");
        co_return outcome<request_arrival>{{}, request_arrival::early};
    }
    if (is_marked || !policy.waits) // a marked request came through a proxy, whose handshake this server cannot await
        co_return outcome<request_arrival>{{}, request_arrival::too_early};
    auto const [finish_error] = co_await stream.async_finish_handshake(asio::as_tuple(asio::use_awaitable));
    co_return outcome<request_arrival>{finish_error, request_arrival::on_time};
}

template <class NextLayer, class DynamicBuffer, class Body, class Allocator>
asio::awaitable<outcome<request_arrival>>
read_request(server_stream<NextLayer>& stream, DynamicBuffer& buffer,
             boost::beast::http::request<Body, boost::beast::http::basic_fields<Allocator>>& request,
             early_request_policy const& policy)
{
    boost::beast::http::request_parser<Body, Allocator> parser{std::move(request)};
    auto const ended = co_await read_request(stream, buffer, parser, policy);
    if (!ended.ec)
        request = parser.release();
    co_return ended;
}

} // namespace detail

/** Read a request that may have arrived as early data (RFC 8470).

    Reads as `boost::beast::http::async_read` does, and adds:

    @li A request that is complete before the end of the handshake is processed early if the policy allows its method.
        The request then has the field `Early-Data: 1`, so a proxy can forward the request unchanged.
    @li A request with a field Early-Data, repeated or of any value, counts as early (RFC 8470, 5.1).
    @li One empty line before the request is dropped (RFC 9112, 2.2).
    @li A client that sends `Expect: 100-continue` gets 100 Continue, unless the head is refused (RFC 9110, 10.1.1).

    @param request Read with the limits of Beast's parser: 8 KiB for the head, 1 MiB for the body. For other limits pass
        a parser.

    @par Completion Signature
    @code void(error_code, request_arrival) @endcode

    @par Object Lifetimes
    All arguments but the policy must outlive the operation.

    @par Errors
    @li Errors of reading and of `async_finish_handshake`.
    @li `http::error::body_limit` or `http::error::header_limit` beyond the limits of the parser or `chunk_line_limit`.
    @li `http::error::bad_transfer_encoding` for a request whose last transfer coding is not chunked, or a request of
        HTTP/1.0 with a transfer coding (RFC 9112, 6.1 and 6.3). Answer with 400 and close.
    @li `errc::bad_option` for a policy without a function.
*/
template <class NextLayer, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, request_arrival)> Token = asio::use_awaitable_t<>>
auto async_read_request(server_stream<NextLayer>& stream, DynamicBuffer& buffer,
                        boost::beast::http::request<Body, boost::beast::http::basic_fields<Allocator>>& request,
                        early_request_policy policy, Token&& token = {})
{
    return detail::initiate<request_arrival>(
        stream.get_executor(), [&stream, &buffer, &request, policy = std::move(policy)]
        { return detail::read_request(stream, buffer, request, policy); }, std::forward<Token>(token));
}

/// Read the request into the caller's parser, which sets the limits and prepares the body. The caller may have read the
/// head before; then the caller also sends 100 Continue.
template <class NextLayer, class DynamicBuffer, class Body, class Allocator,
          asio::completion_token_for<void(error_code, request_arrival)> Token = asio::use_awaitable_t<>>
auto async_read_request(server_stream<NextLayer>& stream, DynamicBuffer& buffer,
                        boost::beast::http::request_parser<Body, Allocator>& parser, early_request_policy policy,
                        Token&& token = {})
{
    return detail::initiate<request_arrival>(
        stream.get_executor(), [&stream, &buffer, &parser, policy = std::move(policy)]
        { return detail::read_request(stream, buffer, parser, policy); }, std::forward<Token>(token));
}

/// 425 Too Early: the client is to send the request again after the handshake (RFC 8470, 5.2).
template <class Body, class Fields>
[[nodiscard]] boost::beast::http::response<boost::beast::http::empty_body>
too_early_response(boost::beast::http::request<Body, Fields> const& request)
{
    boost::beast::http::response<boost::beast::http::empty_body> response;
    response.version(request.version());
    response.result(too_early_status);
    response.reason("Too Early");
    response.keep_alive(detail::persists(request.base()));
    response.prepare_payload();
    return response;
}

} // namespace reprise
