// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>
#include <reprise/handshake_info.hpp>

#include <string_view>

namespace reprise {

/** Receives the outcome of handshakes, for logs and metrics: see `client_options::observer` and
    `session_cache_options::observer`.

    The arguments hold no secrets. `peer` is the host that a client connects to, or the id context of a server's cache.
    Views and references are valid during the call only.

    @par Thread Safety
    The threads that run the handshakes call the observer, several at once. The functions must not block.
*/
class observer
{
public:
    observer() = default;
    observer(observer const&) = delete;
    observer& operator=(observer const&) = delete;
    virtual ~observer() = default;

    /// A handshake is complete.
    virtual void on_handshake(std::string_view peer, handshake_info const& info) noexcept = 0;

    /// A handshake has failed, or the connection for it. A client reports only the last attempt.
    virtual void on_failure(std::string_view /*peer*/, error_code /*why*/) noexcept {}

    /// A session was kept for later: captured by a client, or handed to the storage by a server.
    virtual void on_session(std::string_view /*peer*/, tls_version) noexcept {}
};

} // namespace reprise
