// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_hello.hpp>
#include <reprise/replay_guard.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace reprise {

/// A client's offer of early data that the library itself would accept.
struct early_data_offer
{
    client_hello const& hello;
    std::string_view alpn;            ///< the protocol of the session and of this connection; empty for none
    std::chrono::seconds session_age; ///< time since the peer was last verified, in a full handshake
};

/** Early data (0-RTT): whether clients may send data in their first flight, before they have proved that they are live
    (RFC 8446, 2.3).

    Early data saves a round trip, but an attacker can record it and send it again. The replay guard refuses copies.
    Data that reaches the application is still not known to be fresh until the handshake is complete. So process only
    early requests that are safe to replay. `server_stream::is_early` tells early requests from others.
*/
struct early_data_options
{
    /// Most bytes of early data that a client may send. The ticket tells the client. 0 turns early data off. A ticket
    /// that promises more than this limit is resumed without early data.
    std::uint32_t max_bytes = 0;

    /// Detects copies of a first flight. Mandatory if `max_bytes` is not 0.
    replay_guard guard{};

    /// Decides about each offer: false rejects the early data. Empty accepts all offers. Called on any thread that runs
    /// a server_stream. An exception counts as false.
    std::function<bool(early_data_offer const&)> accept{};

    /// The largest `max_bytes` of all servers whose tickets are still valid here. Needed only if it is more than both
    /// `max_bytes` and 16384. The server reads and drops this much rejected early data. A client that sends more loses
    /// its connection, although its ticket may have promised more. The server knows the promise of a ticket that it can
    /// open.
    std::uint32_t promised_bytes = 0;
};

} // namespace reprise
