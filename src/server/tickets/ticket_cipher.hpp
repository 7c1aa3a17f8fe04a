// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/tickets/ticket_ring.hpp"

#include <openssl/ssl.h>

#include <array>
#include <span>

namespace reprise::detail {

/// The 16 bytes of a ticket in front of its IV (RFC 5077, 4): the key's id, and random bytes.
struct ticket_name
{
    key_id id;
    std::array<unsigned char, 8> salt;
};
static_assert(sizeof(ticket_name) == 16);

using ticket_iv = std::array<unsigned char, 16>;
using policy_tag = std::array<unsigned char, 32>;

/// The keys of one ticket.
struct ticket_subkeys
{
    std::array<unsigned char, 32> encryption; ///< AES-256-CBC
    std::array<unsigned char, 32> integrity;  ///< HMAC-SHA-256

    ~ticket_subkeys();
};

/// Return the id by which tickets name a key with this secret.
[[nodiscard]] key_id ticket_key_id(byte_view secret);

/** Derive the keys of one ticket: HKDF-Expand (RFC 5869, 2.3) with SHA-512, from the secret, the policy, and all random
    bytes of the ticket. A key and an IV are used twice only if 192 random bits are equal.

    @throws std::bad_alloc, also if OpenSSL does not say what it lacked.
*/
[[nodiscard]] ticket_subkeys derive_subkeys(byte_view secret, policy_tag const& policy, ticket_name const& name,
                                            ticket_iv const& iv);

/// @name Set up what SSL_CTX_set_tlsext_ticket_key_evp_cb(3) asks for. @throws as derive_subkeys.
/// @{
void begin_sealing(ticket_ring::entry const& with, policy_tag const& policy, ticket_name& name, ticket_iv& iv,
                   EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);
void begin_opening(ticket_ring::entry const& with, policy_tag const& policy, ticket_name const& name,
                   ticket_iv const& iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac);
/// @}

} // namespace reprise::detail
