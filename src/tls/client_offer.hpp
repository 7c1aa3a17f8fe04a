// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/sha256.hpp"

#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <optional>
#include <string>

namespace reprise::detail {

/** Digest of what a client context offers, read from a ClientHello that it makes for nobody: versions, suites, groups, signature
    algorithms, ALPN and the like, of which OpenSSL tells nothing else. Its random bytes do not count.

    Nothing if the context has extensions of the caller's own, or a security callback (SSL_CTX_set_security_callback(3)):
    these are not to be called for a connection that does not exist.
*/
[[nodiscard]] std::optional<sha256_digest> read_offer(SSL_CTX* context);

/** The same of one SSL that has no connection and no session yet, with the settings that it has. They are as before
    afterwards.

    Costs the making of a ClientHello. Equal to what is read of its context, unless somebody has changed the SSL. A message
    callback (SSL_set_msg_callback(3)) sees that ClientHello, because OpenSSL does not tell of it; an info callback does not.
*/
[[nodiscard]] std::optional<sha256_digest> read_offer(SSL* ssl);

/** The groups that a context takes, preferred first, as SSL_set1_groups_list(3) takes them; OpenSSL has no getter.

    Read as above. Empty if there are none, or if the context has extensions of the caller's own.
*/
[[nodiscard]] std::string read_groups(SSL_CTX* context);

/// The same as `read_offer`, of a ClientHello's bytes, from its `legacy_version` on (RFC 8446, 4.1.2). Nothing if they do not parse.
[[nodiscard]] std::optional<sha256_digest> digest_offer(byte_view client_hello);

} // namespace reprise::detail
