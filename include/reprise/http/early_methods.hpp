// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <ostream> // of which Boost 1.81's string_view, below, writes without it

#include <boost/beast/http/verb.hpp>

namespace reprise {

/// Whether a request changes nothing at the server, so that it may be sent and answered early (RFC 9110, 9.2.1; RFC 8470, 4).
/// That a GET does nothing is the application's promise.
[[nodiscard]] constexpr bool is_safe_method(boost::beast::http::verb method) noexcept
{
    using enum boost::beast::http::verb;
    return method == get || method == head || method == options || method == trace;
}

/// The status of a response to a request that came too early: "send it again, after the handshake" (RFC 8470, 5.2).
inline constexpr unsigned too_early_status = 425;

/// The field with which a server that hands early requests on tells of it (RFC 8470, 5.1).
inline constexpr char early_data_field[] = "Early-Data";

} // namespace reprise
