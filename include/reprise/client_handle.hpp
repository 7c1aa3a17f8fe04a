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

/** The setup that client streams share: an ssl::context, a session store and options.

        reprise::client shop{tls, *store, options};
        reprise::client_stream<> stream{io, shop};

    The constructors check all options. A copy refers to the same context, store and options. Copying costs one atomic
    increment, so each connection may have its own copy.

    @par Errors
    The constructors throw system_error `errc::bad_option`, if an option is out of bounds, or if the context is for
    servers or for DTLS.

    @par Object Lifetimes
    The ssl::context must outlive all streams, because it owns the verify callback. Configure the context before making
    a client from it. `policy_changed` lists the later changes that must be reported. The store is held by shared
    ownership.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class client
{
public:
    /// Construct a client that keeps sessions in `store`.
    client(asio::ssl::context& tls, session_store& store, client_options options);

    /// Construct a client that keeps sessions in `store`, with default options.
    client(asio::ssl::context& tls, session_store& store);

    /// Construct a client that keeps no sessions.
    client(asio::ssl::context& tls, client_options options);

    /// Construct a client that keeps no sessions, with default options.
    explicit client(asio::ssl::context& tls);

    [[nodiscard]] client_options const& options() const noexcept;

    /// For use by the library only.
    [[nodiscard]] std::shared_ptr<detail::client_setup const> const& setup() const noexcept { return setup_; }

private:
    std::shared_ptr<detail::client_setup const> setup_;
};

} // namespace reprise
