// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/secret_bytes.hpp>
#include <reprise/ssl_handles.hpp>

#include <boost/system/result.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace reprise {

/// The protocol of a connection; values of the wire (RFC 8446, 4.1.2). No session of TLS 1.0 or 1.1 is kept (RFC 8996).
enum class tls_version : std::uint16_t
{
    tls10 = 0x0301,
    tls11 = 0x0302,
    tls12 = 0x0303,
    tls13 = 0x0304,
};

/// A peer's certificates, as it sent them: its own first.
using certificate_chain = std::vector<x509_ptr>;

/** What must be carried with a session because OpenSSL forgets it when the session is renewed.

    A TLS 1.3 resumption gives the new session a new issue time; the time at which a certificate was last verified,
    and how long that certificate chain is good for, stay those of the full handshake (RFC 8446, 4.6.1).
*/
struct session_origin
{
    /// When the peer's certificate was last verified, in a full handshake.
    time_point verified_at{};

    /// The earliest notAfter of the verified chain; `time_point::max()` if there was no certificate to verify, or if its dates
    /// were not checked.
    time_point chain_expiry = time_point::max();

    /// The result of that verification, an `X509_V_` value; `X509_V_OK` is 0 (SSL_get_verify_result(3)).
    long verify_result = X509_V_OK;

    /// On a client: the server's certificates, to be verified again before the session is offered. Null if it sent none.
    std::shared_ptr<certificate_chain const> chain{};

    /// On a client: which context has verified them in this process, under which policy and for which name. Null for a
    /// session that comes from elsewhere. It does not leave the process.
    std::shared_ptr<std::string const> verified_under{};

    /// Memory of the certificates that the peer has sent behind its own, as `session::size` counts it. It does not leave
    /// the process.
    std::size_t chain_bytes = 0;

    /// The origin of a connection that has just completed a full handshake at `now`.
    [[nodiscard]] static session_origin of_full_handshake(SSL const* ssl, time_point now);
};

/** An immutable snapshot of a TLS session.

    OpenSSL spoils a live `SSL_SESSION` when its connection is freed without a shutdown, and in TLS 1.3 after one use. A
    snapshot is a private copy that nothing spoils: each connection gets a fresh copy of it. Copying a `session` is cheap,
    the snapshot is shared.

    A session is a secret: whoever has it can resume it. It has no stream operator, and `serialize` gives wiped bytes.

    @par Thread Safety
    Distinct and shared objects: safe, for it never changes.
*/
class session
{
public:
    /// Copy what the connection has now. Nothing if the session cannot be resumed (SSL_SESSION_is_resumable(3)), or if its
    /// protocol is TLS 1.0 or 1.1.
    [[nodiscard]] static std::optional<session> snapshot(SSL_SESSION const* live, session_origin origin);

    /** Read what `serialize` wrote.

        The bytes are untrusted: anything that is not exactly one session of a known version gives
        `errc::session_corrupt`. Decoding a client session costs about 250 us, for the certificate in it; keep `session`
        objects, not bytes, where they stay in the process.
    */
    [[nodiscard]] static boost::system::result<session> parse(byte_view bytes);

    /// A version byte, the origin, the certificates and the session's DER (i2d_SSL_SESSION(3)). 1 to 4 KB for a client session.
    [[nodiscard]] secret_bytes serialize() const;

    [[nodiscard]] tls_version protocol() const noexcept;

    /// When the server issued it, on this machine's clock; whole seconds.
    [[nodiscard]] time_point issued_at() const noexcept;

    /// How long it may be used, from `issued_at`: what the server said of its ticket, else the context's own timeout
    /// (SSL_CTX_set_timeout(3)). Never above 7 days (RFC 8446, 4.6.1).
    [[nodiscard]] std::chrono::seconds lifetime() const noexcept;

    /// When the certificate behind it was verified, with what result, and how long its chain is valid.
    [[nodiscard]] session_origin const& origin() const noexcept;

    /// The protocol that ALPN selected, or empty.
    [[nodiscard]] std::string alpn() const;

    /// The name for which the server has acknowledged to use SNI, or empty (RFC 6066, 3). Many do not acknowledge it.
    [[nodiscard]] std::string server_name() const;

    /// The cipher suite, by its standard name.
    [[nodiscard]] std::string cipher() const;

    /// How many bytes of early data the server accepts with it; 0 for none (RFC 8446, 4.2.10).
    [[nodiscard]] std::uint32_t max_early_data() const noexcept;

    /// True for a ticket (RFC 5077, RFC 8446), false for a TLS 1.2 session id.
    [[nodiscard]] bool has_ticket() const noexcept;

    /** Memory that it takes, in bytes: its ticket, its texts, and all certificates that the peer has sent.

        It is an estimate: OpenSSL's objects are opaque. A certificate is counted as 5 KB and four times its DER, so that
        the whole is between half and twice of what a session takes that shares nothing. Sessions of one connection, and
        those that have resumed it, share their certificates; each counts them in full, so a pool of tickets takes less
        than the sum.
    */
    [[nodiscard]] std::size_t size() const noexcept;

    /// A fresh copy for one connection, which may spoil it.
    [[nodiscard]] ssl_session_ptr copy() const;

    /// The snapshot itself, to look at.
    [[nodiscard]] SSL_SESSION const* native_handle() const noexcept;

private:
    struct impl;
    explicit session(std::shared_ptr<impl const> s) noexcept : impl_(std::move(s)) {}

    std::shared_ptr<impl const> impl_;
};

} // namespace reprise
