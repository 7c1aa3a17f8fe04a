// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace reprise::detail {

using siphash_key = std::array<std::uint64_t, 2>;

/** A keyed hash for tables whose names strangers may choose: who does not know the key cannot make them collide.

    SipHash-c-d of Aumasson and Bernstein (2012), in the byte order of this machine. Tables use 1-3.
*/
template <int compression_rounds = 1, int finalization_rounds = 3>
[[nodiscard]] inline std::uint64_t siphash(siphash_key const& key, std::string_view bytes) noexcept
{
    std::uint64_t v0 = key[0] ^ 0x736f6d6570736575u;
    std::uint64_t v1 = key[1] ^ 0x646f72616e646f6du;
    std::uint64_t v2 = key[0] ^ 0x6c7967656e657261u;
    std::uint64_t v3 = key[1] ^ 0x7465646279746573u;
    auto const rounds = [&](int count)
    {
        for (int i = 0; i < count; ++i)
        {
            v0 += v1, v2 += v3;
            v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
            v0 = std::rotl(v0, 32);
            v2 += v1, v0 += v3;
            v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
            v2 = std::rotl(v2, 32);
        }
    };
    auto const mix = [&](std::uint64_t word)
    {
        v3 ^= word;
        rounds(compression_rounds);
        v0 ^= word;
    };

    std::uint64_t word = 0;
    std::size_t at = 0;
    for (; at + sizeof word <= bytes.size(); at += sizeof word)
    {
        std::memcpy(&word, bytes.data() + at, sizeof word);
        mix(word);
    }
    word = static_cast<std::uint64_t>(bytes.size()) << 56;
    for (unsigned shift = 0; at < bytes.size(); ++at, shift += 8)
        word |= std::uint64_t{static_cast<unsigned char>(bytes[at])} << shift;
    mix(word);
    v2 ^= 0xff;
    rounds(finalization_rounds);
    return v0 ^ v1 ^ v2 ^ v3;
}

} // namespace reprise::detail
