// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "decoded_sessions.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

namespace reprise::detail {

void decoded_sessions::keep(byte_view record, session const& decoded)
{
    if (slots_.empty())
        return;
    auto const index = index_of(record);
    secret_bytes copy{record};
    std::lock_guard const lock{mutex_of(index)};
    slots_[index].record = std::move(copy);
    slots_[index].decoded = decoded;
}

std::optional<session> decoded_sessions::find(byte_view record) const
{
    if (slots_.empty())
        return std::nullopt;
    auto const index = index_of(record);
    std::lock_guard const lock{mutex_of(index)};
    auto const& known = slots_[index];
    return std::ranges::equal(record, known.record.view()) ? known.decoded : std::nullopt;
}

void decoded_sessions::forget(byte_view record) noexcept
{
    if (slots_.empty())
        return;
    auto const index = index_of(record);
    std::lock_guard const lock{mutex_of(index)};
    if (std::ranges::equal(record, slots_[index].record.view()))
        slots_[index] = {};
}

std::size_t decoded_sessions::index_of(byte_view record) const noexcept
{
    // Its end holds the session's secret, so nobody can choose where it falls.
    std::string_view const bytes{reinterpret_cast<char const*>(record.data()), record.size()};
    return std::hash<std::string_view>{}(bytes) % slots_.size();
}

} // namespace reprise::detail
