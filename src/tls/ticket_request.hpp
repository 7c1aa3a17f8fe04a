// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace reprise::detail {

/// The extension by which a client says how many tickets it wants (RFC 9149, 3): two counts, after a full handshake and after a
/// resumption; the server answers with one.
inline constexpr unsigned ticket_request_extension = 58;

} // namespace reprise::detail
