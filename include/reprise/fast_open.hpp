// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

namespace reprise {

namespace detail {

/// Set TCP_FASTOPEN on a socket that listens or is about to listen.
[[nodiscard]] error_code accept_fast_open(int socket, int max_pending) noexcept;

/// Set TCP_FASTOPEN_CONNECT on a socket that is not connected yet.
[[nodiscard]] error_code connect_fast_open(int socket) noexcept;

} // namespace detail

/** Let clients send data with the first packet of a connection (TCP Fast Open, RFC 7413; Linux).

    With early data, a request then needs one round trip in all. The system must also allow it, by the second bit of
    net.ipv4.tcp_fastopen. If the system or the network does not, connections are made without it.

    A packet that is delivered twice can make two connections. So use this where early data may be repeated, or with a
    replay guard.

    @param acceptor An open TCP acceptor of Asio; on Linux before or after it listens.
    @param max_pending Maximum number of connections with data that may wait for their TCP handshake to complete. At
        least 1.
    @return The error of the system, if any; `operation_not_supported` on other systems.
*/
template <class Acceptor>
error_code enable_fast_open(Acceptor& acceptor, int max_pending = 256)
{
    return detail::accept_fast_open(acceptor.native_handle(), max_pending);
}

} // namespace reprise
