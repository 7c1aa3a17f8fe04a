// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "net/address_order.hpp"

#include <reprise/detail/net/resolve.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdint>
#include <string_view>

namespace reprise::detail {

namespace {

// RFC 6761, 6.3: these names are loopback, whatever /etc/hosts or a name server say.
bool is_localhost(std::string_view name) noexcept
{
    return name == "localhost" || name.ends_with(".localhost");
}

std::vector<asio::ip::tcp::endpoint> loopback(std::uint16_t port)
{
    return {{asio::ip::address_v6::loopback(), port}, {asio::ip::address_v4::loopback(), port}};
}

} // namespace

asio::awaitable<resolved> resolve(host_name host, std::string service)
{
    auto const port = port_number(service);
    bool const is_local = is_localhost(host.name);
    // async_resolve uses another thread, even where there is nothing to look up.
    if (port && is_local)
        co_return resolved{{}, loopback(*port)};
    if (port && host.address)
        co_return resolved{{}, {{*host.address, *port}}};
    asio::ip::tcp::resolver resolver{co_await asio::this_coro::executor};
    bool const needs_name_server = !is_local && !host.address;
    std::string const name = needs_name_server ? host.query : "127.0.0.1"; // else only the service is resolved
    auto const [ec, found] = co_await resolver.async_resolve(name, service, asio::as_tuple(asio::use_awaitable));
    resolved result{ec};
    for (auto const& entry : found)
        result.endpoints.push_back(entry.endpoint());
    if (needs_name_server || result.endpoints.empty())
        result.endpoints = in_turns(result.endpoints);
    else if (is_local)
        result.endpoints = loopback(result.endpoints.front().port());
    else
        result.endpoints = {{*host.address, result.endpoints.front().port()}};
    co_return result;
}

} // namespace reprise::detail
