// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/siphash.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <string>

using namespace reprise::detail;

TEST_SUITE_BEGIN("siphash");

TEST_CASE("SipHash-2-4 gives the values that its authors published" *
          doctest::skip(std::endian::native != std::endian::little))
{
    siphash_key const key{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    std::string text(15, '\0');
    std::iota(text.begin(), text.end(), '\0');
    CHECK(siphash<2, 4>(key, text) == 0xa129ca6149be45e5u);
    CHECK(siphash<2, 4>(key, "") == 0x726fdb47dd0e0e31u);
}

TEST_CASE("another key, another text or another length is another hash")
{
    using namespace std::string_view_literals;
    siphash_key const key{1, 2};
    CHECK(siphash(key, "abc") == siphash(key, "abc"));
    CHECK(siphash(key, "abc") != siphash({1, 3}, "abc"));
    CHECK(siphash(key, "abc") != siphash(key, "abd"));
    CHECK(siphash(key, "abc"sv) != siphash(key, "abc\0"sv));
}

TEST_SUITE_END();
