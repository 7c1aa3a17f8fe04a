// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <string>
#include <string_view>

namespace reprise::detail {

/// Format bytes as lower-case hex, two digits each. Not for secrets: the string is not wiped.
[[nodiscard]] inline std::string hex(byte_view bytes)
{
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * bytes.size());
    for (auto const byte : bytes)
    {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

} // namespace reprise::detail
