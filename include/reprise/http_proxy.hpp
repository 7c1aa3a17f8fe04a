// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>

namespace reprise {

/** An HTTP proxy that connects to the peer, with CONNECT (RFC 9110, 9.3.6).

    TLS runs between the stream and the peer, through the proxy. Sessions are stored apart from those of direct
    connections and of other proxies.
*/
struct http_proxy
{
    std::string host;    ///< name or address
    std::string service; ///< port number or service name

    /// Value of the Proxy-Authorization header, for example "Basic ..."; a secret. Empty for none.
    std::string authorization{};
};

} // namespace reprise
