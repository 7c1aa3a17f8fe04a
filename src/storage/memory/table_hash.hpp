// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace reprise::detail {

/// A random secret.
using table_hash_key = std::array<std::uint64_t, 6>;

/** A keyed hash for tables whose names strangers may choose: without the key, strangers cannot cause collisions.

    A session id is one block and takes three multiplications, of which only the last depends on the others. The sum of
    products is NH of Black, Halevi, Krawczyk, Krovetz and Rogaway (UMAC, 1999): two different names collide with a
    probability of 2^-64. A keyed multiplication folds the sum into one word. Longer names are chained through their
    state. The hash is no message authentication code: results must not be revealed.
*/
[[nodiscard]] inline std::uint64_t table_hash(table_hash_key const& key, std::string_view bytes) noexcept
{
    __extension__ using wide = unsigned __int128;
    std::array<std::uint64_t, 4> words; // NOLINT(*-member-init): written below
    std::uint64_t state = bytes.size();
    do
    {
        if (bytes.size() >= sizeof words) // a size that the compiler knows
        {
            std::memcpy(words.data(), bytes.data(), sizeof words);
            bytes.remove_prefix(sizeof words);
        }
        else
        {
            words = {};
            bytes.copy(reinterpret_cast<char*>(words.data()), sizeof words);
            bytes = {};
        }
        wide const sum = wide{words[0] + key[0]} * (words[1] + key[1]) + wide{words[2] + key[2]} * (words[3] + key[3]);
        auto const low = static_cast<std::uint64_t>(sum) + state;
        auto const high = static_cast<std::uint64_t>(sum >> 64);
        wide const folded = wide{low ^ key[4]} * (high ^ key[5]);
        state = static_cast<std::uint64_t>(folded) ^ static_cast<std::uint64_t>(folded >> 64);
    } while (!bytes.empty());
    return state;
}

} // namespace reprise::detail
