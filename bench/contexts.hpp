// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/session_cache.hpp>
#include <reprise/ssl_handles.hpp>

#include <boost/asio/ssl/context.hpp>

#include <string>
#include <vector>

namespace bench {

namespace asio = boost::asio;

/// One kind of resumption.
struct kind
{
    char const* name;
    int version;
    bool tickets;
};
inline constexpr kind kinds[] = {
    {"tls12-id", TLS1_2_VERSION, false},
    {"tls12-ticket", TLS1_2_VERSION, true},
    {"tls13-stateless", TLS1_3_VERSION, true},
    {"tls13-stateful", TLS1_3_VERSION, false},
};

/// A context with a P-256 certificate for "localhost", that has no opinion on sessions yet.
[[nodiscard]] asio::ssl::context server_context(kind const& k);

/// A context that trusts that certificate's authority.
[[nodiscard]] asio::ssl::context client_context(kind const& k);

/// What a careful user of OpenSSL sets on a server's context: id context, cache, one TLS 1.3 ticket.
void resume_by_hand(SSL_CTX* context, kind const& k);

/// Sets with reprise what `resume_by_hand` sets.
[[nodiscard]] reprise::session_cache resume_with_reprise(asio::ssl::context& tls, kind const& k);

/// What a careful user sets on a client's SSL: name for SNI and for the certificate check.
void name_peer(SSL* ssl);

} // namespace bench
