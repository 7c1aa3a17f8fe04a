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
    std::string why; ///< the body, one line
};

using request_parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

/// The response to a request that could not be read. Empty if the client is not waiting for a response.
/// @param error Why reading ended; `timed_out` for a request that took too long.
/// @param unread The bytes that were not parsed.
[[nodiscard]] std::optional<refusal> why_unreadable(boost::system::error_code error, request_parser const& parser,
                                                    std::string_view unread);

/// The error response to a complete request, of a server that implements GET and HEAD. Empty for a request to carry
/// out.
[[nodiscard]] std::optional<refusal> why_refused(request_parser const& parser);

} // namespace example
