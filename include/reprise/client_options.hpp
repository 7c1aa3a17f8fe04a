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

/// Asks whether one of these certificates has been revoked since; the server's own comes first.
using revocation_check = std::function<asio::awaitable<bool>(std::shared_ptr<certificate_chain const>)>;

/// How a client_stream connects, verifies, resumes and closes.
struct client_options
{
    /// Require a verified certificate that is valid for the host. False leaves the ssl::context's own verification
    /// mode, which verifies nothing by default, and checks no name.
    bool verify_peer = true;

    /// The DNS name for SNI (RFC 6066, 3) and for the certificate check, if it is not the host that was connected to.
    /// An empty name sends no SNI, and the certificate is checked against the host. Without this option names that the
    /// caller has set on the ssl::context or on the SSL stay as they are.
    std::optional<std::string> server_name{};

    /// Called for the SSL of each connection, reconnects included, when the stream has set it up and before a session is
    /// chosen: for groups, ciphers, versions, verification, a certificate, ex_data, all that has an SSL_set function. What
    /// OpenSSL tells of these settings is a part of the session_scope. A callback that is set here counts as one of the
    /// context's: it needs policy_tag. What the hook throws ends the connection: a system_error with its code, anything else
    /// with `errc::callback_threw`.
    std::function<void(SSL*)> on_ssl{};

    /// Protocols to offer with ALPN, preferred first, each 1 to 255 bytes (RFC 7301). Empty leaves the context's own.
    std::vector<std::string> alpn{};

    /// Sessions are shared only within one partition; for example one per user or per top-level site.
    std::string partition{};

    /// Declares, in a name of the caller's, what OpenSSL does not tell of the ssl::context: callbacks that decide about the
    /// server or choose a certificate, purpose and trust, pre-shared keys. Sessions cross to another context, and to another
    /// process, only where the tags are equal and so is everything that can be read. Empty: they stay with this context,
    /// and with a callback none is kept, because nobody can repeat what it has decided. A verify callback is asked again
    /// before each offer (about 150 us). A certificate callback that sometimes shows none needs a tag, or a partition for
    /// each identity: OpenSSL does not tell that there is one (SSL_CTX_set_cert_cb(3)).
    std::string policy_tag{};

    /// Longest reuse after the full handshake that verified the certificate; resuming does not extend it. Above 0 s, at
    /// most 7 days (RFC 8446, 4.6.1); a day limits the harm of a stolen store.
    std::chrono::seconds max_session_age = std::chrono::hours{24};

    /// Asked before a session is offered, for at most lookup_timeout; without an answer, or with `true`, the handshake runs
    /// in full. A full handshake does not ask it: that is the business of the trust store's revocation lists.
    revocation_check is_revoked{};

    /// For connecting, from the resolver to the end of the handshake. Zero for no limit.
    std::chrono::milliseconds connect_timeout = std::chrono::seconds{30};

    /// How long `async_shutdown` waits for the peer's close_notify, and for tickets that are still on their way. Zero for
    /// no limit. An answering peer needs one round trip.
    std::chrono::milliseconds shutdown_timeout = std::chrono::seconds{2};

    /// Longest wait for the session_store; after it the handshake runs in full. At least 1 ms.
    std::chrono::milliseconds lookup_timeout{100};

    [[deprecated("lookup_timeout")]] std::optional<std::chrono::milliseconds> lookup_deadline{};

    /// Send small records at once. Otherwise a request that follows another waits for an acknowledgement, 40 ms.
    bool no_delay = true;

    /// Send the first flight with the first packet of TCP, where the system knows that the server takes it (TCP Fast Open,
    /// RFC 7413; Linux). Where anything refuses, the connection is made as ever. What is sent so may arrive twice.
    bool fast_open = false;

    /// How to try again when connecting fails; once by default.
    retry_options retry{};

    /// Of several addresses each is alone for so long before the next one is tried beside it (RFC 8305, 5). 10 ms to 10 s.
    std::chrono::milliseconds attempt_delay{250};

    /// Connect through this proxy.
    std::optional<http_proxy> proxy{};

    /// Told of each handshake, for logs and metrics, with the host for a name. Null for nobody.
    std::shared_ptr<reprise::observer> observer{};

    /// Where "now" comes from, for the age of sessions.
    clock now = system_clock();
};

} // namespace reprise
