// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <span>

namespace reprise::detail {

/// Whether the socket is connected and the peer has neither closed nor reset the connection.
[[nodiscard]] bool is_alive(int socket) noexcept;

/// Read what has arrived, without waiting. @return The number of bytes; 0 if nothing has arrived.
[[nodiscard]] std::size_t receive_now(int socket, std::span<unsigned char> into) noexcept;

} // namespace reprise::detail
