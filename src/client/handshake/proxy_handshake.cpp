// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/client/proxy_handshake.hpp>

#include <boost/asio/ip/address_v6.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include <netdb.h>
#include <netinet/in.h>

namespace reprise::detail {

namespace {

// Whether the text is a name or an address: no character ends a field or a line, or changes the authority (RFC 3986,
// 3.2).
bool is_host(std::string_view text)
{
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c != 0x7f; }) &&
           text.find_first_of("/?#@[]\\") == std::string_view::npos;
}

bool is_one_line(std::string_view text)
{
    return std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

std::optional<unsigned> port_of(std::string const& service)
{
    unsigned port = 0;
    auto const [end, bad] = std::from_chars(service.data(), service.data() + service.size(), port);
    if (bad == std::errc{} && end == service.data() + service.size())
        return port >= 1 && port <= 65535 ? std::optional{port} : std::nullopt;
    std::array<char, 1024> room;
    ::servent entry{};
    ::servent* found = nullptr;
    if (::getservbyname_r(service.c_str(), "tcp", &entry, room.data(), room.size(), &found) != 0 || found == nullptr)
        return std::nullopt;
    return ntohs(static_cast<std::uint16_t>(found->s_port));
}

bool is_v6(std::string const& host)
{
    error_code ec;
    (void)asio::ip::make_address_v6(host, ec);
    return !ec;
}

std::string bracketed(std::string const& host)
{
    return is_v6(host) ? "[" + host + "]" : host;
}

} // namespace

std::optional<std::string> connect_request(http_proxy const& proxy, std::string const& host, std::string const& service)
{
    auto const port = port_of(service);
    bool const v6 = is_v6(host);
    bool const has_port = !v6 && host.find(':') != std::string::npos;
    if (!port || !is_host(host) || has_port || !can_be_asked(proxy))
        return std::nullopt;
    auto const authority = bracketed(host) + ":" + std::to_string(*port);
    std::string request = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
    if (!proxy.authorization.empty())
        request += "Proxy-Authorization: " + proxy.authorization + "\r\n";
    return request + "\r\n";
}

bool can_be_asked(http_proxy const& proxy)
{
    return !proxy.host.empty() && !proxy.service.empty() && is_one_line(proxy.authorization);
}

std::string route_of(http_proxy const& proxy)
{
    std::string route = "http://" + bracketed(proxy.host) + ":" + proxy.service;
    std::ranges::transform(route, route.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return route;
}

namespace {

error_code verdict(unsigned status, bool is_followed)
{
    if (status == 407)
        return errc::proxy_authentication_required;
    if (status >= 500) // 600 and more are invalid, and count as 5xx (RFC 9110, 15)
        return errc::proxy_failed;
    if (status < 200 || status > 299)
        return errc::proxy_refused;
    return is_followed ? errc::proxy_malformed : error_code{}; // a TLS server does not speak first
}

} // namespace

bool proxy_reply::put(std::string_view bytes, error_code& ec)
{
    ec = {};
    for (;;)
    {
        auto const taken = head_.put(bytes);
        bytes.remove_prefix(taken);
        size_ += taken;
        if (!head_.is_complete() || !head_.is_interim())
            break;
        left_ -= std::exchange(size_, 0); // another response follows (RFC 9110, 15.2)
        head_ = response_head{left_};
    }
    if (head_.is_malformed() || head_.is_too_long())
        ec = errc::proxy_malformed;
    else if (head_.is_complete())
        ec = verdict(head_.status(), !bytes.empty());
    return head_.is_complete() && !ec;
}

} // namespace reprise::detail
