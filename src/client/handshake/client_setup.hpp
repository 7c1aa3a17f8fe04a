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

/// The checked setup that a `client` refers to. Immutable.
struct client_setup
{
    /// Take a reference to the context, check the options, and attach the callbacks, once for each context.
    /// @throws system_error `errc::bad_option`.
    client_setup(SSL_CTX* tls, std::shared_ptr<session_store> sessions, client_options wanted);

    ssl_ctx_ptr context;
    std::shared_ptr<session_store> store; // null: no session is kept
    client_options options;
    client_context* shared;                 // owned by the context
    std::optional<std::string> server_name; // of the options, in lower case and without a final dot
};

} // namespace reprise::detail
