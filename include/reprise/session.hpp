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

/// Protocol version of a connection, as on the wire (RFC 8446, 4.1.2). Sessions of TLS 1.0 and 1.1 are not kept
/// (RFC 8996).
enum class tls_version : std::uint16_t
{
    tls10 = 0x0301,
    tls11 = 0x0302,
    tls12 = 0x0303,
    tls13 = 0x0304,
};

/// Certificates of a peer, in the order in which the peer sent them: its own is the first.
using certificate_chain = std::vector<x509_ptr>;

/** Facts about the full handshake behind a session. A session carries them because OpenSSL forgets them on renewal.

    A TLS 1.3 resumption gives the new session a new issue time. The time of the last certificate verification and the
    expiry of that certificate chain remain those of the full handshake (RFC 8446, 4.6.1).
*/
struct session_origin
{
    /// When the peer's certificate was last verified, in a full handshake.
    time_point verified_at{};

    /// Earliest notAfter of the verified chain. `time_point::max()` if there was no certificate to verify, or if its
    /// dates were not checked.
    time_point chain_expiry = time_point::max();

    /// Result of that verification: an `X509_V_` value; `X509_V_OK` is 0 (SSL_get_verify_result(3)).
    long verify_result = X509_V_OK;

    /// Client only: the server's certificates, which are verified again before an offer. Null if the server sent none.
    std::shared_ptr<certificate_chain const> chain{};

    /// Client only: the context, policy and name under which this process has verified the certificates. Null if they
    /// must be verified before each offer, for example for a session from elsewhere. Never leaves the process.
    std::shared_ptr<std::string const> verified_under{};

    /// Memory of the certificates that the peer sent after its own, as `session::size` counts it. Never leaves the
    /// process.
    std::size_t chain_bytes = 0;

    /// The origin for a connection that has just completed a full handshake at `now`.
    [[nodiscard]] static session_origin of_full_handshake(SSL const* ssl, time_point now);
};

/** An immutable snapshot of a TLS session.

    OpenSSL invalidates a live `SSL_SESSION` when its connection is freed without a shutdown, and in TLS 1.3 after one
    use. A snapshot is a private copy that stays valid: each connection gets a fresh copy of it. Copying a `session` is
    cheap, because copies share the snapshot.

    A session is a secret: anyone who has it can resume it. It has no stream operator, and `serialize` returns bytes
    that are wiped on destruction.

    @par Thread Safety
    Distinct and shared objects: safe, because a session never changes.
*/
class session
{
public:
    /// Copy the current session of a connection. Empty if the session cannot be resumed (SSL_SESSION_is_resumable(3)),
    /// if its protocol is TLS 1.0 or 1.1, or if memory ran out.
    [[nodiscard]] static std::optional<session> snapshot(SSL_SESSION const* live, session_origin origin);

    /** Decode the bytes that `serialize` returned.

        The bytes are untrusted: anything but exactly one session of a known version gives `errc::session_corrupt`.
        Decoding a client session costs about 250 us, because it contains a certificate. Within a process keep `session`
        objects, not bytes.
    */
    [[nodiscard]] static boost::system::result<session> parse(byte_view bytes);

    /// Encode the session: a version byte, the origin, the certificates and the session's DER (i2d_SSL_SESSION(3)). A
    /// client session takes 1 to 4 KB.
    [[nodiscard]] secret_bytes serialize() const;

    [[nodiscard]] tls_version protocol() const noexcept;

    /// When the server issued the session, by this machine's clock, in whole seconds.
    [[nodiscard]] time_point issued_at() const noexcept;

    /// How long the session may be used, from `issued_at`: the server's ticket lifetime, otherwise the context's own
    /// timeout (SSL_CTX_set_timeout(3)). At most 7 days (RFC 8446, 4.6.1).
    [[nodiscard]] std::chrono::seconds lifetime() const noexcept;

    /// When the certificate behind the session was verified, with what result, and how long its chain is valid.
    [[nodiscard]] session_origin const& origin() const noexcept;

    /// The protocol selected with ALPN, or empty.
    [[nodiscard]] std::string alpn() const;

    /// The server name (SNI) that the server acknowledged, or empty (RFC 6066, 3). Many servers do not acknowledge it.
    [[nodiscard]] std::string server_name() const;

    /// The cipher suite, by its standard name.
    [[nodiscard]] std::string cipher() const;

    /// How many bytes of early data the server accepts with this session; 0 for none (RFC 8446, 4.2.10).
    [[nodiscard]] std::uint32_t max_early_data() const noexcept;

    /// True for a ticket (RFC 5077, RFC 8446), false for a TLS 1.2 session id.
    [[nodiscard]] bool has_ticket() const noexcept;

    /** Memory of the session, in bytes: its ticket, its strings, and all certificates that the peer sent.

        This is an estimate, because OpenSSL's objects are opaque. A certificate counts as 5 KB plus four times its DER.
        For a session that shares nothing, the estimate is between half and twice the actual memory.

        Sessions of one connection, and sessions that resumed from them, share their certificates. Each of them counts
        the certificates in full, so a pool of sessions takes less memory than the sum.
    */
    [[nodiscard]] std::size_t size() const noexcept;

    /// A fresh copy for one connection, which may invalidate it. Null if memory ran out.
    [[nodiscard]] ssl_session_ptr copy() const;

    /// The snapshot itself, to read only.
    [[nodiscard]] SSL_SESSION const* native_handle() const noexcept;

private:
    struct impl;
    explicit session(std::shared_ptr<impl const> s) noexcept : impl_(std::move(s)) {}

    std::shared_ptr<impl const> impl_;
};

} // namespace reprise
