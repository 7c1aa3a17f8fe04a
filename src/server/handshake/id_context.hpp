// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/tickets/ticket_cipher.hpp"

#include <reprise/handshake_info.hpp>
#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <array>
#include <string_view>

namespace reprise::detail {

/** The id context of a session (SSL_set_session_id_context(3)), from the handshake that made the session. One half
    identifies the policy, the other half the server name. Under another server name a session must not be resumed
    (RFC 6066, 3; RFC 8446, 4.2.11 leaves it open).
*/
using id_context = std::array<unsigned char, SSL_MAX_SID_CTX_LENGTH>;

/// Make the id context. @param server_name As the client sent it, in any letter case; empty if it sent none.
[[nodiscard]] id_context make_id_context(policy_tag const& policy, std::string_view server_name);

/// Check whether a session that was made in one id context may be resumed in another. @return `none`,
/// `policy_differs` or `name_differs`.
[[nodiscard]] full_handshake_reason compare(byte_view made, id_context const& now) noexcept;

} // namespace reprise::detail
