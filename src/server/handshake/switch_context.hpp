// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

namespace reprise::detail {

/** Continue a connection with another context, in its ClientHello callback.

    SSL_set_SSL_CTX(3) switches:
    @li what belongs to the certificates: keys, chains, the store that clients are verified with, signature algorithms,
        security level, DH parameters;
    @li what OpenSSL reads from the context: ciphers, trust store, CA names, ALPN callback.

    This function also switches the settings that an SSL copies when it is made, as far as OpenSSL has getters. The
    groups have none: the caller must set them.

    The first context's message callback, record padding, fragment sizes and pipelines stay. So does its session table,
    with its mode and lifetime. The external PSKs of the first context are turned off, because their owners could
    otherwise connect to a host that does not know them.

    @return False if the connection has only one version, by the method of its first context, and the host does not
        speak it.
    @throws std::bad_alloc.
*/
[[nodiscard]] bool switch_context(SSL* ssl, SSL_CTX* to);

} // namespace reprise::detail
