// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_hello.hpp>
#include <reprise/session_cache.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>

namespace reprise {

/** Chooses the virtual host for a connection, by what the ClientHello says, before resumption is decided.

    Each host is an ssl::context with a session_cache of its own, hence an id context of its own: a session of one never
    resumes at another. It may await, for certificates that are loaded on demand. Nothing: the host is unknown, and the
    client gets the alert unrecognized_name (RFC 6066, 3). An exception refuses the connection.

    The host's context decides as if the connection had been made with it: certificates, trust, verification, versions,
    ciphers, groups, signature algorithms, ALPN, tickets, early data and storage. OpenSSL does not let go of a few things of
    the stream's own context: its message callback, record padding, fragment sizes, pipelines, and OpenSSL's own table, so a
    host of `cache_mode::openssl_internal` remembers nothing here. The groups of a context with extensions of the caller's
    own (SSL_CTX_add_custom_ext(3)) cannot be read; those of the stream's context then stay. External pre-shared keys
    work at the stream's own context only.
*/
using virtual_host_selector = std::function<asio::awaitable<std::optional<session_cache>>(client_hello const&)>;

/// How a server_stream accepts and closes.
struct server_options
{
    /// For the whole handshake, the storage's answer and the selector's included. Zero for no limit.
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds{10};

    /// How long `async_shutdown` waits for the client's close_notify, and for the end of a client's input (`linger_bytes`). Zero
    /// for no limit.
    std::chrono::milliseconds shutdown_timeout = std::chrono::seconds{2};

    /// Most bytes that `async_shutdown` reads and drops while the client is still sending, so that a client that uploads a large
    /// request can read the response that refused it (RFC 9112, 9.6). Beyond the limit, and with 0, TCP resets the
    /// connection, and the client may lose the response.
    std::size_t linger_bytes = std::size_t{64} * 1024 * 1024;

    /// Virtual hosts. Empty: all connections belong to the stream's own session_cache.
    virtual_host_selector select_host{};

    /// Send small records at once. Otherwise a close_notify after a small answer waits for an acknowledgement, 40 ms.
    bool no_delay = true;
};

} // namespace reprise
