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
    if (record.size() + decoded.size() > slots_.size() * bytes_for_each)
        return;
    replace(index_of(record), {secret_bytes{record}, decoded});
    make_room();
}

void decoded_sessions::replace(std::size_t index, slot with) noexcept
{
    std::lock_guard const lock{mutex_of(index)};
    auto& at = slots_[index];
    bytes_.fetch_add(with.size(), std::memory_order_relaxed);
    bytes_.fetch_sub(at.size(), std::memory_order_relaxed);
    at = std::move(with);
}

// Empties one slot after the other, whatever its size: sessions with large certificates are few.
void decoded_sessions::make_room() noexcept
{
    auto const limit = slots_.size() * bytes_for_each;
    for (std::size_t tried = 0; tried < slots_.size() && bytes() > limit; ++tried)
        replace(next_.fetch_add(1, std::memory_order_relaxed) % slots_.size(), {});
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
    auto& at = slots_[index];
    if (!std::ranges::equal(record, at.record.view()))
        return;
    bytes_.fetch_sub(at.size(), std::memory_order_relaxed);
    at = {};
}

std::size_t decoded_sessions::index_of(byte_view record) const noexcept
{
    // A record's end holds the session's secret, so no peer can choose the slot.
    std::string_view const bytes{reinterpret_cast<char const*>(record.data()), record.size()};
    return std::hash<std::string_view>{}(bytes) % slots_.size();
}

} // namespace reprise::detail
