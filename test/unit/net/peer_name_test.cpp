// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/net/peer_name.hpp>
#include <reprise/error.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace reprise::detail;
using reprise::errc;

TEST_SUITE_BEGIN("peer_name");

namespace {

using namespace std::string_literals;

struct accepted
{
    std::string host;
    std::string name;
    std::string query;
    std::string identity;
    bool is_address = false;
};

struct refused
{
    std::string host;
    std::string why; // a part of the message
};

std::string why_refused(std::string const& host)
{
    try
    {
        (void)read_host(host);
    }
    catch (reprise::system_error const& e)
    {
        CHECK(e.code() == errc::bad_host);
        return e.what();
    }
    return "it was accepted";
}

std::string why_service_refused(std::string const& service)
{
    try
    {
        (void)read_service(service);
    }
    catch (reprise::system_error const& e)
    {
        CHECK(e.code() == errc::bad_service);
        return e.what();
    }
    return "it was accepted";
}

std::string const label63(63, 'a');
std::string const label64(64, 'a');
std::string const name253 = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');

} // namespace

TEST_CASE("hosts that are one")
{
    for (auto const& a : std::vector<accepted>{
             // names (RFC 952; RFC 1123, 2.1: a label may begin with a digit, and be one letter)
             {"a.test", "a.test", "a.test", "a.test"},
             {"A.Test", "a.test", "a.test", "a.test"},
             {"x", "x", "x", "x"},
             {"localhost", "localhost", "localhost", "localhost"},
             {"3com.example", "3com.example", "3com.example", "3com.example"},
             {"a-b.c--d.test", "a-b.c--d.test", "a-b.c--d.test", "a-b.c--d.test"},
             {"xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example", "xn--bcher-kva.example"},
             {"web.1", "web.1", "web.1", "web.1"},
             {"0xyz.test", "0xyz.test", "0xyz.test", "0xyz.test"},
             // getaddrinfo(3) takes underscores
             {"my_service.internal", "my_service.internal", "my_service.internal", "my_service.internal"},
             {label63 + ".test", label63 + ".test", label63 + ".test", label63 + ".test"},
             {name253, name253, name253, name253},
             // absolute names (RFC 1034, 3.1): the dot is for the resolver alone
             {"localhost.", "localhost", "localhost.", "localhost"},
             {"A.Test.", "a.test", "a.test.", "a.test"},
             {name253 + ".", name253, name253 + ".", name253},
             // IPv4, as inet_aton(3) reads it
             {"127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", true},
             {"127.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", true},
             {"0x7f000001", "127.0.0.1", "127.0.0.1", "127.0.0.1", true},
             {"0x7F.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", true},
             {"0177.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1", true},
             {"2130706433", "127.0.0.1", "127.0.0.1", "127.0.0.1", true},
             {"255.255.255.255", "255.255.255.255", "255.255.255.255", "255.255.255.255", true},
             // IPv6 (RFC 4291, 2.2), in brackets (RFC 3986, 3.2.2), with a zone (RFC 4007, 11)
             {"::1", "::1", "::1", "::1", true},
             {"[::1]", "::1", "::1", "::1", true},
             {"::", "::", "::", "::", true},
             {"2001:DB8::1", "2001:db8::1", "2001:db8::1", "2001:db8::1", true},
             {"2001:db8:0:0:0:0:0:1", "2001:db8::1", "2001:db8::1", "2001:db8::1", true},
             {"::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1", true},
             {"::1%lo", "::1%lo", "::1%lo", "::1", true},
             {"[::1%lo]", "::1%lo", "::1%lo", "::1", true},
             {"fe80::1%1", "fe80::1%1", "fe80::1%1", "fe80::1", true},
         })
    {
        CAPTURE(a.host);
        auto const read = read_host(a.host);
        CHECK(read.name == a.name);
        CHECK(read.query == a.query);
        CHECK(read.identity == a.identity);
        CHECK(read.address.has_value() == a.is_address);
    }
}

TEST_CASE("hosts that are none, each with its reason")
{
    for (auto const& r : std::vector<refused>{
             {"", "the host is empty"},
             {".", "a label between two dots is empty"},
             {"..", "a label between two dots is empty"},
             {".test", "a label between two dots is empty"}, // to OpenSSL: any name below
             {"a..test", "a label between two dots is empty"},
             {"a.test..", "a label between two dots is empty"},
             {"-a.test", "begins or ends with a hyphen"},
             {"a-.test", "begins or ends with a hyphen"},
             {"a.-", "begins or ends with a hyphen"},
             {label64 + ".test", "longer than 63 bytes"},
             {name253 + "b", "longer than 253 bytes"},
             {"a b", "a character that a host name cannot contain"},
             {" a.test", "a character that a host name cannot contain"},
             {"a.test\n", "a character that a host name cannot contain"},
             {"a.test\0.evil"s, "a character that a host name cannot contain"},
             {"a.test/x", "a character that a host name cannot contain"},
             {"me@a.test", "a character that a host name cannot contain"},
             {"a,b", "a character that a host name cannot contain"},
             {"*.test", "a wildcard is not a host"},
             {"b\xc3\xbc"
              "cher.example",
              "A-labels"},
             {"a%2etest", "percent-encoding is for URLs"},
             {"127.0.0.1%lo", "only an IPv6 address has a zone"},
             {"a.test:443", "give the port as the service"},
             {"127.0.0.1:443", "give the port as the service"},
             {"[::1]:443", "give the port as the service"},
             {"::1:443:", "not an IPv6 address"},
             {"[127.0.0.1]", "not an IPv6 address"},
             {"[v1.x]", "not an IPv6 address"},
             {"[]", "not an IPv6 address"},
             {"[::1", "a [ without a ]"},
             {"::1\0x"s, "not an IPv6 address"},
             {"1::2::3", "not an IPv6 address"},
             {"::12345", "not an IPv6 address"},
             {"::1%", "the zone after % is empty"},
             {"fe80::1%no-such-zone", "no network interface of the zone's name"},
             {"fe80::1%lo\0x"s, "no network interface of the zone's name"},
             {"fe80::1%25lo", "no network interface of the zone's name"}, // of a URL: RFC 6874
             {"256.1.1.1", "not an IPv4 address, and a DNS name"},
             {"1.2.3.4.5", "not an IPv4 address, and a DNS name"},
             {"127.0.0.1.", "remove the dot after the address"},
         })
    {
        CAPTURE(r.host);
        auto const why = why_refused(r.host);
        CAPTURE(why);
        CHECK(why.find(r.why) != std::string::npos);
    }
}

TEST_CASE("an error names the host, whatever it is made of, and not without end")
{
    CHECK(why_refused("a..test").starts_with("host 'a..test': "));
    CHECK(why_refused("a\x1b[2J").starts_with("host 'a\\x1b[2J': "));
    CHECK(why_refused("'; rm").starts_with("host '\\x27; rm': "));
    CHECK(why_refused(std::string(100'000, '-')).size() < 400);
}

TEST_CASE("a server name is a DNS name, and no address")
{
    CHECK(read_server_name_option("A.Test.") == "a.test");
    for (std::string const name : {"127.0.0.1", "::1", "", "a b"})
    {
        CAPTURE(name);
        CHECK_THROWS_WITH_AS((void)read_server_name_option(name),
                             doctest::Contains((name.empty() ? "''" : "'" + name + "'").c_str()),
                             reprise::system_error);
    }
}

TEST_CASE("services")
{
    for (auto const& [service, expected] : std::vector<std::pair<std::string, std::string>>{
             {"443", "443"},
             {"1", "1"},
             {"65535", "65535"},
             {"0443", "443"}, // as getaddrinfo(3) reads it
             {"https", "https"},
             {"x11-1", "x11-1"},
             {"netbios-ns", "netbios-ns"},
             {"kerberos_master", "kerberos_master"},
             {"whois++", "whois++"},
         })
    {
        CAPTURE(service);
        CHECK(read_service(service) == expected);
    }
    for (std::string const& service :
         std::vector<std::string>{"", "0", "00", "65536", "4294967739", "99999999999999999999", "-1", "+443", "443 ",
                                  " 443", "4 43", "443\n", "https:", "https\0"s, "a b", "-", std::string(300, 'a')})
    {
        CAPTURE(service);
        auto const why = why_service_refused(service);
        CAPTURE(why);
        CHECK(why.starts_with("service '"));
    }
    CHECK(read_service("0x1bb") == "0x1bb"); // not a number to getaddrinfo(3), so the name of a service
    CHECK(port_number("443") == 443);
    CHECK_FALSE(port_number("https"));
    CHECK_FALSE(port_number("0"));
    CHECK_FALSE(port_number(""));
}

TEST_SUITE_END();
