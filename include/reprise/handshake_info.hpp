// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/early_data_reason.hpp>
#include <reprise/session.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace reprise {

enum class handshake_kind
{
    full,
    resumed,
};

/// How a connection was resumed. A client cannot tell the two TLS 1.3 kinds apart: to it a ticket is a ticket.
enum class resumption_kind
{
    none,             ///< it was a full handshake
    tls12_session_id, ///< the server remembered it (RFC 5246, 7.3)
    tls12_ticket,     ///< the client brought it, sealed (RFC 5077)
    tls13_ticket,     ///< a TLS 1.3 ticket, seen from the client (RFC 8446, 2.2)
    tls13_stateless,  ///< the same on the server, sealed in the ticket
    tls13_stateful,   ///< the same on the server, remembered under the ticket's name
};

/// The number of `resumption_kind` values, for arrays of counters.
inline constexpr std::size_t resumption_kind_count = 6;

/// Why a handshake ran in full. Numbers are stable: new ones are appended.
enum class full_handshake_reason
{
    none = 0, ///< it did not: it resumed

    // Either end
    disabled = 1,       ///< this end was configured not to resume
    expired = 2,        ///< the session's lifetime is over, or its issue time lies in the future
    age_cap = 3,        ///< the certificate was verified longer ago than max_session_age
    chain_expired = 4,  ///< a certificate of the verified chain has expired since
    record_corrupt = 5, ///< what was stored did not decode
    lookup_late = 6,    ///< the store did not answer before the lookup deadline
    lookup_failed = 7,  ///< the store reported an error

    // Client
    nothing_stored = 8, ///< no session for this peer under this policy
    unverified = 9,     ///< the session was made without the verification that this stream requires
    declined = 10,      ///< a session was offered and the server chose a full handshake

    // Server
    not_offered = 11,        ///< the client offered none
    unknown_session = 12,    ///< the storage has no such session: expired, evicted, used, or never there
    unknown_ticket_key = 13, ///< the ticket opens with no key that this server has
    policy_differs =
        14, ///< made under another id context, certificate, client-CA list or verification mode, or changed
    not_acceptable =
        15, ///< found, but OpenSSL could not use it: another version, cipher hash or extended master secret

    // Client; also policy_differs, when there are sessions of this peer under another policy or through another proxy
    identity_differs = 16, ///< there are sessions of this peer, made with another client certificate or key, or none
    tickets_in_use = 17,   ///< every TLS 1.3 ticket of this peer is spent or in use by another connection
    untrusted = 18,        ///< the certificate chain behind the session is not trusted any more
    name_differs = 19,     ///< its certificate is not valid for this host; at a server: made for another SNI
    revoked = 20,          ///< the caller's revocation check has turned the session down
    unrepeatable = 21,     ///< the verification cannot be repeated, so that sessions are not kept
    alerted = 22,          ///< the last connection that offered a session failed with a fatal alert: it was forgotten
    not_resumable = 23,    ///< the last connection ended without a session that can be resumed

    // Either end
    old_protocol = 24, ///< the connection speaks TLS 1.0 or 1.1: their sessions are not kept (RFC 8996)
    external_psk = 25, ///< the connection used a pre-shared key that is no session (RFC 8446, 2.2): no session is kept
};

using full_reason [[deprecated("reprise::full_handshake_reason")]] = full_handshake_reason;

/// The number of `full_handshake_reason` values, for arrays of counters.
inline constexpr std::size_t full_reason_count = 26;

/// The outcome of one handshake, the same on both ends.
struct handshake_info
{
    handshake_kind kind = handshake_kind::full;
    resumption_kind resumption = resumption_kind::none;

    /// Why not, if it did not resume.
    full_handshake_reason reason = full_handshake_reason::none;

    tls_version protocol = tls_version::tls13;

    /// The cipher suite, by its standard name.
    std::string_view cipher;

    /// The protocol that ALPN selected, or empty.
    std::string alpn;

    /// How long ago the peer's certificate was verified, if the connection resumed.
    std::optional<std::chrono::seconds> session_age;

    early_data_status early_data = early_data_status::not_offered;

    /// Why not, if it was not accepted.
    early_data_reason early_reason = early_data_reason::not_asked;

    /// On a client: how many bytes the server has accepted early. A server reads them.
    std::size_t early_size = 0;

    /// Of a handshake that failed: what its error code does not say. Which host is none, or why the peer's certificate was
    /// not verified: OpenSSL's text and number (X509_STORE_CTX_get_error(3)); on a client also the name that was expected,
    /// and subject and issuer, which are the server's text with control characters escaped (RFC 4514). Empty otherwise.
    std::string failure{};

    [[nodiscard]] bool resumed() const noexcept { return kind == handshake_kind::resumed; }
};

[[nodiscard]] std::string_view to_string(handshake_kind kind) noexcept;
[[nodiscard]] std::string_view to_string(resumption_kind kind) noexcept;
[[nodiscard]] std::string_view to_string(full_handshake_reason reason) noexcept;
[[nodiscard]] std::string_view to_string(tls_version version) noexcept;

/// What an SSL object can say of its own finished handshake: protocol, cipher, ALPN, resumed or not.
[[nodiscard]] handshake_info describe_handshake(SSL const* ssl);

/** Whether a session that has these times may still be used at `now`, by the rules that OpenSSL does not apply.

    @param max_age Longest use after the verification, `origin.verified_at`.
    @return `full_handshake_reason::none`, or why not.
*/
[[nodiscard]] full_handshake_reason check_age(session_origin const& origin, time_point now,
                                              std::chrono::seconds max_age) noexcept;

} // namespace reprise
