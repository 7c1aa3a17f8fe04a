// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/url.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace example {

namespace urls = boost::urls;

namespace {

[[noreturn]] void refuse(std::string_view text, std::string const& why)
{
    throw std::runtime_error{"'" + std::string{text} + "': " + why};
}

// Removes the zone of an IPv6 address: "%25eth0" (RFC 6874), or "%eth0", which is common. Boost.URL 1.81 accepts
// neither.
std::string cut_zone(std::string& text)
{
    auto const slashes = text.find("//");
    if (slashes == std::string::npos)
        return {};
    auto const begin = slashes + 2;
    auto const authority = std::string_view{text}.substr(begin, text.find_first_of("/?#", begin) - begin);
    auto const open = authority.find('[');
    auto const percent = authority.find('%');
    auto const close = authority.find(']');
    if (close == std::string_view::npos || !(open < percent && percent < close))
        return {};
    std::string zone{authority.substr(percent + 1, close - percent - 1)};
    if (zone.size() > 2 && zone.starts_with("25"))
        zone.erase(0, 2);
    if (zone.empty() || zone.find_first_of("%[ ") != std::string::npos)
        refuse(text, "the zone must be the name of an interface, as in [fe80::1%25eth0]");
    text.erase(begin + percent, close - percent);
    return zone;
}

// Whether the text has only letters, digits, hyphens, dots and underscores. International names have an ASCII form.
bool is_name(std::string_view host)
{
    return std::ranges::all_of(host,
                               [](unsigned char c)
                               {
                                   return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                                          c == '-' || c == '.' || c == '_';
                               });
}

} // namespace

url parse_https_url(std::string_view text)
{
    std::string without_zone{text};
    auto const zone = cut_zone(without_zone);
    auto const parsed = urls::parse_uri(without_zone);
    if (!parsed)
        refuse(text, "not a URL (" + parsed.error().message() + "); expected https://HOST[:PORT][/PATH][?QUERY]");
    urls::url_view const u = *parsed;
    if (u.scheme_id() != urls::scheme::https)
        refuse(text, "not an https URL; it must begin with https://");
    if (u.has_userinfo())
        refuse(text, "credentials in a URL are not supported; remove them");
    if (u.host_type() == urls::host_type::ipvfuture)
        refuse(text, "an address in brackets must be an IPv6 address");
    bool const is_v6 = u.host_type() == urls::host_type::ipv6;
    std::string const host = u.host_type() == urls::host_type::name ? u.host_name() : u.host_address();
    if (host.empty())
        refuse(text, "the host is missing; expected https://HOST[:PORT][/PATH][?QUERY]");
    if (!is_v6 && !is_name(host))
        refuse(text, "the host '" + host +
                         "' is not a name; write international names in ASCII, as in xn--bcher-kva.example");

    url result;
    result.host = host + (zone.empty() ? "" : "%" + zone);
    result.port = "443";
    if (u.has_port() && !u.port().empty()) // an empty port is the default port (RFC 3986, 3.2.3)
    {
        auto const port = parse_port(u.port());
        if (!port || *port == 0)
            refuse(text, "the port must be 1 to 65535");
        result.port = std::to_string(*port);
    }
    result.authority = is_v6 ? "[" + host + "]" : host;
    if (result.port != "443")
        result.authority += ":" + result.port;
    std::string const path{u.encoded_path()};
    if (!path.empty() && !path.starts_with('/')) // Boost.URL 1.81 accepts "a.test:x/"
        refuse(text, "the port must be a number, and the path must begin with a slash");
    result.target = path.empty() ? "/" : path;
    if (u.has_query())
        result.target.append("?").append(u.encoded_query());
    return result;
}

std::optional<std::string> path_of(std::string_view target)
{
    auto const parsed = target.starts_with('/') ? urls::parse_origin_form(target) : urls::parse_absolute_uri(target);
    if (!parsed || (parsed->has_scheme() && !parsed->has_authority()))
        return std::nullopt;
    auto path = parsed->path();
    return path.empty() ? "/" : path;
}

bool is_authority(std::string_view text)
{
    auto const parsed = urls::parse_authority(text);
    return parsed && !parsed->has_userinfo() && !parsed->encoded_host().empty();
}

std::optional<unsigned short> parse_port(std::string_view text)
{
    unsigned short port = 0;
    auto const [end, bad] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (bad != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return port;
}

} // namespace example
