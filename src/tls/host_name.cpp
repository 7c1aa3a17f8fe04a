// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/host_name.hpp"

#include <algorithm>
#include <cstddef>

namespace reprise::detail {

namespace {

constexpr std::size_t longest_name = 253;
constexpr std::size_t longest_label = 63;

bool is_digit(char c) noexcept
{
    return c >= '0' && c <= '9';
}

// Not the C library's function, which depends on the locale.
char lower(char c) noexcept
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool is_of_label(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

} // namespace

std::string normal_host_name(std::string_view name)
{
    if (name.ends_with('.'))
        name.remove_suffix(1);
    if (name.empty() || name.size() > longest_name)
        return {};
    std::string result{name};
    std::ranges::transform(result, result.begin(), lower);
    std::size_t begin = 0;
    for (std::size_t at = 0; at <= result.size(); ++at)
    {
        if (at < result.size() && result[at] != '.')
        {
            if (!is_of_label(result[at]))
                return {};
            continue;
        }
        if (at == begin || at - begin > longest_label)
            return {};
        if (at < result.size())
            begin = at + 1;
    }
    // The last label of a host name is not a number (RFC 3696, 2); the last label of an IPv4 address is.
    bool const is_address = std::all_of(result.begin() + static_cast<std::ptrdiff_t>(begin), result.end(), is_digit);
    return is_address ? std::string{} : result;
}

} // namespace reprise::detail
