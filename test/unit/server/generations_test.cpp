// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/generations.hpp"
#include "server/tickets/ticket_ring.hpp"
#include "support/keys.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <utility>
#include <vector>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
using test::key_of;

TEST_SUITE_BEGIN("generations");

namespace {

constexpr generation_rules rules{.every = 1h, .max_clock_skew = 1min, .refresh_every = 2min, .ticket_life = 150min};
constexpr generation g = 500000;

time_point begin(generation number)
{
    return time_point{rules.every * number};
}

ticket_key key(generation number, unsigned char secret, std::chrono::seconds later = 0s)
{
    auto const times = regular_times(rules, number);
    return {.secret = locked_bytes{key_of(secret)},
            .name = name_of_key(number, key_of(secret)),
            .not_before = times.not_before + later,
            .issue_until = times.issue_until,
            .accept_until = times.accept_until};
}

using questions = std::vector<std::pair<generation, bool>>;

questions asked(ticket_key_set const& known, time_point now)
{
    questions result;
    for (auto const& question : plan_questions(rules, known, now))
        result.emplace_back(question.number, question.may_create);
    return result;
}

} // namespace

TEST_CASE("a generation begins at a multiple of its period, also before 1970")
{
    CHECK(generation_at(rules, begin(g)) == g);
    CHECK(generation_at(rules, begin(g) - 1ns) == g - 1);
    CHECK(generation_at(rules, begin(g + 1) - 1ns) == g);
    CHECK(generation_at(rules, begin(0)) == 0);
    CHECK(generation_at(rules, begin(0) - 1ns) == -1);
    CHECK(generation_at(rules, begin(-1)) == -1);
}

TEST_CASE("a key goes on issuing for a clock that is behind, and opens for one that is ahead")
{
    auto const times = regular_times(rules, g);
    CHECK(times.not_before == begin(g));
    CHECK(times.issue_until == begin(g + 1) + 1min);
    CHECK(times.accept_until == times.issue_until + 150min + 2min);
}

TEST_CASE("a new key issues when all have asked for news, or never")
{
    auto const begins = [](generation number, time_point now)
    {
        auto const times = times_of_new_key(rules, number, now);
        return times ? std::optional{times->not_before} : std::nullopt;
    };
    constexpr auto margin = 2min + 2 * 1min;
    CHECK(begins(g + 1, begin(g)) == begin(g + 1));
    CHECK(begins(g + 1, begin(g + 1) - margin) == begin(g + 1));
    CHECK(begins(g + 1, begin(g + 1) - margin + 1s) == begin(g + 1) + 1s);
    CHECK(begins(g, begin(g)) == begin(g) + margin);
    CHECK(begins(g, begin(g + 1) + 1min - margin - 1s) == begin(g + 1) + 59s);
    CHECK_FALSE(begins(g, begin(g + 1) + 1min - margin).has_value());
}

TEST_CASE("a key belongs to a generation if any rules with that period can have made it")
{
    auto const belongs = [](auto change)
    {
        auto changed = key(g, 1);
        change(changed);
        return may_belong(changed, g, rules.every);
    };
    CHECK(belongs([](ticket_key&) {}));
    CHECK(belongs([](ticket_key& k) { k.not_before += 30min; }));
    CHECK(belongs([](ticket_key& k) { k.not_before = k.issue_until; }));
    CHECK(belongs([](ticket_key& k) { k.issue_until = k.not_before; }));
    CHECK(belongs([](ticket_key& k) { k.issue_until = begin(g + 1) + 15min; }));
    CHECK(belongs([](ticket_key& k) { k.accept_until = begin(g + 1) + 45min + 7 * 24h; }));
    CHECK_FALSE(belongs([](ticket_key& k) { k.not_before -= 1us; }));
    CHECK_FALSE(belongs([](ticket_key& k) { k.not_before = k.issue_until + 1us; }));
    CHECK_FALSE(belongs([](ticket_key& k) { k.issue_until = begin(g + 1) + 15min + 1us; }));
    CHECK_FALSE(belongs([](ticket_key& k) { k.accept_until = k.issue_until - 1us; }));
    CHECK_FALSE(belongs([](ticket_key& k) { k.accept_until = begin(g + 1) + 45min + 7 * 24h + 1us; }));
    CHECK_FALSE(belongs([](ticket_key& k) { k.secret = locked_bytes{32}; }));
}

TEST_CASE("the name of a key tells its generation, and the two of one generation apart")
{
    CHECK(generation_of(key(g, 1)) == g);
    CHECK(generation_of(key(-7, 1)) == -7);
    CHECK(key(g, 1).name != key(g, 2).name);
    CHECK(key(g, 1).name.size() == std::string_view{"generation 500000 "}.size() + 16);
    for (auto const* const name : {"", "generation", "generation ", "generation x", "generation 5", "another"})
        CHECK_FALSE(generation_of({.name = name}).has_value());
}

TEST_CASE("a server asks for what it does not know, and for what somebody may issue with")
{
    auto const now = begin(g) + 30min;
    // Of g - 3, the last ticket is over at begin(g) + 33 min, by a clock that is ahead.
    CHECK(asked({}, now) == questions{{g - 3, false}, {g - 2, false}, {g - 1, false}, {g, true}, {g + 1, true}});
    CHECK(asked({}, begin(g) + 33min) == questions{{g - 2, false}, {g - 1, false}, {g, true}, {g + 1, true}});
    CHECK(asked({key(g - 1, 1), key(g - 3, 2)}, now) == questions{{g - 2, false}, {g, true}, {g + 1, true}});

    ticket_key_set all;
    for (generation number = g - 3; number <= g + 1; ++number)
        all.push_back(key(number, static_cast<unsigned char>(number % 256)));
    CHECK(asked(all, now) == questions{{g, true}, {g + 1, true}});
    CHECK(asked(all, begin(g) + 3min - 1ns) == questions{{g - 1, false}, {g, true}, {g + 1, true}});
    CHECK(asked(all, begin(g) + 3min) == questions{{g, true}, {g + 1, true}});
}

TEST_CASE("nobody asks for more generations than there are")
{
    auto const all = {
        generation_rules{.every = 1s, .max_clock_skew = 0ms, .refresh_every = 10ms, .ticket_life = 1s},
        generation_rules{.every = 1s, .max_clock_skew = 250ms, .refresh_every = 10ms, .ticket_life = 7s},
        generation_rules{.every = 24h * 7, .max_clock_skew = 0ms, .refresh_every = 10ms, .ticket_life = 1s},
        rules,
    };
    for (auto const& r : all)
    {
        std::size_t most = 0;
        auto const first = regular_times(r, generation_at(r, begin(g))).not_before;
        for (auto now = first; now < first + r.every; now += std::chrono::milliseconds{r.every} / 1000)
            most = std::max(most, plan_questions(r, {}, now).size());
        CHECK(most == count_generations(r));
    }
}

TEST_CASE("the key of the storage issues; what was known before opens")
{
    auto const now = begin(g) + 30min;
    ticket_key_set known{key(g, 1)};

    SUBCASE("a key that issues gives way where the other one begins")
    {
        auto const found = key(g, 2, 40min);
        CHECK(take_in(known, found, now) == key_news::replacing);
        REQUIRE(known.size() == 2);
        CHECK(known[0].issue_until == found.not_before);
        CHECK(known[0].accept_until == key(g, 1).accept_until);
        CHECK(known[1].issue_until == found.issue_until);
        ticket_ring const ring{known};
        CHECK(ring.issuer(now)->key.name == known[0].name); // rather than no key at all
        CHECK(ring.issuer(found.not_before)->key.name == found.name);
        CHECK(best_of(known, g)->name == found.name);
    }
    SUBCASE("a key that issues gives way at once if the other one has begun")
    {
        CHECK(take_in(known, key(g, 2), now) == key_news::replacing);
        CHECK(known[0].issue_until == now);
        CHECK(ticket_ring{known}.issuer(now)->key.name == key(g, 2).name);

        // and later finds that this is so
        auto const before = known;
        CHECK(take_in(known, key(g, 2), now + 5min) == key_news::known);
        CHECK(known[0].issue_until == before[0].issue_until);
    }
    SUBCASE("a key that has not begun never does")
    {
        known = {key(g, 1, 45min)};
        CHECK(take_in(known, key(g, 2), now) == key_news::replacing);
        CHECK(known[0].issue_until == known[0].not_before);
        CHECK(ticket_ring{known}.issuer(known[0].not_before)->key.name == key(g, 2).name);
    }
    SUBCASE("a key that the storage has again issues again")
    {
        take_in(known, key(g, 2), now);
        CHECK(take_in(known, key(g, 1), now + 1min) == key_news::known);
        CHECK(ticket_ring{known}.issuer(now + 1min)->key.name == key(g, 1).name);
    }
    SUBCASE("a key that has given way before goes on giving way if the storage fails")
    {
        take_in(known, key(g, 2), now);
        CHECK(take_in(known, key(g + 1, 3), now + 1min) == key_news::learned);
        CHECK(known[0].issue_until == now);
    }
    SUBCASE("what a key was promised to open stays so")
    {
        auto shorter = key(g, 1);
        shorter.accept_until -= 10min;
        CHECK(take_in(known, shorter, now) == key_news::known);
        CHECK(known[0].accept_until == key(g, 1).accept_until);
    }
}

TEST_CASE("second keys of a generation take a few places and no more; its first key has one")
{
    auto const now = begin(g) + 30min;
    ticket_key_set known;
    for (unsigned char n = 0; n < 60; ++n)
        CHECK(take_in(known, key(g + 1 - n, n), now) == key_news::learned);
    for (unsigned char n = 0; n < spare_ticket_keys; ++n)
        CHECK(take_in(known, key(g, static_cast<unsigned char>(100 + n)), now) == key_news::replacing);
    auto const before = ticket_ring{known}.issuer(now)->key.name;
    CHECK(take_in(known, key(g, 200), now) == key_news::no_room);
    CHECK(ticket_ring{known}.issuer(now)->key.name == before);
    CHECK(known.size() == max_ticket_keys);
    CHECK(take_in(known, key(g + 2, 201), now) == key_news::no_room);

    ticket_key_set few{key(g, 1)};
    for (unsigned char n = 0; n < spare_ticket_keys; ++n)
        take_in(few, key(g, static_cast<unsigned char>(100 + n)), now);
    CHECK(take_in(few, key(g, 200), now) == key_news::no_room);
    CHECK(take_in(few, key(g + 1, 201), now) == key_news::learned);
}

TEST_CASE("all who know the same keys put the same one into a storage that has lost it")
{
    auto longer = key(g, 5);
    longer.issue_until += 1min;
    auto const later = key(g, 2, 10min);
    ticket_key_set known{key(g, 3), later, key(g + 1, 4)};
    CHECK(best_of(known, g)->name == key(g, 3).name);
    known.push_back(longer);
    CHECK(best_of(known, g)->name == longer.name);
    std::ranges::reverse(known);
    CHECK(best_of(known, g)->name == longer.name);
    CHECK(best_of({key(g, 7), key(g, 8)}, g)->name == best_of({key(g, 8), key(g, 7)}, g)->name);
    CHECK(best_of(known, g - 1) == nullptr);
}

TEST_CASE("a key is left out when it is over, or far in the future")
{
    auto const now = begin(g);
    ticket_key_set known{key(g - 4, 1), key(g - 3, 2), key(g, 3), key(g + 2, 4), key(g + 3, 5), key(g + 100, 6)};
    drop_irrelevant(known, rules, now);
    REQUIRE(known.size() == 3);
    CHECK(generation_of(known[0]) == g - 3);
    CHECK(generation_of(known[2]) == g + 2);
    drop_irrelevant(known, rules, regular_times(rules, g - 3).accept_until);
    CHECK(known.size() == 2);
}

TEST_SUITE_END();
