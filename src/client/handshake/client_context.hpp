// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "tls/context_policy.hpp"

#include <openssl/ssl.h>

#include <array>
#include <string>

namespace reprise::detail {

class client_handshake;

/// State that a context owns after a `client` was made from it.
class client_context
{
public:
    /// The state of this context. The first call makes it and attaches the callbacks. Thread-safe.
    /// @throws system_error `errc::bad_option`, if the context is for servers or for DTLS.
    [[nodiscard]] static client_context& of(SSL_CTX* context);

    /// The state of this context; null if there is none.
    [[nodiscard]] static client_context* find(SSL_CTX const* context) noexcept;

    /// Random, so unique among the contexts of all processes.
    std::array<unsigned char, 16> id{};

    policy_reader policy{tls_end::client};

    using new_session_callback = int (*)(SSL*, SSL_SESSION*);
    new_session_callback previous = nullptr; ///< the caller's own callback, called after ours
};

/// Store the connection in its SSL, where the callbacks of the context find it.
void set_connection(SSL* ssl, client_handshake* connection);

} // namespace reprise::detail
