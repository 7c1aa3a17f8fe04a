// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/redis_storage.hpp>

#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace reprise {

namespace {

[[noreturn]] void fail(std::string const& what)
{
    throw system_error{errc::bad_option, "redis URL: " + what};
}

// Split at the first separator. The second part is absent if there is no separator.
std::pair<std::string_view, std::optional<std::string_view>> split(std::string_view text, char separator)
{
    auto const at = text.find(separator);
    if (at == std::string_view::npos)
        return {text, std::nullopt};
    return {text.substr(0, at), text.substr(at + 1)};
}

std::string decode(std::string_view text, char const* what)
{
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i)
    {
        if (text[i] != '%')
        {
            decoded += text[i];
            continue;
        }
        unsigned char byte = 0;
        auto const digits = text.substr(i + 1, 2);
        auto const [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        if (ec != std::errc{} || digits.size() != 2 || end != digits.data() + 2)
            fail(std::string{what} + ": two hexadecimal digits must follow a % (write % itself as %25)");
        decoded += static_cast<char>(byte);
        i += 2;
    }
    return decoded;
}

template <class T>
T number(std::string_view text, T least, T most, char const* what)
{
    T value{};
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size() || value < least || value > most)
        fail(what + (" must be a number from " + std::to_string(least) + " to " + std::to_string(most)));
    return value;
}

unsigned database(std::string_view text)
{
    return number(text, 0u, unsigned{std::numeric_limits<int>::max()}, "database");
}

void parse_user(redis_storage_options& o, std::string_view text)
{
    auto const [user, password] = split(text, ':');
    if (!password)
        fail("user without a password: write user:password@, or :password@ for the default user");
    o.user = decode(user, "user");
    auto decoded = decode(*password, "password");
    o.password = secret_bytes{as_bytes(decoded)};
    wipe({reinterpret_cast<unsigned char*>(decoded.data()), decoded.size()});
    if (o.password.empty())
        fail("the password is empty: write user:password@, or :password@ for the default user");
}

void parse_host(redis_storage_options& o, std::string_view text)
{
    std::string_view host;
    std::optional<std::string_view> port;
    if (text.starts_with('['))
    {
        auto const [address, rest] = split(text.substr(1), ']');
        if (!rest || (!rest->empty() && !rest->starts_with(':')))
            fail("host: write an IPv6 address as [address]:port");
        host = address;
        if (!rest->empty())
            port = rest->substr(1);
    }
    else
        std::tie(host, port) = split(text, ':');
    if (host.empty())
        fail("the host is missing: write redis://HOST[:PORT]");
    o.host = decode(host, "host");
    if (port)
        o.port = number<std::uint16_t>(*port, 1, 65535, "port");
}

// Parse one parameter of the query. The parameter `ca` goes to `ca`.
void parse_parameter(redis_storage_options& o, std::string& ca, std::string_view text)
{
    auto const [name, value] = split(text, '=');
    if (!value)
        fail("query: write each parameter as name=value");
    if (name == "db")
        o.database = database(*value);
    else if (name == "prefix")
        o.key_prefix = decode(*value, "prefix");
    else if (name == "connections")
        o.connections = number<std::size_t>(*value, 1, 16, "connections");
    else if (name == "timeout")
        o.request_timeout = std::chrono::milliseconds{number(*value, 1, 60'000, "timeout")};
    else if (name == "ca")
        ca = decode(*value, "ca");
    else // the name may be part of a password, so the error does not repeat it
        fail("query: unknown parameter; known are db, prefix, connections, timeout and ca");
}

std::shared_ptr<asio::ssl::context> trusting(std::string const& ca)
{
    auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
    if (ca.empty())
    {
        tls->set_default_verify_paths();
        return tls;
    }
    error_code ec;
    (void)tls->load_verify_file(ca, ec);
    if (ec)
        fail("ca: cannot read certificates from " + ca + ": " + ec.message());
    return tls;
}

} // namespace

redis_storage_options parse_redis_url(std::string_view url)
{
    redis_storage_options o;
    auto const end = url.find("://");
    auto const scheme = url.substr(0, end);
    if (end == std::string_view::npos ||
        (scheme != "redis" && scheme != "rediss" && scheme != "unix" && scheme != "redis+unix"))
        fail("the scheme must be redis://, rediss:// or unix://");
    auto [rest, query] = split(url.substr(end + 3), '?');
    auto const authority = rest.substr(0, rest.find('/'));
    if (auto const at = authority.rfind('@'); at != std::string_view::npos)
    {
        parse_user(o, authority.substr(0, at));
        rest.remove_prefix(at + 1);
    }
    if (scheme == "unix" || scheme == "redis+unix")
    {
        if (!rest.starts_with('/'))
            fail("path: write a unix socket as unix:///path/of/socket");
        o.socket_path = decode(rest, "path");
    }
    else
    {
        auto const [host, path] = split(rest, '/');
        parse_host(o, host);
        if (path && !path->empty())
            o.database = database(*path);
    }
    std::string ca;
    while (query)
    {
        auto const [parameter, more] = split(*query, '&');
        parse_parameter(o, ca, parameter);
        query = more;
    }
    if (scheme == "rediss")
        o.tls = trusting(ca);
    else if (!ca.empty())
        fail("the parameter ca is only for rediss://: remove ca, or write rediss://");
    return o;
}

} // namespace reprise
