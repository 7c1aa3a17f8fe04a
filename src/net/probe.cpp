// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/net/probe.hpp>

#include <sys/socket.h>

#include <cerrno>

namespace reprise::detail {

bool is_alive(int socket) noexcept
{
    char byte = 0;
    auto const n = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

std::size_t receive_now(int socket, std::span<unsigned char> into) noexcept
{
    auto const n = ::recv(socket, into.data(), into.size(), MSG_DONTWAIT);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
}

} // namespace reprise::detail
