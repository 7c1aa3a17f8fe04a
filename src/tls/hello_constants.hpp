// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

#include <string>

namespace reprise::detail {

/** Read the parts of a ClientHello that must stay the same after a HelloRetryRequest (RFC 8446, 4.1.2; RFC 9149, 3), as
    far as this library and OpenSSL use them.

    Key shares, PSKs and padding may differ, early data has to go, and a cookie is added.

    Call only inside a SSL_CTX_set_client_hello_cb(3) callback.
*/
[[nodiscard]] std::string read_hello_constants(SSL* ssl);

} // namespace reprise::detail
