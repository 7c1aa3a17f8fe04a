// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/system/error_code.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace example {

/// An error response (RFC 9110, 15.5 and 15.6).
struct refusal
{
    boost::beast::http::status status;
    std::string why; ///< body of the response, one line
};

using request_parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

/// The error response to a request that could not be read. Empty if the client does not wait for a response.
/// @param error Why reading ended; `timed_out` if the request did not arrive in time.
/// @param unread Bytes that were received but not parsed.
[[nodiscard]] std::optional<refusal> why_unreadable(boost::system::error_code error, request_parser const& parser,
                                                    std::string_view unread);

/// The error response to a complete request, of a server that implements only GET and HEAD. Empty if the request is
/// valid.
[[nodiscard]] std::optional<refusal> why_refused(request_parser const& parser);

} // namespace example
