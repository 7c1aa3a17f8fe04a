// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace reprise {

/** Which connections may share a session: those to one peer, under one policy.

    A session resumes only where all of this is equal, for it would otherwise carry one connection's verified identity into
    another (curl's CVE-2016-5419 and CVE-2021-22890, nginx's CVE-2025-23419).

    `client_stream` fixes its key when it connects; a ticket that arrives later is filed under that key.
*/
struct session_scope
{
    std::string host;              ///< as the caller named it, lower case
    std::string service;           ///< port or service name, as the caller named it
    std::string server_name;       ///< SNI, empty for none
    std::vector<std::string> alpn; ///< protocols offered, in order

    /// How the peer is reached: empty for directly, else the proxy. A TLS connection to a proxy has a key of its own.
    std::string route;

    /// Fingerprint of how the peer is verified and what is offered to it: see `client_policy`. Equal in all processes that
    /// verify alike, or, where a part of it cannot be read, unique to the ssl::context.
    std::string policy;

    /// Fingerprint of the client certificate, its chain and its key; empty without. Sessions of mutual TLS have one.
    std::string identity;

    /// The caller's own partition, for example a user or a top-level site. Sessions never cross it.
    std::string partition;

    friend bool operator==(session_scope const&, session_scope const&) = default;
    friend auto operator<=>(session_scope const&, session_scope const&) = default;
};

using session_key [[deprecated("reprise::session_scope")]] = session_scope;

/// Whether both name the same server, whoever asks and however.
[[nodiscard]] inline bool same_peer(session_scope const& a, session_scope const& b) noexcept
{
    return a.host == b.host && a.service == b.service && a.server_name == b.server_name;
}

} // namespace reprise

template <>
struct std::hash<reprise::session_scope>
{
    std::size_t operator()(reprise::session_scope const& key) const noexcept;
};
