// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/http_proxy.hpp>
#include <reprise/observer.hpp>
#include <reprise/retry_options.hpp>
#include <reprise/session.hpp>

#include <boost/asio/awaitable.hpp>

#include <openssl/ssl.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace reprise {

namespace asio = boost::asio;

/// Tells whether one of these certificates has been revoked. The server's own certificate is the first. Null if the
/// server sent none.
using revocation_check = std::function<asio::awaitable<bool>(std::shared_ptr<certificate_chain const>)>;

/// How a client_stream connects, verifies, resumes and closes.
struct client_options
{
    /// Require a verified certificate that is valid for the host. False keeps the verification mode of the
    /// ssl::context, which verifies nothing by default, and checks no name.
    bool verify_peer = true;

    /// DNS name for SNI (RFC 6066, 3) and for the certificate check, if it differs from the host of the connection. An
    /// empty name sends no SNI, and the certificate is checked against the host. Without this option, names that the
    /// caller has set on the ssl::context or on the SSL stay in effect.
    std::optional<std::string> server_name{};

    /** Called for the SSL of each connection, reconnects included, after verify_peer has been applied and before the
        stream sets SNI, ALPN and the host to verify. Use it for everything that has an SSL_set function: groups,
        ciphers, versions, verification, a certificate, ex_data.

        Settings that OpenSSL can report become a part of the session_scope. A callback that is set here counts as one
        of the context's: it needs policy_tag.

        An exception ends the connection: a system_error with its own code, any other exception with
        `errc::callback_threw`.
    */
    std::function<void(SSL*)> on_ssl{};

    /// Protocols to offer with ALPN (RFC 7301), preferred first, 1 to 255 bytes each. Empty keeps the context's own.
    std::vector<std::string> alpn{};

    /// Sessions are shared only within one partition, for example one per user or per top-level site.
    std::string partition{};

    /** A name, chosen by the caller, for the settings of the ssl::context that OpenSSL does not report: callbacks that
        decide about the server or choose a certificate, purpose and trust, pre-shared keys.

        Another context or process may use a session only if the tags are equal and all readable settings are equal.
        Without a tag, sessions stay with this context. With one of these callbacks and no tag, no session is kept,
        because its decision cannot be repeated. With a tag, a verify callback is called again before each offer (about
        150 us).

        OpenSSL does not report a certificate callback (SSL_CTX_set_cert_cb(3)). If that callback sometimes shows no
        certificate, set a tag, or a partition for each identity.
    */
    std::string policy_tag{};

    /// Longest reuse after the full handshake that verified the certificate. Resuming does not extend it. Above 0 s, at
    /// most 7 days (RFC 8446, 4.6.1). A day limits the harm of a stolen store.
    std::chrono::seconds max_session_age = std::chrono::hours{24};

    /// Called before a session from the store is offered, with lookup_timeout as its timeout. If it returns true, fails
    /// or is late, the handshake runs in full. After true, the store forgets the sessions of this scope. Not called for
    /// full handshakes, where the revocation lists of the trust store apply, and not by a stream that verifies nothing.
    revocation_check is_revoked{};

    /// Timeout of each attempt to connect, from the resolver to the end of the handshake. Zero for no limit.
    std::chrono::milliseconds connect_timeout = std::chrono::seconds{30};

    /// Timeout of `async_shutdown` and `async_close`, which wait for the peer's close_notify or for tickets that are
    /// still on their way. A peer that answers needs one round trip. Zero for no limit.
    std::chrono::milliseconds shutdown_timeout = std::chrono::seconds{2};

    /// Timeout of a lookup in the session_store. After it the handshake runs in full. At least 1 ms.
    std::chrono::milliseconds lookup_timeout{100};

    /// The name of `lookup_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> lookup_deadline{};

    /// Set TCP_NODELAY. Without it, Nagle's algorithm can delay the second small record by 40 ms.
    bool no_delay = true;

    /// Send the first flight with the first packet of TCP, if the kernel knows that the server accepts that (TCP Fast
    /// Open, RFC 7413; Linux). Otherwise the connection is made without it. The server may receive this data twice.
    /// Several addresses are tried one after the other.
    bool fast_open = false;

    /// How to retry when connecting fails. By default there is one attempt.
    retry_options retry{};

    /// Connection attempt delay (RFC 8305, 5): wait this long before trying the next address in parallel. 10 ms to
    /// 10 s.
    std::chrono::milliseconds attempt_delay{250};

    /// Connect through this proxy.
    std::optional<http_proxy> proxy{};

    /// Notified of each handshake, for logs and metrics; its `peer` is the host. Null for none.
    std::shared_ptr<reprise::observer> observer{};

    /// Clock that supplies the current time, for the age of sessions.
    clock now = system_clock();
};

} // namespace reprise
