// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/early_data.hpp>
#include <reprise/session.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <optional>
#include <span>

namespace reprise {

/** Options of one connection:
    `stream.async_connect(host, service, {.early_data = request, .exactly = &session})`.

    @par Object Lifetimes
    Refers to the session, the endpoints and the bytes of early data. The session and the endpoints are copied when the
    operation is initiated. The bytes must outlive the operation. All members are trivially copyable, so braces are safe
    in an expression that awaits, also with GCC 12.
*/
struct connect_options
{
    /// Send these bytes in the first flight if the session allows it, else after the handshake.
    std::optional<reprise::early_data> early_data{};

    /// Offer exactly this session and do not ask the store, for protocols that demand it. Null: the store chooses.
    /// Early data is then offered only if the server acknowledged SNI in this session, because nothing else tells where
    /// the session came from.
    session const* exactly = nullptr;

    /// Connect to these endpoints, in parallel and in this order (RFC 8305, 5), and do not resolve the host. A proxy is
    /// asked for one endpoint after the other. An empty sequence fails with `asio::error::not_found`. A connector
    /// (`set_connector`) ignores the endpoints.
    std::optional<std::span<asio::ip::tcp::endpoint const>> endpoints{};
};

inline early_data::operator connect_options() const noexcept
{
    return {.early_data = *this};
}

} // namespace reprise
