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

/// What a connection would do about resumption, and why.
struct explanation
{
    session_scope key{}; ///< under which the store was asked

    /// `none`: a session would be offered. Else why not.
    full_handshake_reason reason = full_handshake_reason::nothing_stored;

    /// The session that would be offered. (One that is refused is dropped, as a connection would do.)
    std::optional<session> candidate{};

    /// For how long it would be offered still: as long as the server takes it, its certificates are valid, and
    /// `max_session_age` allows.
    std::chrono::seconds time_left{};

    /// Sessions may cross to other contexts and processes: `client_options::policy_tag` is set, and all of the context's
    /// policy could be read.
    bool is_shared = false;
};

/** Find out what a connection of this client to this peer would offer now. Nothing is sent.

    Everything is asked as a connection asks it: the context's policy, the store within its deadline, the certificates, the
    revocation check. The session goes back to the store.

    @par Errors
    Throws system_error `errc::bad_option`. A store that fails or is late is part of the answer.

    @par Cancellation
    `terminal`: throws `asio::error::operation_aborted`; the session is back in the store.

    @par Object Lifetimes
    The context must outlive the operation; the store is held by shared ownership.
*/
[[nodiscard]] asio::awaitable<explanation> explain(std::string host, std::string service, client of);

/// Find out what a connection with this context, store and these options would offer.
[[nodiscard]] asio::awaitable<explanation> explain(std::string host, std::string service, asio::ssl::context& tls,
                                                   session_store& store, client_options options);

/// Find out what a connection with this context, store and default options would offer.
[[nodiscard]] asio::awaitable<explanation> explain(std::string host, std::string service, asio::ssl::context& tls,
                                                   session_store& store);

/// For people: a few lines, no secrets.
[[nodiscard]] std::string to_string(explanation const& e);

/// What a reason means, and what to do about it, in a sentence or two.
[[nodiscard]] std::string_view advice(full_handshake_reason reason) noexcept;

} // namespace reprise
