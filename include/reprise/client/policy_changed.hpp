// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ssl/context.hpp>

namespace reprise {

/** Say that a context which client_streams use has got another policy, so that no session of the old one is offered any more.

    Most changes are seen without it: trust, verification, versions, ciphers, certificates, callbacks. OpenSSL does not tell of
    what is only offered to servers: groups, signature algorithms, ALPN. It is for these; and nothing but a full handshake is
    lost where it was not needed.

    @par Thread Safety
    Safe, as long as nobody changes the context meanwhile.
*/
void policy_changed(boost::asio::ssl::context& tls);

} // namespace reprise
