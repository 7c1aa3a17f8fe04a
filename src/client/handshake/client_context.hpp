// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "tls/context_policy.hpp"

#include <openssl/ssl.h>

#include <array>
#include <string>

namespace reprise::detail {

class client_handshake;

/// What a context carries once a client_stream has used it.
class client_context
{
public:
    /// That of this context; hooks up its callbacks, once.
    [[nodiscard]] static client_context& of(SSL_CTX* context);

    /// The same, if there is one.
    [[nodiscard]] static client_context* find(SSL_CTX const* context) noexcept;

    /// Unlike that of any other context, of this process or another.
    std::array<unsigned char, 16> id{};

    policy_reader policy{tls_end::client};

    using new_session_callback = int (*)(SSL*, SSL_SESSION*);
    new_session_callback previous = nullptr; ///< somebody else's, to be called after ours
};

/// Let the context's callbacks find the connection through its SSL.
void set_connection(SSL* ssl, client_handshake* connection);

} // namespace reprise::detail
