// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/memory/table_hash.hpp"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <set>
#include <string>

using namespace reprise::detail;
using namespace std::string_view_literals;

TEST_SUITE_BEGIN("table_hash");

namespace {

constexpr table_hash_key key{0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu,
                             0xd6e8feb86659fd93u, 0xa0761d6478bd642fu, 0xe7037ed1a0b428dbu};

} // namespace

TEST_CASE("every bit of a name, its length and every word of the key count")
{
    for (std::size_t const size : {1u, 7u, 8u, 31u, 32u, 33u, 64u, 100u})
    {
        std::string const name(size, 'n');
        std::set<std::uint64_t> seen{table_hash(key, name)};
        CHECK(seen.contains(table_hash(key, name)));
        for (std::size_t bit = 0; bit < 8 * size; ++bit)
        {
            auto other = name;
            other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
            CHECK(seen.insert(table_hash(key, other)).second);
        }
        CHECK(seen.insert(table_hash(key, name + '\0')).second);
        for (std::size_t word = 0; word < key.size(); ++word)
        {
            auto other = key;
            other[word] ^= 1;
            CHECK(table_hash(other, name) != table_hash(key, name));
        }
    }
    CHECK(table_hash(key, "") != table_hash(key, "\0"sv));
}

TEST_CASE("names that differ in a counter spread evenly, in the low bits and in the high ones")
{
    constexpr std::size_t buckets = 256;
    constexpr std::size_t count = 256 * 100;
    std::array<int, buckets> low{};
    std::array<int, buckets> high{};
    for (std::size_t i = 0; i < count; ++i)
    {
        auto const hash = table_hash(key, "session " + std::to_string(i));
        ++low[hash % buckets];
        ++high[hash >> 56];
    }
    // 100 in each, give or take 10: six deviations.
    for (std::size_t i = 0; i < buckets; ++i)
    {
        CHECK(low[i] > 40);
        CHECK(low[i] < 160);
        CHECK(high[i] > 40);
        CHECK(high[i] < 160);
    }
}

TEST_SUITE_END();
