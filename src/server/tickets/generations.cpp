// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/generations.hpp"

#include "base/hex.hpp"
#include "server/tickets/ticket_cipher.hpp"
#include "server/tickets/ticket_ring.hpp"

#include <reprise/detail/base/aead.hpp>

#include <algorithm>
#include <charconv>
#include <ranges>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::string_view name_prefix = "generation ";

time_point begin_of(generation g, std::chrono::seconds every)
{
    return time_point{every * g};
}

bool is_known(ticket_key_set const& known, generation g)
{
    return std::ranges::find(known, std::optional{g}, generation_of) != known.end();
}

// Whether some server, by its own clock, may still issue with a key of this generation.
bool may_issue_somewhere(generation_rules const& rules, generation g, time_point now)
{
    return now < regular_times(rules, g).issue_until + 2 * rules.max_clock_skew;
}

// Return by how many the keys outnumber their generations.
std::size_t count_doubles(ticket_key_set const& known)
{
    std::set<std::optional<generation>> generations;
    std::ranges::transform(known, std::inserter(generations, generations.end()), generation_of);
    return known.size() - generations.size();
}

void give_way(ticket_key& key, time_point to)
{
    key.issue_until = std::max(key.not_before, std::min(key.issue_until, to));
}

} // namespace

std::size_t count_generations(generation_rules const& rules)
{
    using std::chrono::milliseconds;
    auto const after_issuing = rules.ticket_life + 3 * rules.max_clock_skew;
    auto const old = (after_issuing + rules.every - milliseconds{1}) / milliseconds{rules.every};
    return static_cast<std::size_t>(old) + 2;
}

generation generation_at(generation_rules const& rules, time_point now)
{
    auto const seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    auto const g = seconds / rules.every;
    return seconds % rules.every < std::chrono::seconds{0} ? g - 1 : g;
}

key_times regular_times(generation_rules const& rules, generation g)
{
    auto const issue_until = begin_of(g + 1, rules.every) + rules.max_clock_skew;
    return {.not_before = begin_of(g, rules.every),
            .issue_until = issue_until,
            .accept_until = issue_until + rules.ticket_life + 2 * rules.max_clock_skew};
}

std::optional<key_times> times_of_new_key(generation_rules const& rules, generation g, time_point now)
{
    auto times = regular_times(rules, g);
    // The other servers fetch within refresh_every. This clock may be behind, and that of an issuing server ahead.
    times.not_before = std::max(times.not_before, now + rules.refresh_every + 2 * rules.max_clock_skew);
    return times.not_before < times.issue_until ? std::optional{times} : std::nullopt;
}

bool may_belong(ticket_key const& key, generation g, std::chrono::seconds every)
{
    // The loosest rules that a fleet may have.
    constexpr std::chrono::hours longest_life{24 * 7};
    std::chrono::milliseconds const most_skew = std::chrono::milliseconds{every} / 4;
    return is_plausible_key(key.secret) && begin_of(g, every) <= key.not_before && key.not_before <= key.issue_until &&
           key.issue_until <= begin_of(g + 1, every) + most_skew && key.issue_until <= key.accept_until &&
           key.accept_until <= begin_of(g + 1, every) + 3 * most_skew + longest_life;
}

std::string name_of_key(generation g, byte_view secret)
{
    return std::string{name_prefix} + std::to_string(g) + ' ' + hex(ticket_key_id(secret));
}

std::optional<generation> generation_of(ticket_key const& key)
{
    if (!key.name.starts_with(name_prefix))
        return std::nullopt;
    generation g = 0;
    auto const* const end = key.name.data() + key.name.size();
    auto const [next, error] = std::from_chars(key.name.data() + name_prefix.size(), end, g);
    return error == std::errc{} && next != end && *next == ' ' ? std::optional{g} : std::nullopt;
}

std::vector<generation_question> plan_questions(generation_rules const& rules, ticket_key_set const& known,
                                                time_point now)
{
    auto const current = generation_at(rules, now);
    auto oldest = current;
    while (now < regular_times(rules, oldest - 1).accept_until)
        --oldest;
    std::vector<generation_question> result;
    for (auto g = oldest; g <= current + 1; ++g)
        if (!is_known(known, g) || may_issue_somewhere(rules, g, now))
            result.push_back({.number = g, .may_create = g >= current});
    return result;
}

ticket_key const* best_of(ticket_key_set const& known, generation g)
{
    auto const order = [](ticket_key const& key)
    { return std::tuple{-key.issue_until.time_since_epoch(), key.not_before, std::string_view{key.name}}; };
    ticket_key const* best = nullptr;
    for (auto const& key : known)
        if (generation_of(key) == g && (best == nullptr || order(key) < order(*best)))
            best = &key;
    return best;
}

key_news take_in(ticket_key_set& known, ticket_key found, time_point now)
{
    auto const g = generation_of(found);
    auto const same = std::ranges::find(known, found.name, &ticket_key::name);
    auto news = key_news::known;
    if (same != known.end())
    {
        same->not_before = found.not_before;
        same->issue_until = found.issue_until;
        same->accept_until = std::max(same->accept_until, found.accept_until); // keep what was promised
    }
    else
    {
        news = is_known(known, *g) ? key_news::replacing : key_news::learned;
        if (known.size() >= max_ticket_keys ||
            (news == key_news::replacing && count_doubles(known) >= spare_ticket_keys))
            return key_news::no_room;
    }
    // While the found key does not issue yet, the other key may be the only one that can.
    auto const takes_over = std::max(now, found.not_before);
    for (auto& other : known)
        if (generation_of(other) == g && other.name != found.name)
            give_way(other, takes_over);
    if (same == known.end())
        known.push_back(std::move(found));
    return news;
}

void drop_irrelevant(ticket_key_set& known, generation_rules const& rules, time_point now)
{
    auto const latest = generation_at(rules, now) + 2; // a server whose clock is a little ahead may know it
    std::erase_if(known, [&](ticket_key const& key)
                  { return role_at(key, now) == key_role::over || generation_of(key) > std::optional{latest}; });
}

} // namespace reprise::detail
