// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ssl/context.hpp>

namespace reprise {

/** Tell reprise that the policy of a context changed. Sessions made under the old policy are no longer offered.

    Most changes are detected without this function: trust, verification, versions, ciphers, certificates, callbacks.
    OpenSSL does not report the following settings, so call the function after changing them:
    @li what is only offered to servers: groups, signature algorithms, ALPN;
    @li the purpose, the trust setting and the policies of a verification (SSL_CTX_set_purpose(3)).

    What is offered is then read again, and sessions are verified again before they are offered. An unnecessary call
    costs only that time.

    @par Thread Safety
    Safe, as long as no thread changes the context at the same time.
*/
void policy_changed(boost::asio::ssl::context& tls);

} // namespace reprise
