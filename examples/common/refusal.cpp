// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/refusal.hpp"

#include "common/url.hpp"

#include <boost/asio/error.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include <algorithm>

namespace example {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using http::field;
using http::status;

namespace {

// Whether the first line ends with an HTTP version.
bool names_a_version(std::string_view bytes)
{
    auto const line = bytes.substr(0, bytes.find_first_of("\r\n"));
    auto const version = line.substr(line.rfind(' ') + 1);
    return version.starts_with("HTTP/") && version.size() > 5 &&
           std::ranges::all_of(version.substr(5), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

// Whether there is a transfer coding other than chunked.
bool has_unknown_coding(http::fields const& head)
{
    auto const [first, last] = head.equal_range(field::transfer_encoding);
    for (auto line = first; line != last; ++line)
        for (auto const coding : http::token_list{line->value()})
            if (!beast::iequals(coding, "chunked"))
                return true;
    return false;
}

// Whether there is an expectation other than 100-continue (RFC 9110, 10.1.1).
bool has_unknown_expectation(http::fields const& head)
{
    auto const [first, last] = head.equal_range(field::expect);
    return std::any_of(first, last, [](auto const& line) { return !beast::iequals(line.value(), "100-continue"); });
}

// HTTP/1.1 needs exactly one field Host (RFC 9112, 3.2). Its value may be empty (RFC 9110, 7.2).
bool has_host(http::request<http::string_body> const& request)
{
    auto const count = request.count(field::host);
    auto const host = request[field::host];
    return count <= 1 && (count == 1 || request.version() < 11) &&
           (host.empty() || is_authority({host.data(), host.size()}));
}

refusal of_transfer_coding(http::fields const& head)
{
    if (has_unknown_coding(head))
        return {status::not_implemented, "this server implements only the transfer coding chunked\n"};
    return {status::bad_request, "the transfer coding is ambiguous: send either Content-Length or chunked\n"};
}

} // namespace

std::optional<refusal> why_unreadable(boost::system::error_code error, request_parser const& parser,
                                      std::string_view unread)
{
    bool const has_begun = parser.got_some() || !unread.empty();
    if (error == asio::error::timed_out)
        return has_begun ? std::optional{refusal{status::request_timeout, "the request did not arrive in time\n"}}
                         : std::nullopt;
    if (error == http::error::body_limit)
        return refusal{status::payload_too_large, "the body is too large\n"};
    if (error == http::error::header_limit && !parser.is_header_done())
    {
        if (parser.get().target().empty())
            return refusal{status::uri_too_long, "the target is too long\n"};
        return refusal{status::request_header_fields_too_large, "the fields are too large\n"};
    }
    if (error == http::error::bad_version && names_a_version(unread))
        return refusal{status::http_version_not_supported, "this server speaks HTTP/1.0 and HTTP/1.1\n"};
    if (error == http::error::bad_transfer_encoding)
        return of_transfer_coding(parser.get());
    if (error == http::error::end_of_stream || error.category() != http::make_error_code(http::error{}).category())
        return std::nullopt;
    return refusal{status::bad_request, error.message() + '\n'};
}

std::optional<refusal> why_refused(request_parser const& parser)
{
    auto const& request = parser.get();
    auto const target = request.target();
    if (!has_host(request))
        return refusal{status::bad_request, "send exactly one valid Host field\n"};
    if (has_unknown_coding(request))
        return of_transfer_coding(request);
    if (request.method() == http::verb::unknown)
        return refusal{status::not_implemented, "this server implements GET and HEAD\n"};
    if (request.method() != http::verb::get && request.method() != http::verb::head)
        return refusal{status::method_not_allowed, "this server implements GET and HEAD\n"};
    if (has_unknown_expectation(request))
        return refusal{status::expectation_failed, "this server implements only the expectation 100-continue\n"};
    if (!path_of({target.data(), target.size()}))
        return refusal{status::bad_request, "the target is neither a path nor a URL\n"};
    return std::nullopt;
}

} // namespace example
