// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/tickets/ticket_cipher.hpp"

#include <reprise/handshake_info.hpp>
#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <array>
#include <string_view>

namespace reprise::detail {

/** What a session carries of the handshake that made it (SSL_set_session_id_context(3)): half of it tells the policy, half
    the server name, for under another one a session is not to be resumed (RFC 6066, 3; RFC 8446, 4.2.11 leaves it open).
*/
using id_context = std::array<unsigned char, SSL_MAX_SID_CTX_LENGTH>;

/// @param server_name As the client says it, in any case; empty if it says none.
[[nodiscard]] id_context make_id_context(policy_tag const& policy, std::string_view server_name);

/// Whether a session that was made in one context may be resumed in the other: `none`, `policy_differs` or `name_differs`.
[[nodiscard]] full_handshake_reason compare(byte_view made, id_context const& now) noexcept;

} // namespace reprise::detail
