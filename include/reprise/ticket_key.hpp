// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/locked_bytes.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace reprise {

/** A key that seals session tickets, and the times when it does.

    The secret does not seal tickets itself. Each ticket has its own keys, derived from the secret, the policy of the
    server and random bytes in the ticket (HKDF, RFC 5869). So no pair of key and IV repeats. Servers that share the
    secret but not the policy cannot open each other's tickets.

    A key issues tickets from `not_before` to `issue_until`, unless a newer key issues. A key opens tickets until
    `accept_until`, and also before `not_before`, because a server with a fast clock may already issue with it.
*/
struct ticket_key
{
    /// 32 to 256 bytes from a random generator. A secret is refused if any 32 bytes have fewer than 16 different
    /// values, or if its two halves are equal. That finds zeros, repeated bytes and hexadecimal text.
    locked_bytes secret{};

    /// Name of the key in error messages; not secret. 1 to 64 bytes, unique within a set.
    std::string name{};

    time_point not_before = time_point::min();

    /// At least `not_before`. If both are equal, the key never issues.
    time_point issue_until = time_point::max();

    /// At least `issue_until`. Tickets of this key end here, so add the lifetime of tickets to `issue_until`.
    time_point accept_until = time_point::max();
};

/// The keys of a server at one time, in any order. At most `max_ticket_keys`.
using ticket_key_set = std::vector<ticket_key>;

inline constexpr std::size_t max_ticket_keys = 64;

} // namespace reprise
