// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/message.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <system_error>

namespace reprise::detail {

/// The delay that a response asks for before the next request (RFC 9110, 10.2.3). Zero without the field; the longest
/// of repeated fields. Empty for a value that is not a number of seconds, such as a date.
template <class Fields>
[[nodiscard]] std::optional<std::chrono::seconds> retry_after(boost::beast::http::header<false, Fields> const& head)
{
    std::chrono::seconds longest{0};
    auto const [first, last] = head.equal_range(boost::beast::http::field::retry_after);
    for (auto field = first; field != last; ++field)
    {
        auto const text = field->value();
        unsigned seconds = 0;
        auto const [end, bad] = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (bad != std::errc{} || end != text.data() + text.size())
            return std::nullopt;
        longest = std::max(longest, std::chrono::seconds{seconds});
    }
    return longest;
}

} // namespace reprise::detail
