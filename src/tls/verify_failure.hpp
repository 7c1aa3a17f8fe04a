// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

#include <string>

namespace reprise::detail {

/** Explain why the peer's certificate was not verified, for a handshake that failed with this OpenSSL error. Empty if
    the handshake failed for another reason.

    The text has OpenSSL's message and number. On a client it also has subject, issuer and, for a mismatch, the expected
    name; OpenSSL keeps no certificate of a client that it rejects. Names are the peer's text: control characters are
    escaped (RFC 4514), and names longer than 256 bytes are left out.
*/
[[nodiscard]] std::string why_not_verified(SSL* ssl, unsigned long error);

} // namespace reprise::detail
