// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <ostream> // verb.hpp lacks it

#include <boost/beast/http/verb.hpp>

namespace reprise {

/// Whether the method is idempotent: a request may be sent again if it may already have been processed (RFC 9110,
/// 9.2.2).
[[nodiscard]] constexpr bool is_idempotent_method(boost::beast::http::verb method) noexcept
{
    using enum boost::beast::http::verb;
    return method == get || method == head || method == options || method == trace || method == put ||
           method == delete_;
}

} // namespace reprise
