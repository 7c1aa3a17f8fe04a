// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/byte_codec.hpp"

#include <reprise/clock.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace reprise::detail {

/// Format of an expiry in a record: microseconds since 1970, rounded down, most significant byte first. In bytes.
inline constexpr std::size_t expiry_field_size = 8;

inline void write_expiry(std::span<unsigned char, expiry_field_size> field, time_point expiry)
{
    using std::chrono::microseconds;
    write_number(field,
                 static_cast<std::uint64_t>(std::chrono::floor<microseconds>(expiry.time_since_epoch()).count()));
}

/// Read an expiry from untrusted bytes. A time beyond the range of time_point becomes the nearest in range.
[[nodiscard]] inline time_point read_expiry(std::span<unsigned char const, expiry_field_size> field)
{
    using std::chrono::microseconds;
    auto const least = std::chrono::ceil<microseconds>(time_point::min().time_since_epoch());
    auto const most = std::chrono::floor<microseconds>(time_point::max().time_since_epoch());
    return time_point{std::clamp(microseconds{static_cast<std::int64_t>(read_number(field))}, least, most)};
}

} // namespace reprise::detail
