// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

// OpenSSL's own session table of a context (SSL_CTX_set_session_cache_mode(3)) holds up to 20 480 sessions. It is for
// servers. A client never looks there, but OpenSSL would store a client's sessions in the table once it reports them.

namespace reprise::detail {

/// Make OpenSSL report clients' sessions to the new-session callback, without storing them in the table. Servers on
/// this context store what they stored before, if their new-session callback calls `store_in_table`.
void tell_client_sessions(SSL_CTX* context);

/// Set the session cache mode of the servers on this context. The flags that clients need stay.
void set_server_mode(SSL_CTX* context, long mode);

/// Store a session in the table as OpenSSL would without clients on this context. Call in a server's new-session
/// callback. Does nothing where OpenSSL stores the session itself. Idempotent.
void store_in_table(SSL* ssl, SSL_SESSION* made) noexcept;

} // namespace reprise::detail
