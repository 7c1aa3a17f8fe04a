// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/early_data_reason.hpp>
#include <reprise/session.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace reprise::detail {

/// Facts that decide whether early data may be sent. OpenSSL 3.0 checks few of them. Most of the others make the
/// connection fail.
struct early_situation
{
    bool has_session = false; ///< a session is offered on this connection
    bool session_is_tls13 = false;
    bool stream_is_tls13 = false;
    std::uint32_t allowed = 0;  ///< most early data that the ticket allows, in bytes
    std::string session_alpn{}; ///< protocol of the session, or empty
    std::vector<std::string> offered_alpn{};
    bool name_is_known = false; ///< the session was made under the name that this connection asks for
    bool cipher_is_enabled = false;
    std::chrono::seconds age{}; ///< by the clock that OpenSSL will use
    std::chrono::seconds lifetime{};
    std::size_t size = 0; ///< bytes to send
    bool may_split = false;
};

struct early_plan
{
    early_data_reason reason = early_data_reason::none;
    std::size_t size = 0; ///< bytes to send early
};

[[nodiscard]] inline early_plan plan_early_data(early_situation const& s)
{
    using enum early_data_reason;
    if (s.size == 0)
        return {not_asked};
    if (!s.has_session)
        return {no_session};
    if (!s.session_is_tls13 || !s.stream_is_tls13)
        return {not_tls13};
    if (s.allowed == 0)
        return {not_allowed};
    if (s.size > s.allowed && !s.may_split)
        return {too_large};
    if (!s.session_alpn.empty() && std::ranges::find(s.offered_alpn, s.session_alpn) == s.offered_alpn.end())
        return {alpn_differs};
    if (!s.name_is_known)
        return {server_name_differs};
    if (!s.cipher_is_enabled)
        return {cipher_disabled};
    if (s.age < std::chrono::seconds{0} || s.age > s.lifetime)
        return {ticket_age};
    return {none, std::min<std::size_t>(s.size, s.allowed)};
}

} // namespace reprise::detail
