// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/sha256.hpp"
#include "tls/policy_stamp.hpp"

#include <reprise/ssl_handles.hpp>

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

// Reads what a connection's SSL and its context demand of peers, by content. settings.cpp lists what can be read and
// what cannot.

namespace reprise::detail {

enum class tls_end
{
    client,
    server,
};

/// Fingerprints of a policy.
struct context_policy
{
    sha256_digest verification{};       ///< of all settings that can be `read`
    std::optional<sha256_digest> offer; ///< of all that a client has `offered`; nothing if it cannot be read
    std::string identity;               ///< of a client's certificates, their chains and keys; empty if there are none

    /// A callback decides about the peer: its verdict may change although no setting changes.
    bool judges_peer = false;

    /// A callback chooses the certificate that a client shows.
    bool chooses_identity = false;

    /// The peer has to show evidence that a resumption does not bring: a stapled OCSP response or certificate
    /// timestamps.
    bool wants_evidence = false;

    /// How often `policy_reader::forget` was called. Sessions verified under an earlier revision are verified again.
    std::uint64_t revision = 0;

    /// The certificates of the SSL when the policy was read.
    std::vector<x509_ptr> certificates{};
};

/// Whether the certificate that a client has shown, or would show, is one of `began_with`. If not, a callback chose the
/// certificate (SSL_CTX_set_cert_cb(3)), which OpenSSL does not report.
[[nodiscard]] bool shows_own_certificate(context_policy const& began_with, SSL const* ssl);

/** Reads the policies of one context's connections, on first use and again after each change.

    Settings are read from the SSL, and from its context where the SSL has none of its own. Both agree until the SSL is
    changed, so the policy of a context is that of a fresh SSL.

    A comparison costs some hundred instructions. Objects that can be replaced are held, so that an equal address is the
    same object. The rest is compared by content.

    @li Settings that cannot be read have to be made before; `forget` reports a later change.
    @li More certificates in a trust store are no change: they only widen trust, and OpenSSL itself adds what it finds
        in a directory. More revocation lists are a change.
    @li A fingerprint tells only whether there are callbacks. Exchanging a callback while the context is in use gives a
        policy that no other process has.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class policy_reader
{
public:
    explicit policy_reader(tls_end end);
    policy_reader(policy_reader const&) = delete;
    policy_reader& operator=(policy_reader const&) = delete;
    ~policy_reader();

    [[nodiscard]] std::shared_ptr<context_policy const> read(SSL* ssl);

    /// Forget all readings, after a change that OpenSSL does not report.
    void forget() noexcept;

private:
    struct state;

    std::unique_ptr<state> const state_;
};

} // namespace reprise::detail
