// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace reprise::detail {

/// @name Numbers, most significant byte first
/// @{

/// Write the last bytes of a number, as many as there is room for.
inline void write_number(std::span<unsigned char> to, std::uint64_t value) noexcept
{
    for (auto byte = to.rbegin(); byte != to.rend(); ++byte, value >>= 8)
        *byte = static_cast<unsigned char>(value);
}

/// Append the last `Size` bytes of a number.
template <std::size_t Size, class Bytes>
void append_number(Bytes& to, std::uint64_t value)
{
    static_assert(Size <= sizeof value);
    for (std::size_t i = Size; i-- > 0;)
        to.push_back(static_cast<unsigned char>(value >> (8 * i)));
}

/// Read a number of at most 8 bytes.
[[nodiscard]] inline std::uint64_t read_number(byte_view bytes) noexcept
{
    std::uint64_t value = 0;
    for (auto const byte : bytes)
        value = value << 8 | byte;
    return value;
}
/// @}

/// Append 8 bytes of a number, least significant byte first: for the input of hashes.
template <class Bytes>
void append_little_endian(Bytes& to, std::uint64_t value)
{
    for (int i = 0; i < 64; i += 8)
        to.push_back(static_cast<unsigned char>(value >> i));
}

/// Reads the fields of a TLS message from front to back. A field that extends past the end is absent (std::nullopt).
class field_reader
{
public:
    explicit field_reader(byte_view bytes) noexcept : rest_(bytes) {}

    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

    std::optional<unsigned> number(std::size_t width) noexcept
    {
        auto const bytes = take(width);
        if (!bytes)
            return std::nullopt;
        return static_cast<unsigned>(read_number(*bytes));
    }

    std::optional<byte_view> take(std::size_t size) noexcept
    {
        if (size > rest_.size())
            return std::nullopt;
        auto const result = rest_.first(size);
        rest_ = rest_.subspan(size);
        return result;
    }

    std::optional<byte_view> prefixed(std::size_t width) noexcept
    {
        auto const size = number(width);
        return size ? take(*size) : std::nullopt;
    }

private:
    byte_view rest_;
};

} // namespace reprise::detail
