// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

#include <string>

namespace reprise::detail {

/** Why a handshake that failed with this OpenSSL error has not verified the peer's certificate. Empty, if it failed for another
    reason.

    OpenSSL's text and number. On a client also subject and issuer, and for a mismatch the name that was expected; OpenSSL keeps
    no certificate of a client that it rejects. Names are the peer's text: control characters are escaped (RFC 4514), and a
    long name is left out.
*/
[[nodiscard]] std::string why_not_verified(SSL* ssl, unsigned long error);

} // namespace reprise::detail
