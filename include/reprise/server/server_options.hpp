// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/server/session_cache.hpp>
#include <reprise/tls/client_hello.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <optional>

namespace reprise {

/** Chooses the virtual host for a connection, by what the ClientHello says, before resumption is decided.

    Each host is an ssl::context with a session_cache of its own, hence an id context of its own: a session of one never
    resumes at another. It may await, for certificates that are loaded on demand. Nothing: the host is unknown, and the
    client gets the alert unrecognized_name (RFC 6066, 3). An exception refuses the connection.
*/
using virtual_host_selector = std::function<asio::awaitable<std::optional<session_cache>>(client_hello const&)>;

/// How a server_stream accepts and closes.
struct server_options
{
    /// For the whole handshake, the storage's answer and the selector's included. Zero for no limit.
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds{10};

    /// How long `async_shutdown` waits for the client's close_notify. Zero for no limit.
    std::chrono::milliseconds shutdown_timeout = std::chrono::seconds{2};

    /// Virtual hosts. Empty: all connections belong to the stream's own session_cache.
    virtual_host_selector select_host{};

    /// Send small records at once. Otherwise a close_notify after a small answer waits for an acknowledgement, 40 ms.
    bool no_delay = true;
};

} // namespace reprise
