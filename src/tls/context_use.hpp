// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "tls/context_policy.hpp"

#include <openssl/ssl.h>

namespace reprise::detail {

/// @throws system_error `errc::bad_option`, if connections of this context cannot be this end, or if the context is for
///     DTLS.
void require_end(SSL_CTX* context, tls_end end);

/// Whether a server with this context has a certificate and its private key, as far as OpenSSL tells. A callback may
/// provide them later (SSL_CTX_set_cert_cb(3)).
[[nodiscard]] bool has_certificate(SSL_CTX* context);

} // namespace reprise::detail
