// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/sha256.hpp"

#include <openssl/ssl.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

// What a context says about its peers, by content: settings.cpp lists what is read and what cannot be.

namespace reprise::detail {

enum class tls_end
{
    client,
    server,
};

/// What OpenSSL tells of a context without effort. Equal stamps: nothing that can be seen has changed.
using policy_stamp = std::array<std::uintptr_t, 25>;

/// Fingerprints of one context's policy; computed again when it has changed.
struct context_policy
{
    sha256_digest verification{};       ///< all that is `read`
    std::optional<sha256_digest> offer; ///< all that is `offered`, of a client; nothing if it cannot be had
    std::string identity;               ///< of a client's certificate, its chain and its key; empty without

    /// A callback decides about the peer, or which certificate is shown.
    bool has_callback = false;

    /// The peer has to show what a resumption does not bring: a stapled OCSP response or certificate timestamps.
    bool wants_evidence = false;
};

[[nodiscard]] context_policy read_policy(SSL_CTX* context, tls_end end);

/** The policy of one context, read when first asked for and whenever the context has changed since.

    What cannot be read has to be set before. That the trust store has got more certificates is not taken for a change: it
    only widens whom one trusts, and OpenSSL itself adds what it finds in a directory. More revocation lists are one.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class policy_reader
{
public:
    explicit policy_reader(tls_end end) noexcept : end_(end) {}

    [[nodiscard]] std::shared_ptr<context_policy const> read(SSL_CTX* context);

    /// Forget what was read: something has changed that OpenSSL does not tell.
    void forget() noexcept;

private:
    [[nodiscard]] policy_stamp stamp(SSL_CTX* context);

    // How many revocation lists a store holds; counted anew when it has grown.
    struct counted
    {
        void const* store = nullptr;
        int objects = -1;
        std::uintptr_t lists = 0;

        [[nodiscard]] std::uintptr_t lists_of(X509_STORE* of);
    };

    tls_end const end_;
    std::mutex mutex_;
    std::array<counted, 2> counted_;
    policy_stamp stamp_{};
    std::shared_ptr<context_policy const> last_;
};

} // namespace reprise::detail
