// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/ticket_key.hpp>

#include <cstdint>
#include <string>

namespace test {

/// A secret that looks random and is the same each time, another one for each seed.
inline reprise::locked_bytes ticket_secret(std::uint64_t seed, std::size_t size = 32)
{
    reprise::locked_bytes secret{size};
    auto x = seed * 0x9e3779b97f4a7c15u + 1;
    for (std::size_t i = 0; i < size; ++i)
    {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        secret.data()[i] = static_cast<unsigned char>(x >> 32);
    }
    return secret;
}

/// A key that issues and opens for ever.
inline reprise::ticket_key make_ticket_key(std::uint64_t seed)
{
    return {ticket_secret(seed), "key " + std::to_string(seed)};
}

} // namespace test
