// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>

namespace reprise {

/** A proxy that connects to the peer for us: HTTP CONNECT (RFC 9110, 9.3.6).

    TLS is spoken with the peer, through it. Sessions are filed apart from those of direct connections, and of other
    proxies.
*/
struct http_proxy
{
    std::string host;    ///< name or address
    std::string service; ///< port number or service name

    /// Value of Proxy-Authorization, for example "Basic ..."; a secret. Empty for none.
    std::string authorization{};
};

} // namespace reprise
