// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/fleet_records.hpp"
#include "storage/expiry_field.hpp"
#include "support/keys.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
using test::key_of;

TEST_SUITE_BEGIN("fleet_records");

namespace {

constexpr generation g = 500000;
constexpr std::chrono::seconds every = 1h;

ticket_key key()
{
    auto const secret = key_of(9);
    return {.secret = locked_bytes{secret},
            .name = name_of_key(g, secret),
            .not_before = time_point{every * g},
            .issue_until = time_point{every * (g + 1) + 1min},
            .accept_until = time_point{every * (g + 3)}};
}

bool contains(byte_view where, byte_view what)
{
    return !std::ranges::search(where, what).empty();
}

} // namespace

TEST_CASE("what is sealed is opened, under its generation alone")
{
    fleet_records const records{key_of(1), "shop", every};
    auto const record = records.seal(g, key());
    auto const opened = records.open(g, record);
    REQUIRE(opened.has_value());
    CHECK(opened->secret == key().secret);
    CHECK(opened->name == key().name);
    CHECK(opened->not_before == key().not_before);
    CHECK(opened->issue_until == key().issue_until);
    CHECK(opened->accept_until == key().accept_until);
    CHECK_FALSE(records.open(g + 1, record).has_value());
    CHECK_FALSE(records.open(g - 1, record).has_value());
}

TEST_CASE("a record does not show the secret, nor do two of one key look alike")
{
    fleet_records const records{key_of(1), "shop", every};
    auto const record = records.seal(g, key());
    CHECK_FALSE(contains(record, key().secret));
    CHECK_FALSE(contains(record, key_of(1)));
    for (std::size_t at = 0; at + 8 <= secret_key_size; ++at)
        CHECK_FALSE(contains(record, key().secret.view().subspan(at, 8)));
    CHECK(records.seal(g, key()) != record);
}

TEST_CASE("servers with another secret, fleet or period have other names, and open nothing of ours")
{
    fleet_records const ours{key_of(1), "shop", every};
    std::vector<fleet_records> others;
    others.emplace_back(key_of(2), "shop", every);
    others.emplace_back(key_of(1), "shop2", every);
    others.emplace_back(key_of(1), "shop", every + 1s);
    for (auto const& other : others)
    {
        CHECK(other.name_of(g) != ours.name_of(g));
        CHECK_FALSE(other.open(g, ours.seal(g, key())).has_value());
    }
    fleet_records const same{key_of(1), "shop", every};
    CHECK(same.name_of(g) == ours.name_of(g));
    CHECK(same.open(g, ours.seal(g, key())).has_value());
}

TEST_CASE("a name says whose key it is, and is longer than any session id")
{
    auto const name = fleet_records{key_of(1), "s", 1s}.name_of(0);
    CHECK(name.starts_with("reprise ticket key/1/s/1s/"));
    CHECK(name.size() > 32);
}

TEST_CASE("a record with any bit changed, or cut anywhere, does not open")
{
    fleet_records const records{key_of(1), "shop", every};
    auto record = records.seal(g, key());
    for (std::size_t bit = 0; bit < record.size() * 8; ++bit)
    {
        auto const flip = static_cast<unsigned char>(1u << (bit % 8));
        record.data()[bit / 8] ^= flip;
        CHECK_FALSE(records.open(g, record).has_value());
        record.data()[bit / 8] ^= flip;
    }
    for (std::size_t size = 0; size < record.size(); ++size)
        CHECK_FALSE(records.open(g, record.view().first(size)).has_value());
    CHECK(records.open(g, record).has_value());
}

TEST_CASE("a record with times that its generation cannot have does not open, although the fleet has sealed it")
{
    fleet_records const records{key_of(1), "shop", every};
    auto const opens = [&](auto change)
    {
        auto changed = key();
        change(changed);
        return records.open(g, records.seal(g, changed)).has_value();
    };
    CHECK(opens([](ticket_key&) {}));
    CHECK_FALSE(opens([](ticket_key& k) { k.not_before -= 1s; }));
    CHECK_FALSE(opens([](ticket_key& k) { k.issue_until = k.not_before - 1s; }));
    CHECK_FALSE(opens([](ticket_key& k) { k.issue_until = time_point::max(); }));
    CHECK_FALSE(opens([](ticket_key& k) { k.accept_until = time_point::max(); }));
    CHECK_FALSE(opens([](ticket_key& k) { k.secret = locked_bytes{32}; }));
}

TEST_CASE("a record does not open under another generation, although its times would do for both")
{
    fleet_records const records{key_of(1), "shop", every};
    auto late = key();
    late.not_before = time_point{every * (g + 1)};
    CHECK(records.open(g, records.seal(g, late)).has_value());
    CHECK(records.open(g + 1, records.seal(g + 1, late)).has_value());
    CHECK_FALSE(records.open(g + 1, records.seal(g, late)).has_value());
    CHECK_FALSE(records.open(g, records.seal(g + 1, late)).has_value());
}

TEST_CASE("a record of another version or length does not open, although it was sealed with the key")
{
    fleet_records const records{key_of(1), "shop", every};
    aead const cipher{keyed_hash{key_of(1)}.derive("reprise shared ticket key 1")};
    auto const name = records.name_of(g);
    auto const text = cipher.open(records.seal(g, key()), 1, as_bytes(name));
    REQUIRE(text.has_value());
    auto const opens = [&](unsigned char version, byte_view what)
    { return records.open(g, cipher.seal({&version, 1}, what, as_bytes(name))).has_value(); };
    CHECK(opens(1, *text));
    CHECK_FALSE(opens(2, *text));
    CHECK_FALSE(opens(1, text->view().first(text->size() - 1)));
    CHECK_FALSE(opens(1, {}));
}

TEST_SUITE_END();
