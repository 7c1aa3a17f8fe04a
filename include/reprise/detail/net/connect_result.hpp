// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

#include <cerrno>

namespace reprise::detail {

/** Whether a TCP socket is connected to itself.

    The kernel connects a socket to itself (simultaneous open; RFC 9293, 3.5) if all of these hold: the destination is
    this machine, no process listens on the port, and the kernel picks the same port for this end.
*/
template <class Socket>
[[nodiscard]] bool is_connected_to_itself(Socket const& socket)
{
    error_code no_local;
    error_code no_remote;
    auto const local = socket.local_endpoint(no_local);
    auto const remote = socket.remote_endpoint(no_remote);
    return !no_local && !no_remote && local == remote;
}

/// The result of a connection attempt. A socket that is connected to itself means that no process listens:
/// `asio::error::connection_refused`.
template <class Socket>
[[nodiscard]] error_code connect_result(Socket const& socket, error_code ec)
{
    return !ec && is_connected_to_itself(socket) ? error_code{ECONNREFUSED, boost::system::system_category()} : ec;
}

} // namespace reprise::detail
