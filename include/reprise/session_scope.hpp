// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace reprise {

/** Names the connections that may share a session: those to one peer, under one policy.

    A session resumes only if all members are equal. Otherwise it would carry the verified identity of one connection
    into another (curl's CVE-2016-5419 and CVE-2021-22890, nginx's CVE-2025-23419).

    `client_stream` fixes its scope when it connects. A ticket that arrives later is stored under that scope.
*/
struct session_scope
{
    std::string host;              ///< as the caller named it, in lower case
    std::string service;           ///< port or service name, as the caller named it
    std::string server_name;       ///< SNI, empty for none
    std::vector<std::string> alpn; ///< protocols offered, in order

    /// How the peer is reached: empty for a direct connection, otherwise the proxy or the route of a connector. A TLS
    /// connection to a proxy has a scope of its own.
    std::string route;

    /// Fingerprint of how the peer is verified and of what is offered to it. Equal in all processes with equal settings
    /// and an equal `client_options::policy_tag`. Without a tag, or if a setting cannot be read, unique to the
    /// ssl::context.
    std::string policy;

    /// Fingerprint of the client certificate, its chain and its key, for mutual TLS. Empty without a client
    /// certificate.
    std::string identity;

    /// The caller's own partition, for example a user or a top-level site. Sessions never cross it.
    std::string partition;

    friend bool operator==(session_scope const&, session_scope const&) = default;
    friend auto operator<=>(session_scope const&, session_scope const&) = default;
};

using session_key [[deprecated("reprise::session_scope")]] = session_scope;

/// Whether both scopes name the same server: equal host, service and server name.
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
