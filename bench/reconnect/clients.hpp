// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "reconnect/nginx.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace bench {

/// What some reconnects have cost the client: CPU of its process, with the threads that resolve names, and time.
struct cost
{
    double cpu_us = 0;
    double time_us = 0;
    std::size_t count = 0;
    std::size_t resumed = 0;
};

/// A way to fetch https://localhost:PORT/ on a new connection each time.
class client
{
public:
    client() = default;
    client(client const&) = delete;
    client& operator=(client const&) = delete;
    virtual ~client() = default;

    /// Fetch so many times. Everything that a program does once it has done before.
    virtual cost fetch(std::size_t count) = 0;
};

/// @param tls13 Else TLS 1.2, and no other.
/// @{
std::unique_ptr<client> make_reprise(nginx const& server, bool tls13);

/// Asio's own stream, by hand; without resumption, for it has none.
std::unique_ptr<client> make_plain_asio(nginx const& server, bool tls13);

/// OpenSSL on a blocking socket and nothing else: less than this no client with OpenSSL can cost.
std::unique_ptr<client> make_openssl(nginx const& server, bool tls13);

/// libcurl's easy interface: a handle for each request, and a share handle for sessions.
std::unique_ptr<client> make_curl(nginx const& server, bool tls13);

/// libcurl's easy interface with one handle for all requests, which reads the CA file once: as cheap as libcurl can be.
std::unique_ptr<client> make_kept_curl(nginx const& server, bool tls13);

/// Go's net/http with a session cache: a program of its own. Null if there is no Go here.
std::unique_ptr<client> make_go(nginx const& server, bool tls13);
/// @}

} // namespace bench
