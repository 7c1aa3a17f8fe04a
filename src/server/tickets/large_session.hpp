// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

/* A session with a client certificate of 64 KB fits into no ticket (RFC 5077, 4; RFC 8446, 4.6.1). OpenSSL measures the
   session before it asks for a key, and ends the connection if the session is too large. So OpenSSL gets a small
   session to measure. The callback for the key then says that there is no key, and the connection goes on without a
   ticket. */

namespace reprise::detail {

/// Whether OpenSSL can seal this session into a ticket.
[[nodiscard]] bool fits_into_ticket(SSL_SESSION const* session);

/// Replace the content of the SSL's session by a small one, in the callback before a ticket is made
/// (SSL_CTX_set_session_ticket_cb(3)). Returns false if there is no memory; the session is then unchanged.
[[nodiscard]] bool put_session_aside(SSL* ssl) noexcept;

/// Put the content back, in the callback for the ticket's key. Returns false if there is no memory.
[[nodiscard]] bool put_session_back(SSL* ssl) noexcept;

/// Whether the session's content is put aside.
[[nodiscard]] bool is_session_aside(SSL const* ssl) noexcept;

} // namespace reprise::detail
