// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/obj_mac.h>
#include <openssl/ssl.h>

namespace reprise::detail {

/// Whether a full handshake of TLS 1.2 or earlier used an external PSK (RFC 4279). In TLS 1.3 the cipher suite does not
/// tell: there OpenSSL reports an external PSK as a resumption.
[[nodiscard]] inline bool used_psk_suite(SSL const* ssl)
{
    SSL_CIPHER const* const cipher = ::SSL_get_current_cipher(ssl);
    if (cipher == nullptr || ::SSL_session_reused(ssl) == 1)
        return false;
    switch (::SSL_CIPHER_get_kx_nid(cipher))
    {
    case NID_kx_psk:
    case NID_kx_rsa_psk:
    case NID_kx_dhe_psk:
    case NID_kx_ecdhe_psk: return true;
    default: return false;
    }
}

} // namespace reprise::detail
