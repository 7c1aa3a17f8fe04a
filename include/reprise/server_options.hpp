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

/** Chooses the virtual host of a connection from the ClientHello, before resumption is decided.

    Each host is an ssl::context with its own session_cache and therefore its own id context: a session of one host
    never resumes at another. The selector may await, for example to load certificates on demand. An empty result means
    that the host is unknown: the client gets the alert unrecognized_name (RFC 6066, 3). An exception has the same
    effect.

    The context of the host decides as if the connection had been created with it: certificates, trust, verification,
    versions, ciphers, groups, signature algorithms, ALPN, tickets, early data and storage. Limits:

    @li OpenSSL keeps some settings of the stream's own context: message callback, record padding, fragment sizes,
        pipelines, and OpenSSL's own session table. So a host with `cache_mode::openssl_internal` stores no sessions
        here.
    @li The groups of a context with custom extensions (SSL_CTX_add_custom_ext(3)) cannot be read. The groups of the
        stream's own context then apply.
    @li External pre-shared keys work with the stream's own context only.
*/
using virtual_host_selector = std::function<asio::awaitable<std::optional<session_cache>>(client_hello const&)>;

/// How a server_stream accepts and closes.
struct server_options
{
    /// Timeout of the whole handshake, including the storage lookup and the host selector. Zero for no limit.
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds{10};

    /// How long `async_shutdown` waits for the client's close_notify, and for the end of the client's input
    /// (`linger_bytes`). Zero for no limit.
    std::chrono::milliseconds shutdown_timeout = std::chrono::seconds{2};

    /// Most bytes that `async_shutdown` reads and drops while the client is still sending. So a client that uploads a
    /// large request can read the response that refused it (RFC 9112, 9.6). Beyond the limit, and with 0, TCP resets
    /// the connection, and the client may lose the response.
    std::size_t linger_bytes = std::size_t{64} * 1024 * 1024;

    /// Chooses the virtual host. Empty: all connections belong to the stream's own session_cache.
    virtual_host_selector select_host{};

    /// Set TCP_NODELAY. Without it, Nagle's algorithm delays a close_notify after a small response by up to 40 ms.
    bool no_delay = true;
};

} // namespace reprise
