// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/url.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace example;

TEST_SUITE_BEGIN("examples_url");

TEST_CASE("an https URL is split into host, port, authority and target")
{
    struct row
    {
        std::string text;
        std::string host;
        std::string port;
        std::string authority;
        std::string target;
    };
    for (auto const& r : {
             row{"https://a.test", "a.test", "443", "a.test", "/"},
             row{"https://a.test/", "a.test", "443", "a.test", "/"},
             row{"https://a.test/x/y", "a.test", "443", "a.test", "/x/y"},
             row{"HTTPS://a.test/", "a.test", "443", "a.test", "/"},
             row{"hTtPs://A.Test/X", "A.Test", "443", "A.Test", "/X"},
             // No path (RFC 9112, 3.2.1)
             row{"https://a.test?x=1", "a.test", "443", "a.test", "/?x=1"},
             row{"https://a.test?", "a.test", "443", "a.test", "/?"},
             row{"https://a.test:8443?x=/y?z", "a.test", "8443", "a.test:8443", "/?x=/y?z"},
             row{"https://a.test#f", "a.test", "443", "a.test", "/"},
             row{"https://a.test/x?y#f?g", "a.test", "443", "a.test", "/x?y"},
             // Ports (RFC 3986, 3.2.3)
             row{"https://a.test:443/", "a.test", "443", "a.test", "/"},
             row{"https://a.test:0443/", "a.test", "443", "a.test", "/"},
             row{"https://a.test:/", "a.test", "443", "a.test", "/"},
             row{"https://a.test:8443", "a.test", "8443", "a.test:8443", "/"},
             row{"https://a.test:65535/", "a.test", "65535", "a.test:65535", "/"},
             // Addresses
             row{"https://127.0.0.1:8443/", "127.0.0.1", "8443", "127.0.0.1:8443", "/"},
             row{"https://[::1]/", "::1", "443", "[::1]", "/"},
             row{"https://[::1]:8443/x", "::1", "8443", "[::1]:8443", "/x"},
             row{"https://[::1]?x", "::1", "443", "[::1]", "/?x"},
             row{"https://[2001:db8::1]:443/", "2001:db8::1", "443", "[2001:db8::1]", "/"},
             row{"https://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", "443", "[::ffff:127.0.0.1]", "/"},
             // A zone means something on this machine only, so the field Host has none (RFC 6874, 4)
             row{"https://[fe80::1%25eth0]/", "fe80::1%eth0", "443", "[fe80::1]", "/"},
             row{"https://[fe80::1%eth0]:8443/x?y", "fe80::1%eth0", "8443", "[fe80::1]:8443", "/x?y"},
             row{"https://[fe80::1%2525]/", "fe80::1%25", "443", "[fe80::1]", "/"},
             row{"https://[fe80::1%2]/", "fe80::1%2", "443", "[fe80::1]", "/"},
             // Percent-encoding: decoded in the host, left alone in the target
             row{"https://a%2Etest/a%20b?c%2Fd", "a.test", "443", "a.test", "/a%20b?c%2Fd"},
             row{"https://a.test/[x]@:", "", "", "", ""}, // brackets are valid in the host only
             row{"https://a_b.test/~x;y=z,w", "a_b.test", "443", "a_b.test", "/~x;y=z,w"},
             row{"https://xn--bcher-kva.test/", "xn--bcher-kva.test", "443", "xn--bcher-kva.test", "/"},
             row{"https://a.test./", "a.test.", "443", "a.test.", "/"},
             row{"https://a.test//x/../y", "a.test", "443", "a.test", "//x/../y"},
             row{"https://a.test/?u=https://b.test:1/%25eth0", "a.test", "443", "a.test",
                 "/?u=https://b.test:1/%25eth0"},
         })
    {
        CAPTURE(r.text);
        if (r.host.empty())
        {
            CHECK_THROWS_AS((void)parse_https_url(r.text), std::runtime_error);
            continue;
        }
        auto const u = parse_https_url(r.text);
        CHECK(u.host == r.host);
        CHECK(u.port == r.port);
        CHECK(u.authority == r.authority);
        CHECK(u.target == r.target);
    }
}

TEST_CASE("an invalid URL, and a URL with parts that the client does not support, is refused with its text")
{
    using namespace std::string_literals;
    for (auto const& text : {""s,
                             "a.test"s,
                             "a.test:443"s,
                             "//a.test/"s,
                             "https:"s,
                             "https:/a.test"s,
                             "https:a.test"s,
                             "https://"s,
                             "https:///x"s,
                             "https://:443/"s,
                             "https://?x"s,
                             "http://a.test/"s,
                             "httpss://a.test/"s,
                             "ftp://a.test/"s,
                             " https://a.test/"s,
                             "https://a.test/ "s,
                             "https://a.test/a b"s,
                             "https://a.test/\r\nX: y"s,
                             "https://a.test/caf\xc3\xa9"s,
                             "https://caf\xc3\xa9.test/"s,
                             "https://caf%C3%A9.test/"s,
                             "https://a%00.test/"s,
                             "https://a%2Fb/"s,
                             "https://a%0D%0Ab/"s,
                             "https://a,b/"s,
                             "https://a.test/%zz"s,
                             "https://a.test/%4"s,
                             "https://user@a.test/"s,
                             "https://user:secret@a.test/"s,
                             "https://@a.test/"s,
                             "https://a.test:0/"s,
                             "https://a.test:65536/"s,
                             "https://a.test:99999999999/"s,
                             "https://a.test:x/"s,
                             "https://a.test:-1/"s,
                             "https://a.test:8443:1/"s,
                             "https://::1/"s,
                             "https://::1:8443/"s,
                             "https://[::1/"s,
                             "https://::1]/"s,
                             "https://[]/"s,
                             "https://[127.0.0.1]/"s,
                             "https://[a.test]/"s,
                             "https://[v1.x]/"s,
                             "https://[::1]x/"s,
                             "https://[fe80::1%]/"s,
                             "https://[fe80::1%e th]/"s,
                             "https://[%25eth0]/"s,
                             "https://[a.test%25eth0]/"s,
                             "https:\\\\a.test\\"s})
    {
        CAPTURE(text);
        std::string said;
        try
        {
            (void)parse_https_url(text);
        }
        catch (std::runtime_error const& e)
        {
            said = e.what();
        }
        CHECK(said.starts_with("'" + text + "': "));
    }
}

TEST_CASE("a request target is a path, alone or in a URL")
{
    CHECK(path_of("/") == "/");
    CHECK(path_of("/a/b?c=/d#") == std::nullopt); // no fragment in a request
    CHECK(path_of("/a/b?c=/d") == "/a/b");
    CHECK(path_of("/a%20b%2Fc") == "/a b/c");
    CHECK(path_of("/%2e%2e/x") == "/../x");
    CHECK(path_of("//a/b") == "//a/b");
    CHECK(path_of("https://a.test/x?y") == "/x");
    CHECK(path_of("HTTP://a.test:80/x") == "/x");
    CHECK(path_of("https://a.test") == "/");
    for (char const* target : {"", "*", "a.test:443", "x", "?x", "/%zz", "/a b", "https:x", "https://a.test/#f"})
    {
        CAPTURE(std::string{target});
        CHECK(path_of(target) == std::nullopt);
    }
}

TEST_CASE("a field Host is a host with an optional port")
{
    for (char const* host : {"a.test", "a.test:8443", "a.test:", "127.0.0.1", "[::1]", "[::1]:8443"})
        CHECK(is_authority(host));
    for (char const* host : {"user@a.test", "a b", "a/b", "a?b", ":443", "::1", "a.test:x", "a.test, b.test"})
    {
        CAPTURE(std::string{host});
        CHECK_FALSE(is_authority(host));
    }
}

TEST_CASE("a port is a number of 16 bits, and digits only")
{
    CHECK(parse_port("0") == 0);
    CHECK(parse_port("65535") == 65535);
    for (char const* port : {"", "-1", "+1", " 1", "1 ", "1x", "65536", "0x1", "99999999999999999999"})
        CHECK_FALSE(parse_port(port));
}

TEST_SUITE_END();
