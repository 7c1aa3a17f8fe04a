// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <optional>

namespace reprise {

/** How a client_stream retries connecting.

    Errors that may be transient are retried:
    @li a peer that refuses, resets, is unreachable, or does not answer in time;
    @li a busy name server;
    @li a proxy that cannot reach the peer (`errc::proxy_failed`);
    @li a connection that breaks during the handshake.

    Final errors are not retried: an alert, a certificate that does not verify, a name that does not exist. A connection
    is not retried either if its early data may have been processed, or if it must resume exactly one session.

    The delay before attempt n + 1 is a random part of `first_delay` * 2^(n - 1), at most `max_delay`. The jitter keeps
    clients from reconnecting all at once when a server comes back.
*/
struct retry_options
{
    /// Maximum number of attempts. At least 1, which means no retry.
    unsigned max_attempts = 1;

    /// Bound of the first delay. At least 1 ms.
    std::chrono::milliseconds first_delay{100};

    /// Bound of all delays. At least first_delay.
    std::chrono::milliseconds max_delay{10'000};

    /// Timeout of all attempts and delays together. After it no attempt begins; an attempt in progress has its own
    /// timeout, connect_timeout. Zero for none.
    std::chrono::milliseconds total_timeout{0};

    /// The name of `total_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> deadline{};
};

} // namespace reprise
