// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/session.hpp>

#include <chrono>
#include <string>

namespace test {

/// What to make a client session of.
struct session_recipe
{
    int version = TLS1_3_VERSION;
    bool ticket = true;      ///< for TLS 1.2: a ticket rather than an id
    std::string alpn{};      ///< the protocol that the server selects
    unsigned early_data = 0; ///< bytes that the server's tickets allow
    std::chrono::seconds lifetime = std::chrono::minutes{5};
    reprise::time_point issued = std::chrono::system_clock::now();
    reprise::session_origin origin{std::chrono::system_clock::now()};
};

/// A session as a client gets it, out of a handshake of OpenSSL with itself in memory.
[[nodiscard]] reprise::session make_session(session_recipe const& recipe = {});

/// A session as OpenSSL holds it, still alive.
[[nodiscard]] reprise::ssl_session_ptr make_live_session(session_recipe const& recipe = {});

/// The ticket that the server has sealed; none for a session id. As long as the session lives.
[[nodiscard]] reprise::byte_view ticket_of(reprise::session const& s);

} // namespace test
