// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/sha256.hpp"

#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <optional>
#include <string>

namespace reprise::detail {

/** Digest of what a client context offers: versions, suites, groups, signature algorithms, ALPN and the like.

    OpenSSL has no getters for these, so they are read from a ClientHello that is made and not sent. Its random bytes do
    not count.

    Returns nothing if the context has extensions of the caller's own, or a security callback
    (SSL_CTX_set_security_callback(3)): these must not be called for a connection that does not exist.
*/
[[nodiscard]] std::optional<sha256_digest> read_offer(SSL_CTX* context);

/** Digest of what one SSL offers with its present settings. The SSL must have no connection and no session yet. Its
    settings are unchanged afterwards.

    Costs the making of a ClientHello. Equal to the digest of the SSL's context, unless the SSL was changed. A message
    callback (SSL_set_msg_callback(3)) sees that ClientHello, because OpenSSL has no getter for it; an info callback
    does not.
*/
[[nodiscard]] std::optional<sha256_digest> read_offer(SSL* ssl);

/** The groups that a context accepts, preferred first, as SSL_set1_groups_list(3) takes them; OpenSSL has no getter.

    Read from a ClientHello that is not sent. Empty if there are none, or if the context has extensions of the caller's
    own.
*/
[[nodiscard]] std::string read_groups(SSL_CTX* context);

/// Digest of what a ClientHello offers, equal to that of `read_offer`. The bytes begin with `legacy_version` (RFC 8446,
/// 4.1.2). Returns nothing if they do not parse.
[[nodiscard]] std::optional<sha256_digest> digest_offer(byte_view client_hello);

} // namespace reprise::detail
