// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/early_data.hpp>
#include <reprise/session.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <optional>
#include <span>

namespace reprise {

/** What one connection does beside connecting and shaking hands:
    `stream.async_connect(host, service, {.early_data = request, .exactly = &session})`.

    @par Object Lifetimes
    Refers to the session, the endpoints and the bytes. The session and the endpoints are copied when the operation is initiated;
    the bytes must outlive the operation. All members are trivially copyable, so braces are safe in an expression that awaits,
    also with GCC 12.
*/
struct connect_options
{
    /// Send these bytes in the first flight if the session allows it, else after the handshake.
    std::optional<reprise::early_data> early_data{};

    /// Resume exactly this session and do not ask the store, for protocols that demand it. Null: the store chooses. With
    /// early data the server must have acknowledged SNI in this session, because nothing else tells where it came from.
    session const* exactly = nullptr;

    /// Connect to these endpoints, which race in this order, and do not resolve the host. A proxy is asked for them one after
    /// the other. An empty sequence fails with `asio::error::not_found`. Not for a stream with a connector.
    std::optional<std::span<asio::ip::tcp::endpoint const>> endpoints{};
};

inline early_data::operator connect_options() const noexcept
{
    return {.early_data = *this};
}

} // namespace reprise
