// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/handshake_info.hpp>

namespace reprise::detail {

/** Verify a session's certificates as a full handshake of this connection would: against the present trust store, with
    the connection's parameters, host name and verify callback.

    Takes about 150 us for a chain of two, because signatures are checked.

    @return `full_handshake_reason::none`, or `untrusted`, `name_differs`, `chain_expired`, `revoked`; `unverified` if
        the session has no certificates.
*/
[[nodiscard]] full_handshake_reason verify_again(SSL* ssl, session_origin const& origin, time_point now);

} // namespace reprise::detail
