// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/client/proxy_handshake.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>

#include <netdb.h>
#include <netinet/in.h>

namespace reprise::detail {

namespace {

namespace http = boost::beast::http;

constexpr std::uint32_t longest_head = 16 * 1024;

// A name or an address: nothing that ends a field or a line, or would make another authority of it (RFC 3986, 3.2).
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

struct proxy_reply::state
{
    state() { begin(); }

    void begin()
    {
        parser.emplace();
        parser->header_limit(longest_head);
        parser->skip(true); // an answer to CONNECT has no body (RFC 9110, 9.3.6)
    }

    // More bytes; an answer to be continued makes room for the next (RFC 9110, 15.2).
    void put(std::string_view bytes, error_code& ec)
    {
        size += bytes.size();
        unread.append(bytes);
        unread.erase(0, parser->put(asio::buffer(unread), ec));
        while (!ec && is_interim())
        {
            begin();
            unread.erase(0, parser->put(asio::buffer(unread), ec));
        }
    }

    [[nodiscard]] bool is_interim() const
    {
        return parser->is_header_done() && parser->get().result_int() / 100 == 1 &&
               parser->get().result() != http::status::switching_protocols;
    }

    std::optional<http::response_parser<http::empty_body>> parser;
    std::string unread;
    std::size_t size = 0; // of all that has come
};

proxy_reply::proxy_reply() : state_(std::make_unique<state>()) {}

proxy_reply::~proxy_reply() = default;

bool proxy_reply::put(std::string_view bytes, error_code& ec)
{
    state_->put(bytes, ec);
    // By value, because beside a program that compiles Beast itself Beast's category exists twice (io/separate_asio.cpp).
    bool const needs_more = ec.value() == static_cast<int>(http::error::need_more);
    if (needs_more && state_->size <= longest_head)
    {
        ec = {};
        return false;
    }
    auto const& parser = *state_->parser;
    auto const status = parser.is_header_done() ? parser.get().result_int() : 0;
    bool const is_connected = status >= 200 && status <= 299;
    bool const speaks_first = is_connected && !state_->unread.empty(); // a TLS server does not
    if (ec || !parser.is_header_done() || speaks_first)
        ec = errc::proxy_malformed;
    else if (status == 407)
        ec = errc::proxy_authentication_required;
    else if (status >= 500)
        ec = errc::proxy_failed;
    else if (!is_connected)
        ec = errc::proxy_refused;
    return !ec;
}

} // namespace reprise::detail
