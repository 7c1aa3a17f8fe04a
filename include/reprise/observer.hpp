// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>
#include <reprise/handshake_info.hpp>

#include <string_view>

namespace reprise {

/** Is told what becomes of handshakes, for logs and metrics; see `client_options::observer`,
    `session_cache_options::observer`.

    What it is told holds no secrets. `peer` is the host that a client connects to, or the id context of a server's cache.
    Views and references are good for the call only.

    @par Thread Safety
    It is called by the threads that run the handshakes, by several at once. It must not block.
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

    /// A handshake has failed, or the connection for it.
    virtual void on_failure(std::string_view /*peer*/, error_code /*why*/) noexcept {}

    /// A session was kept for later: by a client, as it arrived; by a server, for its storage.
    virtual void on_session(std::string_view /*peer*/, tls_version) noexcept {}
};

} // namespace reprise
