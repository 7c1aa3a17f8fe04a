// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ssl/context.hpp>

namespace reprise {

/** Say that a context which client_streams use has got another policy, so that no session of the old one is offered any more.

    Most changes are seen without it: trust, verification, versions, ciphers, certificates, callbacks. OpenSSL does not tell of
    what is only offered to servers (groups, signature algorithms, ALPN), nor of the purpose, the trust setting and the
    policies of a verification (SSL_CTX_set_purpose(3)). It is for these: what is offered is read again, and sessions are
    verified again before they are offered. Where it was not needed, nothing is lost but that time.

    @par Thread Safety
    Safe, as long as nobody changes the context meanwhile.
*/
void policy_changed(boost::asio::ssl::context& tls);

} // namespace reprise
