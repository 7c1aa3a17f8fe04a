// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

namespace reprise {

namespace detail {

/// TCP_FASTOPEN of a socket that listens, or is about to.
[[nodiscard]] error_code accept_fast_open(int socket, int max_pending) noexcept;

/// TCP_FASTOPEN_CONNECT of a socket that is not connected yet.
[[nodiscard]] error_code connect_fast_open(int socket) noexcept;

} // namespace detail

/** Let clients send data with the first packet of a connection (TCP Fast Open, RFC 7413; Linux).

    With it and early data a request needs one round trip in all. The system has to allow it as well, by the second bit of
    net.ipv4.tcp_fastopen; where it does not, or the network does not let it through, connections are made as ever. A packet
    that is delivered twice can make two connections, so use it where early data may be repeated, or with a replay guard.

    @param acceptor An open asio acceptor of TCP, on Linux before or after it listens.
    @param max_pending Most connections that may wait with data before their handshake is complete. At least 1.
    @return What the system said; on other systems `operation_not_supported`.
*/
template <class Acceptor>
error_code enable_fast_open(Acceptor& acceptor, int max_pending = 256)
{
    return detail::accept_fast_open(acceptor.native_handle(), max_pending);
}

} // namespace reprise
