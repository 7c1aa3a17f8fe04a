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

/** Decides which periods of time have keys, and when these keys issue and open. Each server of a fleet decides for
    itself.

    Generation g is the time from g * every to (g + 1) * every, counted from 1970. Its key issues during that time, and
    a little longer, for servers whose clocks are behind; a newer key takes precedence. The key opens until the last
    ticket that a slow clock has let it issue has expired by a fast clock.
*/
using generation = std::int64_t;

/// What all servers of a fleet have agreed on.
struct generation_rules
{
    std::chrono::seconds every;
    std::chrono::milliseconds max_clock_skew; // at most every / 4
    std::chrono::milliseconds refresh_every;  // at most every / 4
    std::chrono::seconds ticket_life;         // at most 7 days
};

/// Return how many generations have keys at one time.
[[nodiscard]] std::size_t count_generations(generation_rules const& rules);

/// Room in a set for second keys of a generation, which exist after a storage has lost its data.
inline constexpr std::size_t spare_ticket_keys = 4;

[[nodiscard]] generation generation_at(generation_rules const& rules, time_point now);

struct key_times
{
    time_point not_before;
    time_point issue_until;
    time_point accept_until;
};

/// Return the times of a generation's key if all goes well.
[[nodiscard]] key_times regular_times(generation_rules const& rules, generation g);

/// Return the times of a key that is made at `now`. The key does not issue before all other servers have fetched again,
/// by any clock. Returns nothing if the key would never issue, because the next generation takes over.
[[nodiscard]] std::optional<key_times> times_of_new_key(generation_rules const& rules, generation g, time_point now);

/// Whether a server of this fleet may have made this key, now or under other rules, or may have retired it.
[[nodiscard]] bool may_belong(ticket_key const& key, generation g, std::chrono::seconds every);

/// Return the name of a key: "generation 40961 0123456789abcdef". The digits distinguish second keys of a generation.
[[nodiscard]] std::string name_of_key(generation g, byte_view secret);

/// Return the generation in a key's name, or nothing.
[[nodiscard]] std::optional<generation> generation_of(ticket_key const& key);

/// A lookup of one generation in the storage.
struct generation_question
{
    generation number;

    /// Make a key if there is none.
    bool may_create;
};

/// Return the generations that a server with these keys looks up, oldest first. These are the unknown ones, and those
/// with which a server may still issue, because the storage decides which key issues.
[[nodiscard]] std::vector<generation_question> plan_questions(generation_rules const& rules,
                                                              ticket_key_set const& known, time_point now);

/// Return the known key of a generation that issues for the longest time, to be put into a storage that has lost it.
/// All servers that know the same keys choose the same key. Null if none is known.
[[nodiscard]] ticket_key const* best_of(ticket_key_set const& known, generation g);

/// What a key found in the storage means to a server.
enum class key_news
{
    known,     ///< the key is known, but its times may be new
    learned,   ///< the first key of its generation
    replacing, ///< its generation has another key, which the storage has lost
    no_room,   ///< there are too many keys, so it is not taken in
};

/// Take in the key that the storage has for a generation: this key issues. Another key of the same generation issues
/// only until then, and still opens.
key_news take_in(ticket_key_set& known, ticket_key found, time_point now);

/// Drop keys that are over, and keys that a clock far ahead has brought.
void drop_irrelevant(ticket_key_set& known, generation_rules const& rules, time_point now);

} // namespace reprise::detail
