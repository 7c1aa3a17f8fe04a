// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

namespace reprise::detail {

/// Whether this connection may negotiate TLS 1.3, as far as its own settings go.
[[nodiscard]] inline bool speaks_tls13(SSL* ssl)
{
    auto const highest = SSL_get_max_proto_version(ssl);
    return (highest == 0 || highest >= TLS1_3_VERSION) && (::SSL_get_options(ssl) & SSL_OP_NO_TLSv1_3) == 0;
}

} // namespace reprise::detail
