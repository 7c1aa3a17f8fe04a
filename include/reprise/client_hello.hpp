// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <optional>
#include <string>
#include <vector>

namespace reprise {

/** Names and sessions in a ClientHello, before OpenSSL has decided anything.

    All members are unauthenticated: anyone can send them (RFC 8446, 4.1.2).
*/
struct client_hello
{
    /// The host name that the client asks for (RFC 6066, 3), in lower case and without a final dot. Empty if the client
    /// sent none, or if it is not a valid name. A valid name has labels of letters, digits, hyphens and underscores, 1
    /// to 63 bytes each and 253 together, and is not an address.
    std::string server_name{};

    /// The client offers TLS 1.3 (`supported_versions`, RFC 8446, 4.2.1).
    bool offers_tls13 = false;

    /// The legacy session id, 0 to 32 bytes. In TLS 1.3 it is random filler (RFC 8446, D.4).
    std::string session_id{};

    /// The client accepts TLS 1.2 tickets: it sent the `session_ticket` extension (RFC 5077, 3.2).
    bool takes_tickets = false;

    /// The client offers a TLS 1.2 ticket: its `session_ticket` extension is not empty.
    bool offers_ticket = false;

    /// The first bytes of that ticket, at most 16, which tell the key that sealed it (RFC 5077, 4).
    std::string ticket_name{};

    /// The first identities of `pre_shared_key`, at most `max_identities` (RFC 8446, 4.2.11).
    std::vector<std::string> psk_identities{};

    /// The binder of the first identity: a MAC under its key over this ClientHello (RFC 8446, 4.2.11.2). A verified
    /// binder tells this ClientHello from all others. Empty if there is none.
    std::string first_binder{};

    /// How many tickets the client requests after a full handshake (RFC 9149, 3). Empty if it does not say.
    std::optional<unsigned> tickets_wanted{};

    /// The client announces early data (RFC 8446, 4.2.10).
    bool offers_early_data = false;

    /// Maximum number of PSK identities that are read, because the sender chooses how many there are.
    static constexpr std::size_t max_identities = 2;
};

/// Read the ClientHello of a handshake. Call it only inside an SSL_CTX_set_client_hello_cb(3) callback.
[[nodiscard]] client_hello read_client_hello(SSL* ssl);

/// @name Readers of one extension's body. The bytes come from the wire; what does not parse reads as absent.
/// @{
[[nodiscard]] std::string read_server_name(byte_view extension);
[[nodiscard]] bool read_offers_tls13(byte_view extension);
[[nodiscard]] std::vector<std::string> read_psk_identities(byte_view extension);
[[nodiscard]] std::string read_first_binder(byte_view extension);
/// @}

} // namespace reprise
