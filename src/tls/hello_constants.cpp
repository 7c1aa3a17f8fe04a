// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/hello_constants.hpp"

#include "base/byte_codec.hpp"
#include "tls/ticket_request.hpp"

#include <openssl/tls1.h>

#include <cstddef>

namespace reprise::detail {

namespace {

constexpr unsigned constant_extensions[] = {
    TLSEXT_TYPE_server_name,
    TLSEXT_TYPE_max_fragment_length,
    TLSEXT_TYPE_status_request,
    TLSEXT_TYPE_supported_groups,
    TLSEXT_TYPE_ec_point_formats,
    TLSEXT_TYPE_signature_algorithms,
    TLSEXT_TYPE_use_srtp,
    TLSEXT_TYPE_application_layer_protocol_negotiation,
    TLSEXT_TYPE_signed_certificate_timestamp,
    TLSEXT_TYPE_encrypt_then_mac,
    TLSEXT_TYPE_extended_master_secret,
    TLSEXT_TYPE_session_ticket,
    TLSEXT_TYPE_supported_versions,
    TLSEXT_TYPE_psk_kex_modes,
    TLSEXT_TYPE_certificate_authorities,
    TLSEXT_TYPE_post_handshake_auth,
    TLSEXT_TYPE_signature_algorithms_cert,
    TLSEXT_TYPE_renegotiate,
    ticket_request_extension,
};

// Append a part with its length, so that two parts never run into one.
void add(std::string& to, unsigned char const* part, std::size_t size)
{
    append_number<2>(to, size);
    to.append(reinterpret_cast<char const*>(part), size);
}

} // namespace

std::string read_hello_constants(SSL* ssl)
{
    std::string result;
    result.reserve(512);
    unsigned char const* part = nullptr;
    for (auto* const read : {&::SSL_client_hello_get0_random, &::SSL_client_hello_get0_session_id,
                             &::SSL_client_hello_get0_ciphers, &::SSL_client_hello_get0_compression_methods})
    {
        auto const size = read(ssl, &part);
        add(result, part, size);
    }
    for (auto const type : constant_extensions)
    {
        std::size_t size = 0;
        bool const is_there = ::SSL_client_hello_get0_ext(ssl, type, &part, &size) == 1;
        result += is_there ? '+' : '-';
        if (is_there)
            add(result, part, size);
    }
    return result;
}

} // namespace reprise::detail
