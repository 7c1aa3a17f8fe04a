// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

namespace reprise::detail {

/** Let a connection go on with another context, in its ClientHello callback.

    SSL_set_SSL_CTX(3) brings what belongs to the certificates: keys, chains, the store that clients are verified with,
    signature algorithms, security level, DH parameters, and all that OpenSSL asks the context for (ciphers, trust store,
    names of authorities, ALPN callback). What an SSL has copied when it was made is carried over here, as far as OpenSSL
    tells it; the groups, which it does not tell, are the caller's business.

    What stays the first context's: its message callback, record padding, fragment sizes, pipelines, and the table of sessions,
    whose mode and lifetime also are the first's. The first one's external PSKs are turned off, because they would let their
    owners in at a host that does not know them.

    @return False, if the connection has but one version, by the method of its first context, and the host does not speak it.
    @throws std::bad_alloc.
*/
[[nodiscard]] bool switch_context(SSL* ssl, SSL_CTX* to);

} // namespace reprise::detail
