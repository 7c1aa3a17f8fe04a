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

// What a connection's SSL and its context say about its peers, by content: settings.cpp lists what is read and what cannot be.

namespace reprise::detail {

enum class tls_end
{
    client,
    server,
};

/// Fingerprints of a policy.
struct context_policy
{
    sha256_digest verification{};       ///< all that is `read`
    std::optional<sha256_digest> offer; ///< all that is `offered`, of a client; nothing if it cannot be had
    std::string identity;               ///< of a client's certificates, their chains and keys; empty without

    /// A callback decides about the peer: its verdict may change without anything else.
    bool judges_peer = false;

    /// A callback chooses the certificate that a client shows.
    bool chooses_identity = false;

    /// The peer has to show what a resumption does not bring: a stapled OCSP response or certificate timestamps.
    bool wants_evidence = false;

    /// How often `policy_reader::forget` was called before: what was verified earlier is to be verified again.
    std::uint64_t revision = 0;

    /// The certificates that the SSL had.
    std::vector<x509_ptr> certificates{};
};

/// Whether the certificate that a client has shown, or would show, is one that it began with. Otherwise a callback has
/// chosen it (SSL_CTX_set_cert_cb(3)), of which OpenSSL does not tell.
[[nodiscard]] bool shows_own_certificate(context_policy const& began_with, SSL const* ssl);

/** The policies of one context's connections, read when first met and whenever something has changed since.

    What is read is of the SSL, and of its context where the SSL has nothing of its own. Both say the same until somebody
    changes the SSL, so the policy of a context is that of a fresh SSL.

    To compare costs some hundred instructions: what can be replaced is held, so that an equal address is the same object,
    and the rest is compared by content. What cannot be read has to be set before; `forget` says that it has changed. That
    a trust store has got more certificates is not taken for a change: it only widens whom one trusts, and OpenSSL itself
    adds what it finds in a directory. More revocation lists are one.

    Of callbacks a fingerprint tells only whether there are any. One that is exchanged while the context is in use gives a
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

    /// Forget what was read: something has changed that OpenSSL does not tell.
    void forget() noexcept;

private:
    struct state;

    std::unique_ptr<state> const state_;
};

} // namespace reprise::detail
