// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

// OpenSSL's own table of a context (SSL_CTX_set_session_cache_mode(3)) holds up to 20 480 sessions. It is for servers:
// a client never looks there, but OpenSSL would store a client's sessions in it as soon as it tells of them.

namespace reprise::detail {

/// Let OpenSSL tell of the sessions of clients, and keep none of them. What servers on this context store stays as it was:
/// their new-session callback has to call `store_in_table`.
void tell_client_sessions(SSL_CTX* context);

/// Set the mode of the servers on this context; what clients need stays as it is.
void set_server_mode(SSL_CTX* context, long mode);

/// In a new-session callback of a server: what OpenSSL would do before, if there were no clients on this context. It does
/// nothing where OpenSSL stores by itself, and may be called twice.
void store_in_table(SSL* ssl, SSL_SESSION* made) noexcept;

} // namespace reprise::detail
