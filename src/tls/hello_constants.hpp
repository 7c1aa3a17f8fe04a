// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

#include <string>

namespace reprise::detail {

/** What of a ClientHello has to be the same after a HelloRetryRequest (RFC 8446, 4.1.2; RFC 9149, 3), of what this library and
    OpenSSL go by. Key shares, PSKs and padding may differ, early data has to go, and a cookie comes.

    Only inside a SSL_CTX_set_client_hello_cb(3) callback.
*/
[[nodiscard]] std::string read_hello_constants(SSL* ssl);

} // namespace reprise::detail
