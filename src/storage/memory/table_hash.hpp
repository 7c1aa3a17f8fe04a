// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace reprise::detail {

/// Random, and known to nobody.
using table_hash_key = std::array<std::uint64_t, 6>;

/** A keyed hash for tables whose names strangers may choose: who does not know the key cannot make them collide.

    A session id is one block, and takes three multiplications that do not wait for one another but for the last. The sum of
    products is NH of Black, Halevi, Krawczyk, Krovetz and Rogaway (UMAC, 1999), by which two names that differ meet with a
    probability of 2^-64; a keyed multiplication folds it into one word. Longer names are chained through their state. It is no
    message authentication code: results must not be shown to anybody.
*/
[[nodiscard]] inline std::uint64_t table_hash(table_hash_key const& key, std::string_view bytes) noexcept
{
    __extension__ using wide = unsigned __int128;
    std::array<std::uint64_t, 4> words; // NOLINT(*-member-init): written below
    std::uint64_t state = bytes.size();
    do
    {
        if (bytes.size() >= sizeof words) // of a size that the compiler knows
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
