// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/locked_bytes.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace reprise {

/** A key that seals session tickets, and when.

    Tickets are not sealed with the secret itself: each has keys of its own, derived from the secret, the policy of the
    server (design rule 3) and random bytes in the ticket (HKDF, RFC 5869). So no key and IV pair repeats, and servers with
    another policy cannot open each other's tickets though they share the secret.

    From `not_before` to `issue_until` it issues, unless a newer key does. Until `accept_until` it opens, also before
    `not_before`: a server whose clock is ahead may have begun.
*/
struct ticket_key
{
    /// 32 to 256 bytes from a random generator. With fewer than 16 different values in any 32 of them, or of two equal
    /// halves, they are refused: zeros, repeated bytes, hexadecimal text.
    locked_bytes secret{};

    /// What it is called in an error message, and no secret: 1 to 64 bytes. Of two keys in one set the names differ.
    std::string name{};

    time_point not_before = time_point::min();

    /// At least not_before; if equal, it never issues.
    time_point issue_until = time_point::max();

    /// At least issue_until. Tickets live no longer, so leave time for their lifetime.
    time_point accept_until = time_point::max();
};

/// The keys of a server at one time, in any order: at most `max_ticket_keys`.
using ticket_key_set = std::vector<ticket_key>;

inline constexpr std::size_t max_ticket_keys = 64;

} // namespace reprise
