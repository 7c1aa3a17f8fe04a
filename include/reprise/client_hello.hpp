// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <optional>
#include <string>
#include <vector>

namespace reprise {

/** What a ClientHello says about names and sessions, before OpenSSL has decided anything.

    All of it is unauthenticated: anybody can send it (RFC 8446, 4.1.2).
*/
struct client_hello
{
    /// The host name that the client asks for (RFC 6066, 3), in lower case and without a dot at its end. Empty if it did not
    /// say, or if what it said is no name: labels of letters, digits, hyphens and underscores, each of 1 to 63 bytes, 253
    /// together, and no address.
    std::string server_name{};

    /// The client offers TLS 1.3 (`supported_versions`, RFC 8446, 4.2.1).
    bool offers_tls13 = false;

    /// The legacy session id, 0 to 32 bytes. In TLS 1.3 it is random filler (RFC 8446, D.4).
    std::string session_id{};

    /// The client takes TLS 1.2 tickets: the `session_ticket` extension is there (RFC 5077, 3.2).
    bool takes_tickets = false;

    /// It offers one: that extension is not empty.
    bool offers_ticket = false;

    /// The first bytes of that one, at most 16: which key has sealed it (RFC 5077, 4).
    std::string ticket_name{};

    /// The first identities of `pre_shared_key`, at most `max_identities` (RFC 8446, 4.2.11).
    std::vector<std::string> psk_identities{};

    /// The binder of the first of them: a MAC under its key over this ClientHello, which tells it from all others once it
    /// was verified (RFC 8446, 4.2.11.2). Empty if there is none.
    std::string first_binder{};

    /// How many tickets the client wants after a full handshake (RFC 9149, 3), if it says so.
    std::optional<unsigned> tickets_wanted{};

    /// Early data follows (RFC 8446, 4.2.10).
    bool offers_early_data = false;

    /// The length of that list is the sender's choice, so only this many are read.
    static constexpr std::size_t max_identities = 2;
};

/// Read the ClientHello of a handshake. Only inside a SSL_CTX_set_client_hello_cb(3) callback.
[[nodiscard]] client_hello read_client_hello(SSL* ssl);

/// @name Readers of one extension's body. The bytes come from the wire; what does not parse reads as absent.
/// @{
[[nodiscard]] std::string read_server_name(byte_view extension);
[[nodiscard]] bool read_offers_tls13(byte_view extension);
[[nodiscard]] std::vector<std::string> read_psk_identities(byte_view extension);
[[nodiscard]] std::string read_first_binder(byte_view extension);
/// @}

} // namespace reprise
