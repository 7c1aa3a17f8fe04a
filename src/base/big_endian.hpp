// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <cstddef>
#include <cstdint>

namespace reprise::detail {

/// Append the low `Size` bytes of `value`, most significant byte first.
template <std::size_t Size, class Bytes>
void append_number(Bytes& to, std::uint64_t value)
{
    static_assert(Size <= sizeof value);
    for (std::size_t i = Size; i-- > 0;)
        to.push_back(static_cast<unsigned char>(value >> (8 * i)));
}

/// Read a big-endian number of at most 8 bytes.
[[nodiscard]] inline std::uint64_t read_number(byte_view bytes) noexcept
{
    std::uint64_t value = 0;
    for (auto const byte : bytes)
        value = value << 8 | byte;
    return value;
}

} // namespace reprise::detail
