// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "client/handshake/client_context.hpp"

#include <reprise/client_options.hpp>
#include <reprise/session_store.hpp>
#include <reprise/ssl_handles.hpp>

#include <memory>
#include <optional>
#include <string>

namespace reprise::detail {

/// What a `client` refers to, checked. It does not change.
struct client_setup
{
    /// Takes a reference to the context and attaches its callbacks, once for each context.
    client_setup(SSL_CTX* tls, std::shared_ptr<session_store> sessions, client_options wanted);

    ssl_ctx_ptr context;
    std::shared_ptr<session_store> store; // or null
    client_options options;
    client_context* shared;                 // the context's
    std::optional<std::string> server_name; // of the options, in its usual form
};

} // namespace reprise::detail
