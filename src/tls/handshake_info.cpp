// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/handshake_info.hpp>

namespace reprise {

std::string_view to_string(handshake_kind kind) noexcept
{
    return kind == handshake_kind::full ? "full" : "resumed";
}

std::string_view to_string(resumption_kind kind) noexcept
{
    switch (kind)
    {
    case resumption_kind::none: return "none";
    case resumption_kind::tls12_session_id: return "tls12-session-id";
    case resumption_kind::tls12_ticket: return "tls12-ticket";
    case resumption_kind::tls13_ticket: return "tls13-ticket";
    case resumption_kind::tls13_stateless: return "tls13-stateless";
    case resumption_kind::tls13_stateful: return "tls13-stateful";
    }
    return "unknown";
}

std::string_view to_string(full_handshake_reason reason) noexcept
{
    switch (reason)
    {
    case full_handshake_reason::none: return "none";
    case full_handshake_reason::disabled: return "disabled";
    case full_handshake_reason::expired: return "expired";
    case full_handshake_reason::age_cap: return "age-cap";
    case full_handshake_reason::chain_expired: return "chain-expired";
    case full_handshake_reason::record_corrupt: return "record-corrupt";
    case full_handshake_reason::lookup_late: return "lookup-late";
    case full_handshake_reason::lookup_failed: return "lookup-failed";
    case full_handshake_reason::nothing_stored: return "nothing-stored";
    case full_handshake_reason::unverified: return "unverified";
    case full_handshake_reason::declined: return "declined";
    case full_handshake_reason::not_offered: return "not-offered";
    case full_handshake_reason::unknown_session: return "unknown-session";
    case full_handshake_reason::unknown_ticket_key: return "unknown-ticket-key";
    case full_handshake_reason::policy_differs: return "policy-differs";
    case full_handshake_reason::not_acceptable: return "not-acceptable";
    case full_handshake_reason::identity_differs: return "identity-differs";
    case full_handshake_reason::tickets_in_use: return "tickets-in-use";
    case full_handshake_reason::untrusted: return "untrusted";
    case full_handshake_reason::name_differs: return "name-differs";
    case full_handshake_reason::revoked: return "revoked";
    case full_handshake_reason::unrepeatable: return "unrepeatable";
    case full_handshake_reason::alerted: return "alerted";
    case full_handshake_reason::not_resumable: return "not-resumable";
    case full_handshake_reason::old_protocol: return "old-protocol";
    case full_handshake_reason::external_psk: return "external-psk";
    }
    return "unknown";
}

std::string_view to_string(tls_version version) noexcept
{
    switch (version)
    {
    case tls_version::tls10: return "TLSv1";
    case tls_version::tls11: return "TLSv1.1";
    case tls_version::tls12: return "TLSv1.2";
    case tls_version::tls13: return "TLSv1.3";
    }
    return "unknown";
}

handshake_info describe_handshake(SSL const* ssl)
{
    handshake_info result;
    result.kind = ::SSL_session_reused(ssl) == 1 ? handshake_kind::resumed : handshake_kind::full;
    result.protocol = static_cast<tls_version>(::SSL_version(ssl));
    if (char const* cipher = ::SSL_CIPHER_standard_name(::SSL_get_current_cipher(ssl)))
        result.cipher = cipher;
    unsigned char const* alpn = nullptr;
    unsigned alpn_size = 0;
    ::SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
    result.alpn.assign(reinterpret_cast<char const*>(alpn), alpn_size);
    return result;
}

full_handshake_reason check_age(session_origin const& origin, time_point now, std::chrono::seconds max_age) noexcept
{
    // Compare durations, because verified_at + max_age may exceed the range of the clock.
    if (now < origin.verified_at || now - origin.verified_at >= max_age)
        return full_handshake_reason::age_cap;
    return now >= origin.chain_expiry ? full_handshake_reason::chain_expired : full_handshake_reason::none;
}

} // namespace reprise
