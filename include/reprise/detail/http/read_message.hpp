// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>
#include <reprise/http/response_limits.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/read_size.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include <cstddef>
#include <stdexcept>
#include <string_view>

namespace reprise::detail {

namespace asio = boost::asio;

/// Whether `ec` is this error of Beast. Compares the category's name and the value. A program that compiles Beast
/// separately in one file and header-only in another has Beast's category twice, and Boost.System compares categories
/// by address.
[[nodiscard]] inline bool is_http_error(error_code const& ec, boost::beast::http::error wanted)
{
    return ec.value() == static_cast<int>(wanted) &&
           std::string_view{ec.category().name()} == boost::beast::http::make_error_code(wanted).category().name();
}

/// Whether a field that is a list of tokens, and may be repeated, contains the token (RFC 9110, 5.3 and 5.6.1).
template <bool is_request, class Fields>
[[nodiscard]] bool has_token(boost::beast::http::header<is_request, Fields> const& head, boost::beast::http::field name,
                             char const* token)
{
    auto const [first, last] = head.equal_range(name);
    for (auto field = first; field != last; ++field)
        if (boost::beast::http::token_list{field->value()}.exists(token))
            return true;
    return false;
}

/// Whether the fields let another message follow this one on its connection (RFC 9112, 9.3 and 6.1). A message whose
/// end is the end of the connection needs a check of its own.
template <bool is_request, class Fields>
[[nodiscard]] bool persists(boost::beast::http::header<is_request, Fields> const& head)
{
    using boost::beast::http::field;
    if (has_token(head, field::connection, "close"))
        return false;
    if (head.version() >= 11)
        return true;
    return has_token(head, field::connection, "keep-alive") && head.count(field::transfer_encoding) == 0;
}

/** Whether the fields determine without contradiction where the message ends (RFC 9112, 6.1 and 6.3).

    Beast's parser refuses most contradictions. The parser ignores a Transfer-Encoding whose last coding is not chunked,
    so the body of the message would be read as the next request (request smuggling).
*/
template <bool is_request, class Fields>
[[nodiscard]] bool is_framed(boost::beast::http::header<is_request, Fields> const& head, bool is_chunked)
{
    using boost::beast::http::field;
    if (head.count(field::transfer_encoding) == 0)
        return true;
    if (is_request)
        return is_chunked && head.version() >= 11;
    return is_chunked || head.count(field::content_length) == 0; // the connection's end is its end
}

template <class Stream, class DynamicBuffer>
asio::awaitable<error_code> read_more(Stream& stream, DynamicBuffer& buffer)
{
    constexpr std::size_t at_once = std::size_t{64} * 1024;
    auto const size = boost::beast::read_size(buffer, at_once);
    if (size == 0)
        co_return boost::beast::http::error::buffer_overflow;
    auto const room = buffer.prepare(size);
    auto const [ec, got] = co_await stream.async_read_some(room, asio::as_tuple(asio::use_awaitable));
    buffer.commit(got);
    co_return ec;
}

enum class message_part
{
    head,
    all,
};

/// Tell the parser that the stream has ended. @return The error, if the message is incomplete.
template <bool is_request>
[[nodiscard]] error_code put_eof(boost::beast::http::basic_parser<is_request>& parser)
{
    using boost::beast::http::error;
    if (!parser.got_some())
        return error::end_of_stream;
    error_code ec;
    parser.put_eof(ec);
    return ec || parser.is_done() ? ec : error_code{error::partial_message};
}

/// Parse what the buffer holds. Beast throws length_error for a single field of more than 64 KiB.
template <class DynamicBuffer, bool is_request>
[[nodiscard]] error_code put(DynamicBuffer& buffer, boost::beast::http::basic_parser<is_request>& parser)
try
{
    error_code ec;
    buffer.consume(parser.put(buffer.data(), ec));
    return ec;
}
catch (std::length_error const&)
{
    return boost::beast::http::error::header_limit;
}

/** Read a message, or the rest of one: `boost::beast::http::async_read` with `chunk_line_limit`.

    Between two chunks the parser gets at least 5 bytes, the shortest end of a message. Beast 1.81 asserts `n >= 5` when
    the parser sees the last chunk again (basic_parser.ipp).
*/
template <class Stream, class DynamicBuffer, bool is_request>
asio::awaitable<error_code> read_message(Stream& stream, DynamicBuffer& buffer,
                                         boost::beast::http::basic_parser<is_request>& parser, message_part wanted)
{
    using boost::beast::http::error;
    constexpr std::size_t shortest_end = 5; // "0" CRLF CRLF
    auto const is_read = [&parser, wanted]
    { return wanted == message_part::all ? parser.is_done() : parser.is_header_done(); };
    parser.eager(wanted == message_part::all);
    error_code ec;
    for (std::size_t at_least = 1; !ec && !is_read();)
    {
        if (buffer.size() >= at_least)
        {
            ec = put(buffer, parser);
            if (is_read() || (ec && !is_http_error(ec, error::need_more)))
                break;
            bool const is_between_chunks = ec && parser.is_header_done();
            if (is_between_chunks && buffer.size() > chunk_line_limit) // the head has the parser's own limit
                co_return error::header_limit;
            at_least = is_between_chunks ? shortest_end : 1;
        }
        ec = co_await read_more(stream, buffer);
        if (ec == asio::error::eof)
            ec = put_eof(parser);
    }
    co_return ec;
}

} // namespace reprise::detail
