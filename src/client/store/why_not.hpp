// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/handshake_info.hpp>
#include <reprise/session_scope.hpp>

namespace reprise::detail {

/// Why a map that is ordered by session_scope has no session under `key`. There may be sessions of this peer that this
/// connection must not use. `has_sessions` tells whether a value of the map has sessions.
template <class Map, class HasSessions>
[[nodiscard]] full_handshake_reason why_not(Map const& by_key, session_scope const& key, HasSessions has_sessions)
{
    auto result = full_handshake_reason::nothing_stored;
    session_scope first;
    first.host = key.host;
    first.service = key.service;
    first.server_name = key.server_name;
    for (auto at = by_key.lower_bound(first); at != by_key.end() && same_peer(at->first, key); ++at)
    {
        if (at->first == key || at->first.partition != key.partition || !has_sessions(at->second))
            continue;
        if (at->first.identity == key.identity)
            return full_handshake_reason::policy_differs;
        result = full_handshake_reason::identity_differs;
    }
    return result;
}

} // namespace reprise::detail
