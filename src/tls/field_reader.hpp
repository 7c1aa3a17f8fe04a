// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <cstddef>
#include <optional>

namespace reprise::detail {

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
        unsigned value = 0;
        for (auto const byte : *bytes)
            value = value << 8 | byte;
        return value;
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
