// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <optional>

namespace reprise {

/** How a client_stream tries again to connect.

    What may pass is tried again: a peer that refuses, resets, cannot be reached or does not answer in time, a name server that is
    busy, a proxy that does not get through, a connection that breaks in the handshake. What says no is not: an alert, a certificate that does not verify, a
    name that does not exist. Nor is a connection whose early data may have been processed, or one for exactly one session.

    The wait before attempt n + 1 is a random part of `first_delay` * 2^(n - 1), at most `max_delay`: clients of a server
    that comes back do not come all at once.
*/
struct retry_options
{
    /// At least 1, which tries once.
    unsigned max_attempts = 1;

    /// At least 1 ms.
    std::chrono::milliseconds first_delay{100};

    /// At least first_delay.
    std::chrono::milliseconds max_delay{10'000};

    /// For all attempts and waits together; after it no attempt begins, and one that is under way has its own limit,
    /// connect_timeout. Zero for none.
    std::chrono::milliseconds total_timeout{0};

    [[deprecated("total_timeout")]] std::optional<std::chrono::milliseconds> deadline{};
};

} // namespace reprise
