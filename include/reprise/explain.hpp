// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_handle.hpp>
#include <reprise/client_options.hpp>
#include <reprise/session_store.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ssl/context.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace reprise {

/// Result of `explain`: the session that a connection would offer, or why it would offer none.
struct explanation
{
    session_scope key{}; ///< scope of the lookup in the store

    /// `none` if a session would be offered, otherwise why not.
    full_handshake_reason reason = full_handshake_reason::nothing_stored;

    /// The session that would be offered. A TLS 1.3 session that fails a check is not put back, as in a connection.
    std::optional<session> candidate{};

    /// How long the session could still be offered. The limits are its lifetime, the expiry of its certificates, and
    /// `max_session_age`.
    std::chrono::seconds time_left{};

    /// Whether other contexts and processes may use the session: `client_options::policy_tag` is set, and the whole
    /// policy of the context could be read.
    bool is_shared = false;
};

/** Find out what a connection of this client to this peer would offer now. Nothing is sent.

    Does what a connection does before its handshake: reads the context's policy, takes a session from the store within
    `lookup_timeout`, checks its certificates, and calls the revocation check. The session is then put back into the
    store. `client_options::observer` is not called.

    @par Cancellation
    `terminal`: throws `asio::error::operation_aborted`. A session that the store has handed out is put back.

    @par Errors
    Throws system_error `errc::bad_option`, `errc::bad_host` or `errc::bad_service`. A store that fails or is late is
    not an error: `explanation::reason` reports it.

    @par Object Lifetimes
    The context must outlive the operation. The store is held by shared ownership.
*/
[[nodiscard]] asio::awaitable<explanation> explain(std::string host, std::string service, client of);

/// Find out what a connection with this context, store and these options would offer.
[[nodiscard]] asio::awaitable<explanation> explain(std::string host, std::string service, asio::ssl::context& tls,
                                                   session_store& store, client_options options);

/// Find out what a connection with this context, store and default options would offer.
[[nodiscard]] asio::awaitable<explanation> explain(std::string host, std::string service, asio::ssl::context& tls,
                                                   session_store& store);

/// A few lines of text for a person to read. They contain no secrets.
[[nodiscard]] std::string to_string(explanation const& e);

/// Explains a reason, and what to do about it, in one or two sentences.
[[nodiscard]] std::string_view advice(full_handshake_reason reason) noexcept;

} // namespace reprise
