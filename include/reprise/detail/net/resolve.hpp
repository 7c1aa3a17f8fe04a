// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/net/peer_name.hpp>
#include <reprise/error.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <vector>

namespace reprise::detail {

namespace asio = boost::asio;

struct resolved
{
    error_code ec;
    std::vector<asio::ip::tcp::endpoint> endpoints{};
};

/** Resolve a host to its endpoints, in the order in which to try them (RFC 8305, 4).

    Owns its arguments, because getaddrinfo(3) cannot be interrupted: after a timeout the caller abandons the operation.
*/
[[nodiscard]] asio::awaitable<resolved> resolve(host_name host, std::string service);

} // namespace reprise::detail
