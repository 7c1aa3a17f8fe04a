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

/// How a connection resumed. A client cannot tell the two server kinds of TLS 1.3 apart, because tickets are opaque to
/// it.
enum class resumption_kind
{
    none,             ///< full handshake
    tls12_session_id, ///< the server stored the session under its id (RFC 5246, 7.3)
    tls12_ticket,     ///< the client sent the session as a sealed ticket (RFC 5077)
    tls13_ticket,     ///< client: a TLS 1.3 ticket of either kind (RFC 8446, 2.2)
    tls13_stateless,  ///< server: a TLS 1.3 ticket that is the sealed session
    tls13_stateful,   ///< server: a TLS 1.3 ticket that names a stored session
};

/// The number of `resumption_kind` values, for arrays of counters.
inline constexpr std::size_t resumption_kind_count = 6;

/// Why a handshake ran in full. Numbers are stable: new ones are appended.
enum class full_handshake_reason
{
    none = 0, ///< the handshake resumed

    // Either end
    disabled = 1,       ///< this end was configured not to resume
    expired = 2,        ///< the session's lifetime is over, or its issue time lies in the future
    age_cap = 3,        ///< the certificate was verified longer ago than max_session_age
    chain_expired = 4,  ///< a certificate of the verified chain has expired since
    record_corrupt = 5, ///< the stored record did not decode
    lookup_late = 6,    ///< the lookup, or the revocation check, did not end within lookup_timeout
    lookup_failed = 7,  ///< the lookup, or the revocation check, failed

    // Client
    nothing_stored = 8, ///< no session for this peer under this policy
    unverified = 9,     ///< the session was made without the verification that this stream requires
    declined = 10,      ///< a session was offered and the server chose a full handshake

    // Server
    not_offered = 11,        ///< the client offered no session
    unknown_session = 12,    ///< the storage has no such session: expired, evicted, used, or never stored
    unknown_ticket_key = 13, ///< no key of this server opens the ticket

    /// The session was made under another id context, certificate, client-CA list or verification mode, or the ticket
    /// was changed. On a client: this peer has sessions under another policy, route (proxy, connector) or ALPN offer.
    policy_differs = 14,

    /// The session was found, but OpenSSL could not use it: another version, cipher hash or extended master secret.
    not_acceptable = 15,

    // Client
    identity_differs = 16, ///< sessions of this peer exist, made with another client certificate or key, or with none
    tickets_in_use = 17,   ///< every TLS 1.3 ticket of this peer is used up or in use by another connection
    untrusted = 18,        ///< the certificate chain behind the session is no longer trusted
    name_differs = 19,     ///< its certificate is not valid for this host; on a server: made for another SNI
    revoked = 20,          ///< the caller's revocation check, or a revocation list, rejected a certificate
    unrepeatable = 21,     ///< the verification cannot be repeated, so sessions are not kept
    alerted = 22,          ///< a fatal alert ended the last connection that offered a session, which was forgotten
    not_resumable = 23,    ///< the last connection ended without a session that can be resumed

    // Either end
    old_protocol = 24, ///< the connection speaks TLS 1.0 or 1.1, whose sessions are not kept (RFC 8996)
    external_psk = 25, ///< the connection used an external pre-shared key (RFC 8446, 2.2); no session is kept
};

using full_reason [[deprecated("reprise::full_handshake_reason")]] = full_handshake_reason;

/// The number of `full_handshake_reason` values, for arrays of counters.
inline constexpr std::size_t full_reason_count = 26;

/// Outcome of one handshake, on either end.
struct handshake_info
{
    handshake_kind kind = handshake_kind::full;
    resumption_kind resumption = resumption_kind::none;

    /// Why the handshake ran in full; `none` if it resumed.
    full_handshake_reason reason = full_handshake_reason::none;

    tls_version protocol = tls_version::tls13;

    /// The cipher suite, by its standard name.
    std::string_view cipher;

    /// The protocol selected with ALPN, or empty.
    std::string alpn;

    /// How long ago the peer's certificate was verified, if the connection resumed.
    std::optional<std::chrono::seconds> session_age;

    early_data_status early_data = early_data_status::not_offered;

    /// Why early data was not accepted; `none` if it was.
    early_data_reason early_reason = early_data_reason::not_asked;

    /// Client only: how many bytes of early data the server accepted. A server reads the bytes.
    std::size_t early_size = 0;

    /** Details of a failed handshake that its error code does not tell. Empty otherwise.
        @li Invalid host or service: its value and what is wrong.
        @li Unverified certificate: OpenSSL's text and number (X509_STORE_CTX_get_error(3)). On a client also the
            expected name, the subject and the issuer. Subject and issuer are the server's text, with control characters
            escaped (RFC 4514).
        @li system_error thrown by a function of the caller: its text.
    */
    std::string failure{};

    [[nodiscard]] bool resumed() const noexcept { return kind == handshake_kind::resumed; }
};

[[nodiscard]] std::string_view to_string(handshake_kind kind) noexcept;
[[nodiscard]] std::string_view to_string(resumption_kind kind) noexcept;
[[nodiscard]] std::string_view to_string(full_handshake_reason reason) noexcept;
[[nodiscard]] std::string_view to_string(tls_version version) noexcept;

/// Describes the finished handshake of an SSL: protocol, cipher, ALPN, resumed or not.
[[nodiscard]] handshake_info describe_handshake(SSL const* ssl);

/** Check whether a session may still be used at `now`, by the rules that OpenSSL does not apply: the age of its
    verification and the expiry of its certificates.

    @param max_age Longest use after `origin.verified_at`.
    @return `full_handshake_reason::none`, or why not.
*/
[[nodiscard]] full_handshake_reason check_age(session_origin const& origin, time_point now,
                                              std::chrono::seconds max_age) noexcept;

} // namespace reprise
