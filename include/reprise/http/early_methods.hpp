// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <ostream> // Boost 1.81's string_view, included below, uses std::ostream without including it

#include <boost/beast/http/verb.hpp>

namespace reprise {

/// Whether a request with this method changes nothing at the server (RFC 9110, 9.2.1). Such a request may be sent and
/// answered early (RFC 8470, 4). The application must ensure that a GET changes nothing.
[[nodiscard]] constexpr bool is_safe_method(boost::beast::http::verb method) noexcept
{
    using enum boost::beast::http::verb;
    return method == get || method == head || method == options || method == trace;
}

/// Status of the response to a request that arrived too early: the client is to send the request again after the
/// handshake (RFC 8470, 5.2).
inline constexpr unsigned too_early_status = 425;

/// Field with which a server marks early requests that it forwards (RFC 8470, 5.1).
inline constexpr char early_data_field[] = "Early-Data";

} // namespace reprise
