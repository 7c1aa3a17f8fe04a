// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/net/peer_name.hpp>
#include <reprise/error.hpp>

#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/address_v6.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

namespace reprise::detail {

namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t longest_name = 253; // RFC 1035, 2.3.4: 255 bytes on the wire
constexpr std::size_t longest_label = 63;
constexpr std::size_t longest_shown = 100;

bool is_letter(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) noexcept
{
    return c >= '0' && c <= '9';
}

bool is_hexadecimal(char c) noexcept
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::string in_lower_case(std::string_view text)
{
    std::string result{text};
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return result;
}

// For an error message: escape bytes that could harm a terminal or a log.
std::string shown(std::string_view value)
{
    std::string result;
    for (char const c : value.substr(0, longest_shown))
    {
        if (c >= ' ' && c < 0x7f && c != '\'')
            result += c;
        else
        {
            char escaped[5];
            std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
            result += escaped;
        }
    }
    return "'" + result + (value.size() > longest_shown ? "'..." : "'");
}

[[noreturn]] void refuse_host(std::string_view host, std::string_view why)
{
    throw system_error{errc::bad_host, "host " + shown(host) + ": " + std::string{why}};
}

// Whether inet_aton(3) accepts the label as a number: decimal, octal with a leading 0, hexadecimal with 0x.
bool is_number(std::string_view label)
{
    if (label.starts_with("0x") || label.starts_with("0X"))
        return label.size() > 2 && std::ranges::all_of(label.substr(2), is_hexadecimal);
    return !label.empty() && std::ranges::all_of(label, is_digit);
}

bool is_dotted_number(std::string_view host)
{
    for (;;)
    {
        auto const dot = host.find('.');
        if (!is_number(host.substr(0, dot)))
            return false;
        if (dot == std::string_view::npos)
            return true;
        host.remove_prefix(dot + 1);
    }
}

host_name of_address(ip::address const& address)
{
    auto const text = address.to_string();
    return {.name = text, .query = text, .identity = text, .address = address};
}

host_name read_v4(std::string_view host)
{
    ::in_addr read = {};
    if (::inet_aton(std::string{host}.c_str(), &read) == 0)
        refuse_host(host, "not an IPv4 address, and a DNS name does not consist of numbers only");
    return of_address(ip::address_v4{ntohl(read.s_addr)});
}

std::uint32_t scope_of(std::string_view host, std::string_view zone)
{
    if (zone.empty())
        refuse_host(host, "the zone after % is empty; write the name of an interface, for example fe80::1%eth0");
    std::uint32_t scope = 0;
    auto const [end, bad] = std::from_chars(zone.data(), zone.data() + zone.size(), scope);
    if (bad == std::errc{} && end == zone.data() + zone.size())
        return scope;
    bool const may_be_one = std::ranges::all_of(zone, [](char c) { return c > ' ' && c < 0x7f; });
    scope = may_be_one ? ::if_nametoindex(std::string{zone}.c_str()) : 0;
    if (scope == 0)
        refuse_host(host, "this machine has no network interface of the zone's name");
    return scope;
}

host_name read_v6(std::string_view host, std::string_view address)
{
    auto const percent = address.find('%');
    auto const numbers = address.substr(0, percent);
    bool const may_be_one =
        std::ranges::all_of(numbers, [](char c) { return is_hexadecimal(c) || c == ':' || c == '.'; });
    boost::system::error_code ec;
    auto parsed = ip::make_address_v6(std::string{numbers}, ec);
    if (!may_be_one || ec)
        refuse_host(host, "not an IPv6 address; give the port as the service, not as a part of the host");
    auto result = of_address(parsed);
    if (percent == std::string_view::npos)
        return result;
    auto const zone = address.substr(percent + 1);
    parsed.scope_id(scope_of(host, zone));
    result.address = parsed;
    result.name.append("%").append(zone);
    result.query = result.name;
    return result;
}

void check_character(std::string_view host, char c)
{
    if (is_letter(c) || is_digit(c) || c == '-' || c == '_')
        return;
    if (static_cast<unsigned char>(c) >= 0x80)
        refuse_host(host, "write an international name with its A-labels (xn--..., RFC 5890)");
    if (c == '*')
        refuse_host(host, "a wildcard is not a host; give one name");
    if (c == '%')
        refuse_host(host, "only an IPv6 address has a zone, and percent-encoding is for URLs");
    refuse_host(host, "a character that a host name cannot contain (RFC 1123, 2.1)");
}

void check_label(std::string_view host, std::string_view label)
{
    if (label.empty())
        refuse_host(host, "a label between two dots is empty");
    for (char const c : label)
        check_character(host, c);
    if (label.size() > longest_label)
        refuse_host(host, "a label is longer than 63 bytes (RFC 1035, 2.3.4)");
    if (label.starts_with('-') || label.ends_with('-'))
        refuse_host(host, "a label begins or ends with a hyphen (RFC 952)");
}

host_name read_dns_name(std::string_view host)
{
    auto name = host;
    if (name.ends_with('.'))
        name.remove_suffix(1);
    for (auto rest = name;;)
    {
        auto const dot = rest.find('.');
        check_label(host, rest.substr(0, dot));
        if (dot == std::string_view::npos)
            break;
        rest.remove_prefix(dot + 1);
    }
    if (name.size() > longest_name)
        refuse_host(host, "the name is longer than 253 bytes (RFC 1035, 2.3.4)");
    if (is_dotted_number(name))
        refuse_host(host, "remove the dot after the address");
    auto const lower = in_lower_case(name);
    return {.name = lower, .query = in_lower_case(host), .identity = lower};
}

} // namespace

host_name read_host(std::string_view host)
{
    if (host.empty())
        refuse_host(host, "the host is empty");
    if (host.starts_with('['))
    {
        if (!host.ends_with(']'))
            refuse_host(host, "a [ without a ] at the end; give the port as the service, not as a part of the host");
        return read_v6(host, host.substr(1, host.size() - 2));
    }
    if (host.find(':') != std::string_view::npos)
        return read_v6(host, host);
    return is_dotted_number(host) ? read_v4(host) : read_dns_name(host);
}

std::string read_server_name_option(std::string_view name)
{
    auto host = read_host(name);
    if (host.address)
        refuse_host(name, "a server name is a DNS name, never an address (RFC 6066, 3); leave the option empty");
    return std::move(host.name);
}

std::string read_service(std::string_view service)
{
    auto const refuse = [&](std::string_view why)
    { throw system_error{errc::bad_service, "service " + shown(service) + ": " + std::string{why}}; };
    if (service.empty())
        refuse("the service is empty; give a port or a service name");
    if (std::ranges::all_of(service, is_digit))
    {
        auto const digits = service.substr(std::min(service.find_first_not_of('0'), service.size()));
        if (digits.empty() || digits.size() > 5 || !port_number(digits))
            refuse("a port must be a number from 1 to 65535");
        return std::string{digits};
    }
    constexpr std::string_view of_names = "-_.+*/"; // occur in services(5)
    bool const is_name =
        service.size() <= longest_name &&
        std::ranges::all_of(service, [&](char c)
                            { return is_letter(c) || is_digit(c) || of_names.find(c) != std::string_view::npos; });
    if (!is_name || !std::ranges::any_of(service, is_letter))
        refuse("neither a port from 1 to 65535 nor a name such as https (RFC 6335, 5.1)");
    return std::string{service};
}

std::optional<std::uint16_t> port_number(std::string_view service) noexcept
{
    std::uint16_t port = 0;
    auto const [end, bad] = std::from_chars(service.data(), service.data() + service.size(), port);
    if (service.empty() || bad != std::errc{} || end != service.data() + service.size() || port == 0)
        return std::nullopt;
    return port;
}

} // namespace reprise::detail
