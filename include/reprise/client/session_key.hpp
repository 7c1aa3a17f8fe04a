// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace reprise {

/** Which connections may share a session: those to one peer, under one policy.

    A session resumes only where all of this is equal, for it would otherwise carry one connection's verified identity into
    another (curl's CVE-2016-5419 and CVE-2021-22890, nginx's CVE-2025-23419).

    `client_stream` fixes its key when it connects; a ticket that arrives later is filed under that key.
*/
struct session_key
{
    std::string host;              ///< as the caller named it, lower case
    std::string service;           ///< port or service name, as the caller named it
    std::string server_name;       ///< SNI, empty for none
    std::vector<std::string> alpn; ///< protocols offered, in order

    /// Identity of the verification policy: the ssl::context (unique in the process, never used again) and what the
    /// stream set on top of it: verification mode, host check, version range, client certificate.
    std::string policy;

    /// The caller's own partition, for example a user or a top-level site. Sessions never cross it.
    std::string partition;

    friend bool operator==(session_key const&, session_key const&) = default;
    friend auto operator<=>(session_key const&, session_key const&) = default;
};

} // namespace reprise

template <>
struct std::hash<reprise::session_key>
{
    std::size_t operator()(reprise::session_key const& key) const noexcept;
};
