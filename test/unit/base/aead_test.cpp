// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/hex.hpp"
#include "support/keys.hpp"

#include <reprise/detail/base/aead.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

using namespace reprise;
using reprise::detail::hex;
using test::key_of;

TEST_SUITE_BEGIN("aead");

TEST_CASE("a keyed hash is HMAC-SHA-256 (RFC 4231, test cases 1 and 2)")
{
    secret_bytes key(20);
    std::fill_n(key.data(), key.size(), 0x0b);
    CHECK(hex(detail::keyed_hash{key}(as_bytes("Hi There"))) ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    detail::keyed_hash const jefe{as_bytes("Jefe")};
    for (int i = 0; i < 2; ++i) // a message leaves nothing behind for the next one
        CHECK(hex(jefe(as_bytes("what do ya want for nothing?"))) ==
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("what was sealed is opened, whatever its length, and never looks the same")
{
    detail::aead const a{key_of(1)};
    std::set<std::string> seen;
    for (std::size_t const size : {0u, 1u, 15u, 16u, 17u, 300u, 70'000u})
    {
        std::string const text(size, 'x');
        for (int i = 0; i < 2; ++i)
        {
            auto const sealed = a.seal(as_bytes("head"), as_bytes(text), as_bytes("name"));
            CHECK(sealed.size() == 4 + size + detail::aead::overhead);
            CHECK(std::ranges::equal(sealed.view().first(4), as_bytes("head")));
            CHECK(seen.insert(hex(sealed)).second);
            auto const opened = a.open(sealed, 4, as_bytes("name"));
            REQUIRE(opened.has_value());
            CHECK(*opened == secret_bytes{as_bytes(text)});
        }
    }
}

TEST_CASE("nothing opens after a change to any bit, a cut, another context or key, or with its parts moved")
{
    detail::aead const a{key_of(1)};
    auto const sealed = a.seal(as_bytes("head"), as_bytes("text"), as_bytes("name"));
    for (std::size_t i = 0; i < sealed.size() * 8; ++i)
    {
        auto changed = sealed;
        changed.data()[i / 8] ^= static_cast<unsigned char>(1u << (i % 8));
        CHECK_FALSE(a.open(changed, 4, as_bytes("name")).has_value());
    }
    for (std::size_t size = 0; size < sealed.size(); ++size)
        CHECK_FALSE(a.open(sealed.view().first(size), 4, as_bytes("name")).has_value());
    CHECK_FALSE(a.open(sealed, 4, as_bytes("nam")).has_value());
    CHECK_FALSE(a.open(sealed, 4, as_bytes("")).has_value());
    CHECK_FALSE(a.open(sealed, 3, as_bytes("name")).has_value());
    CHECK_FALSE(a.open(sealed, sealed.size() + 1, as_bytes("name")).has_value());
    CHECK_FALSE(detail::aead{key_of(2)}.open(sealed, 4, as_bytes("name")).has_value());

    // Header and context do not run into one: a byte moves from the end of one to the front of the other.
    auto const other = a.seal(as_bytes("headn"), as_bytes("text"), as_bytes("ame"));
    std::string moved{other.view().begin(), other.view().end()};
    moved.erase(4, 1);
    CHECK_FALSE(a.open(as_bytes(moved), 4, as_bytes("name")).has_value());
    CHECK(a.open(sealed, 4, as_bytes("name")).has_value()); // and nothing of this has hurt
}

TEST_CASE("keys for different purposes differ")
{
    detail::keyed_hash const master{key_of(1)};
    CHECK(master.derive("one") != master.derive("two"));
    CHECK(master.derive("one") != detail::keyed_hash{key_of(2)}.derive("one"));
    CHECK(master.derive("one").size() == detail::secret_key_size);
}

TEST_CASE("a key that was forgotten, cut, repeated or typed is not plausible")
{
    CHECK(detail::is_plausible_key(key_of(1)));
    CHECK_FALSE(detail::is_plausible_key({}));
    CHECK_FALSE(detail::is_plausible_key(secret_bytes(32)));
    CHECK_FALSE(detail::is_plausible_key(key_of(1).view().first(31)));
    CHECK_FALSE(detail::is_plausible_key(secret_bytes(33)));
    CHECK_FALSE(detail::is_plausible_key(as_bytes("0123456789abcde00123456789abcde0")));
    auto longer = std::string(33, '\0');
    std::ranges::copy(key_of(1).view(), longer.begin());
    CHECK_FALSE(detail::is_plausible_key(as_bytes(longer)));
}

TEST_SUITE_END();
