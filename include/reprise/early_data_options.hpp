// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_hello.hpp>
#include <reprise/replay_guard.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

namespace reprise {

/// A client's wish to send early data, when everything else has been decided.
struct early_data_offer
{
    client_hello const& hello;
    std::string_view alpn;            ///< of the session, and of this connection; empty for none
    std::chrono::seconds session_age; ///< since the peer was last verified, in a full handshake
};

/** Whether clients may send data in their first flight, before they are proven to be there (RFC 8446, 2.3).

    It saves a round trip, and somebody who has recorded it can send it again. The replay guard sees to it that a copy is
    refused; what reaches the application is still not known to be fresh until the handshake is complete. So let early
    requests do nothing that must not be done twice: `server_stream::is_early` tells them from others.
*/
struct early_data_options
{
    /// How much a client may send, in bytes; it is told with the ticket. 0: none, early data is off. A ticket that promises
    /// more than is allowed now is resumed without early data.
    std::uint32_t max_bytes = 0;

    /// Mandatory with max_bytes.
    replay_guard guard{};

    /// Asked for each offer; false rejects it. Empty: all are welcome. It may be called on any thread that runs a
    /// server_stream. An exception counts as false.
    std::function<bool(early_data_offer const&)> accept{};

    /// The largest max_bytes of any server whose tickets are alive here, if it is more than max_bytes and 16384: so much
    /// early data that is rejected is read and thrown away. A client that sends more loses its connection, and one that was
    /// promised it has a right to. Of tickets that open here it is known without this.
    std::uint32_t promised_bytes = 0;
};

} // namespace reprise
