// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_ring.hpp"

#include "support/ticket_keys.hpp"

#include <reprise/error.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
using test::make_ticket_key;
using test::ticket_secret;

TEST_SUITE_BEGIN("ticket_ring");

namespace {

constexpr time_point start{1'800'000'000s};

ticket_key key(std::uint64_t seed, std::chrono::seconds from, std::chrono::seconds issue, std::chrono::seconds accept)
{
    auto result = make_ticket_key(seed);
    result.not_before = start + from;
    result.issue_until = start + issue;
    result.accept_until = start + accept;
    return result;
}

struct outcome
{
    error_code code{};
    std::string what{};

    [[nodiscard]] bool is(errc why, std::string const& naming) const
    {
        return code == why && what.find(naming) != std::string::npos;
    }
};

template <class F>
outcome outcome_of(F f)
{
    try
    {
        f();
    }
    catch (system_error const& e)
    {
        return {e.code(), e.what()};
    }
    return {};
}

outcome set_of(ticket_key_set const& keys)
{
    return outcome_of([&] { check_set(keys); });
}

outcome with_secret(locked_bytes secret)
{
    return set_of({{std::move(secret), "it"}});
}

} // namespace

TEST_CASE("a key comes in, issues, opens, and is over")
{
    auto const k = key(1, 100s, 200s, 300s);
    CHECK(role_at(k, start) == key_role::incoming);
    CHECK(role_at(k, start + 100s - 1ns) == key_role::incoming);
    CHECK(role_at(k, start + 100s) == key_role::issuing);
    CHECK(role_at(k, start + 200s - 1ns) == key_role::issuing);
    CHECK(role_at(k, start + 200s) == key_role::retired);
    CHECK(role_at(k, start + 300s - 1ns) == key_role::retired);
    CHECK(role_at(k, start + 300s) == key_role::over);
    CHECK(role_at(make_ticket_key(1), start) == key_role::issuing);
}

TEST_CASE("the newest key that issues does, and all that are not over open")
{
    ticket_ring const ring{{key(1, 0s, 150s, 400s), key(2, 100s, 250s, 500s), key(3, 300s, 400s, 600s)}};
    auto const issuer = [&](std::chrono::seconds at) -> std::string
    {
        auto const* const e = ring.issuer(start + at);
        return e != nullptr ? e->key.name : "none";
    };
    CHECK(issuer(-1s) == "none");
    CHECK(issuer(0s) == "key 1");
    CHECK(issuer(99s) == "key 1");
    CHECK(issuer(100s) == "key 2"); // the old one could still
    CHECK(issuer(249s) == "key 2");
    CHECK(issuer(250s) == "none");
    CHECK(issuer(300s) == "key 3");
    CHECK(issuer(400s) == "none");
    auto const opens = [&](std::uint64_t seed, std::chrono::seconds at)
    {
        auto const id = ticket_ring{{make_ticket_key(seed)}}.issuer(start)->id;
        auto const* const e = ring.opener(id, start + at);
        CHECK((e == nullptr || e->key.secret == ticket_secret(seed)));
        return e != nullptr;
    };
    CHECK(opens(3, 0s)); // incoming
    CHECK(opens(1, 399s));
    CHECK_FALSE(opens(1, 400s));
    CHECK(opens(2, 400s));
    CHECK_FALSE(opens(4, 0s));
}

TEST_CASE("a ring finds each of the most keys that it can hold")
{
    ticket_key_set keys;
    for (std::uint64_t i = 0; i < max_ticket_keys; ++i)
        keys.push_back(make_ticket_key(i));
    ticket_ring const ring{keys};
    CHECK(ring.size() == max_ticket_keys);
    for (auto const& k : keys)
    {
        auto const* const e = ring.opener(ticket_ring{{k}}.issuer(start)->id, start);
        REQUIRE(e != nullptr);
        CHECK(e->key.name == k.name);
    }
    CHECK(ticket_ring{}.issuer(start) == nullptr);
    CHECK(ticket_ring{}.opener({}, start) == nullptr);
    keys.push_back(make_ticket_key(max_ticket_keys));
    CHECK(set_of(keys).is(errc::bad_ticket_keys, "65 keys"));
}

TEST_CASE("weak secrets are refused by name")
{
    CHECK(with_secret(locked_bytes{std::size_t{0}}).is(errc::weak_ticket_key, "'it'"));
    CHECK(with_secret(ticket_secret(1, 31)).is(errc::weak_ticket_key, "31 bytes"));
    CHECK(with_secret(ticket_secret(1, 257)).is(errc::weak_ticket_key, "257 bytes"));
    CHECK(with_secret(locked_bytes{std::size_t{32}}).is(errc::weak_ticket_key, "different byte values")); // zeros
    CHECK(with_secret(locked_bytes{as_bytes("0123456789abcdeeedcba98765432100")}).is(errc::weak_ticket_key, "values"));
    auto half_zero = ticket_secret(1, 64);
    std::fill_n(half_zero.data() + 32, 32, static_cast<unsigned char>(0));
    CHECK(with_secret(half_zero).is(errc::weak_ticket_key, "different byte values"));
    auto twice = ticket_secret(1, 64);
    std::copy_n(twice.data(), 32, twice.data() + 32);
    CHECK(with_secret(twice).is(errc::weak_ticket_key, "halves are equal"));
    for (std::size_t const size : {32u, 48u, 64u, 256u})
        CHECK_FALSE(with_secret(ticket_secret(size, size)).code);
}

TEST_CASE("names and times that cannot be are refused by name")
{
    CHECK(set_of({{ticket_secret(1), ""}}).is(errc::bad_ticket_keys, "1 to 64 bytes"));
    CHECK(set_of({{ticket_secret(1), std::string(65, 'n')}}).is(errc::bad_ticket_keys, "1 to 64 bytes"));
    CHECK(set_of({{ticket_secret(1), "one"}, {ticket_secret(2), "one"}}).is(errc::bad_ticket_keys, "'one'"));
    CHECK(set_of({{ticket_secret(1), "one"}, {ticket_secret(1), "two"}}).is(errc::weak_ticket_key, "as key 'one'"));
    CHECK(set_of({key(1, 10s, 9s, 20s)}).is(errc::bad_ticket_keys, "issue_until is before not_before"));
    CHECK(set_of({key(1, 0s, 10s, 9s)}).is(errc::bad_ticket_keys, "accept_until is before issue_until"));
    CHECK_FALSE(set_of({key(1, 5s, 5s, 5s)}).code);
    CHECK_FALSE(set_of({}).code);
    CHECK_THROWS_AS(ticket_ring{{key(1, 0s, 10s, 9s)}}, system_error);
}

TEST_CASE("a step may leave out keys only when their tickets are over")
{
    auto const life = 60s;
    auto const old = key(1, 0s, 100s, 200s);
    auto const fresh = key(2, 90s, 300s, 400s);
    auto const step = [&](ticket_key_set const& to, std::chrono::seconds at)
    { return outcome_of([&] { check_step({old}, to, start + at, life); }); };
    CHECK_FALSE(step({old, fresh}, 50s).code);
    CHECK(step({fresh}, 50s).is(errc::tickets_orphaned, "'key 1'"));
    CHECK(step({}, 50s).is(errc::tickets_orphaned, "missing"));
    CHECK(step({fresh}, 159s).is(errc::tickets_orphaned, "missing"));
    CHECK_FALSE(step({fresh}, 160s).code);                          // its last ticket was issued at 100 s
    CHECK_FALSE(step({fresh}, -1s).code);                           // none yet
    CHECK(step({fresh}, 0s).is(errc::tickets_orphaned, "missing")); // from here on there may be some
    CHECK(step({key(1, 0s, 50s, 100s)}, 50s).is(errc::tickets_orphaned, "accept_until"));
    CHECK_FALSE(step({key(1, 0s, 50s, 110s)}, 50s).code);
    CHECK(step({{ticket_secret(9), "key 1"}}, 50s).is(errc::bad_ticket_keys, "another name"));
    auto renamed = old;
    renamed.name = "as it is called now";
    CHECK_FALSE(step({renamed}, 50s).code); // tickets are opened by the secret
}

TEST_SUITE_END();
