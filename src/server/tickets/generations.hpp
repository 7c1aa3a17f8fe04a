// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/ticket_key.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace reprise::detail {

/** Which periods of time have keys, and when these issue and open: what the servers of a fleet decide, each for itself.

    Generation g is the time from g * every to (g + 1) * every, counted from 1970. Its key issues then, and a little longer,
    for the clocks of servers that are behind; a newer key goes first. It opens until the last ticket that a slow clock has
    let it issue is over by a fast one.
*/
using generation = std::int64_t;

/// What a fleet has agreed on.
struct generation_rules
{
    std::chrono::seconds every;
    std::chrono::milliseconds max_clock_skew; // at most every / 4
    std::chrono::milliseconds refresh_every;  // at most every / 4
    std::chrono::seconds ticket_life;         // at most 7 days
};

/// Generations that have keys at one time.
[[nodiscard]] std::size_t count_generations(generation_rules const& rules);

/// Places in a set for second keys of a generation, which there are after a storage has lost its data.
inline constexpr std::size_t spare_ticket_keys = 4;

[[nodiscard]] generation generation_at(generation_rules const& rules, time_point now);

struct key_times
{
    time_point not_before;
    time_point issue_until;
    time_point accept_until;
};

/// As they are if all goes well.
[[nodiscard]] key_times regular_times(generation_rules const& rules, generation g);

/** Of a key that is made at `now`: it does not issue before all others have asked for news, by any clock. Nothing, if it
    would never issue: the next generation takes over.
*/
[[nodiscard]] std::optional<key_times> times_of_new_key(generation_rules const& rules, generation g, time_point now);

/// Whether a server of this fleet may have made this key, now or under other rules, or have retired it.
[[nodiscard]] bool may_belong(ticket_key const& key, generation g, std::chrono::seconds every);

/// What a key of this generation is called: "generation 40961 0123456789abcdef". The digits tell it from a second one.
[[nodiscard]] std::string name_of_key(generation g, byte_view secret);

/// The generation in such a name.
[[nodiscard]] std::optional<generation> generation_of(ticket_key const& key);

/// What to ask the storage for.
struct generation_question
{
    generation number;

    /// Make one if there is none.
    bool may_create;
};

/** The generations that a server with these keys asks for, oldest first: what it does not know, and what somebody may issue
    with, because the storage decides which key that is.
*/
[[nodiscard]] std::vector<generation_question> plan_questions(generation_rules const& rules,
                                                              ticket_key_set const& known, time_point now);

/// Of the keys of a generation that are known, the one that issues for the longest time, to be put into a storage that has
/// lost it. All servers that know the same keys choose the same one. Null if none is known.
[[nodiscard]] ticket_key const* best_of(ticket_key_set const& known, generation g);

/// What a key in the storage is to one who has found it.
enum class key_news
{
    known,     ///< nothing new, but its times may be
    learned,   ///< the first of its generation
    replacing, ///< its generation has another one: the storage has lost that
    no_room,   ///< there are too many, so it is not taken
};

/** Take in what the storage has under a generation: its key issues. Another key of the same generation goes on issuing only
    until then, and opens.
*/
key_news take_in(ticket_key_set& known, ticket_key found, time_point now);

/// Leave out what is over, and what a clock that was far ahead has brought.
void drop_irrelevant(ticket_key_set& known, generation_rules const& rules, time_point now);

} // namespace reprise::detail
