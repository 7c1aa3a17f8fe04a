// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_options.hpp>
#include <reprise/session_store.hpp>

#include <boost/asio/ssl/context.hpp>

#include <memory>

namespace reprise {

namespace detail {
struct client_setup;
} // namespace detail

/** What client streams share: an ssl::context, a session store and options.

        reprise::client shop{tls, *store, options};
        reprise::client_stream<> stream{io, shop};

    The constructors check everything once. A copy refers to the same context, store and options, and costs an atomic
    increment, so each connection may have its own copy.

    @par Object Lifetimes
    The ssl::context must outlive all streams, because it owns the verify callback. Configure it first; `policy_changed` says
    which later changes need a word. The store is held by shared ownership.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class client
{
public:
    /// Sessions are kept in `store`.
    /// @throws system_error `errc::bad_option` for an option out of bounds, and for a context made for servers or for DTLS.
    client(asio::ssl::context& tls, session_store& store, client_options options);

    /// Sessions are kept in `store`. The options have their defaults.
    client(asio::ssl::context& tls, session_store& store);

    /// No session is kept.
    client(asio::ssl::context& tls, client_options options);

    /// No session is kept. The options have their defaults.
    explicit client(asio::ssl::context& tls);

    [[nodiscard]] client_options const& options() const noexcept;

    /// For the library.
    [[nodiscard]] std::shared_ptr<detail::client_setup const> const& setup() const noexcept { return setup_; }

private:
    std::shared_ptr<detail::client_setup const> setup_;
};

} // namespace reprise
