// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/sha256.hpp"

#include <reprise/base/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <optional>

namespace reprise::detail {

/** Digest of what a client context offers, read from a ClientHello that it makes for nobody: versions, suites, groups, signature
    algorithms, ALPN and the like, of which OpenSSL tells nothing else. Its random bytes do not count.

    Nothing if the context has extensions of the caller's own: their callbacks are not to be called for a connection that
    does not exist.
*/
[[nodiscard]] std::optional<sha256_digest> read_offer(SSL_CTX* context);

/// The same of a ClientHello's bytes, from its `legacy_version` on (RFC 8446, 4.1.2). Nothing if they do not parse.
[[nodiscard]] std::optional<sha256_digest> digest_offer(byte_view client_hello);

} // namespace reprise::detail
