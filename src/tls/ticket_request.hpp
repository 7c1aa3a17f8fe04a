// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

namespace reprise::detail {

/// The extension by which a client requests tickets (RFC 9149, 3): one count for a full handshake, one for a
/// resumption. The server answers with one count.
inline constexpr unsigned ticket_request_extension = 58;

} // namespace reprise::detail
