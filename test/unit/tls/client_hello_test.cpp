// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/client_hello.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace reprise;
using namespace std::string_literals;

TEST_SUITE_BEGIN("client_hello");

namespace {

std::string be(std::size_t value, std::size_t width)
{
    std::string out;
    while (width-- > 0)
        out += static_cast<char>(value >> (8 * width));
    return out;
}

std::string prefixed(std::string const& body, std::size_t width)
{
    return be(body.size(), width) + body;
}

std::string psk(std::string const& identity)
{
    return prefixed(identity, 2) + be(0x01020304, 4);
}

// A label of so many letters, and what follows.
std::string label_and(std::size_t size, std::string_view rest)
{
    std::string text(size, 'a');
    text += rest;
    return text;
}

} // namespace

TEST_CASE("server_name: the first host name, if it is one")
{
    auto const name = [](std::string const& host, char type = 0) { return type + prefixed(host, 2); };
    auto const read = [](std::string const& extension) { return read_server_name(as_bytes(extension)); };
    CHECK(read(prefixed(name("shop.example"), 2)) == "shop.example");
    CHECK(read(prefixed(name("a.test") + name("b.test"), 2)) == "a.test");
    CHECK(read(prefixed(name("a.test", 1), 2)) == "");
    CHECK(read(prefixed(name("a.test\0.evil"s), 2)) == "");
    CHECK(read(prefixed("", 2)) == "");
    CHECK(read("") == "");

    // Equal hosts are equal names.
    CHECK(read(prefixed(name("Shop.EXAMPLE"), 2)) == "shop.example");
    CHECK(read(prefixed(name("shop.example."), 2)) == "shop.example");
    CHECK(read(prefixed(name("xn--bcher-kva.example"), 2)) == "xn--bcher-kva.example");
    CHECK(read(prefixed(name("_sip.1.example"), 2)) == "_sip.1.example");
    CHECK(read(prefixed(name("localhost"), 2)) == "localhost");
    CHECK(read(prefixed(name(label_and(63, ".example")), 2)) == label_and(63, ".example"));

    // What is no name is none.
    for (std::string const bad : {"", ".", "..", "shop.example..", ".example", "shop..example", "*.example",
                                  "shop example", "shop/example", "127.0.0.1", "::1", "[::1]",
                                  "b\xc3\xbc"
                                  "cher.example",
                                  "shop.example:443", "1"})
    {
        CAPTURE(bad);
        CHECK(read(prefixed(name(bad), 2)) == "");
    }
    CHECK(read(prefixed(name(label_and(64, ".example")), 2)) == "");
    std::string longest;
    for (int i = 0; i < 4; ++i)
        longest += label_and(62, ".");
    CHECK(read(prefixed(name(longest + "a"), 2)) == longest + "a"); // 253
    CHECK(read(prefixed(name(longest + "aa"), 2)) == "");

    auto const whole = prefixed(name("shop.example"), 2);
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(read(whole.substr(0, size)) == "");
}

TEST_CASE("supported_versions: TLS 1.3 anywhere in the list")
{
    auto const read = [](std::string const& extension) { return read_offers_tls13(as_bytes(extension)); };
    CHECK(read(prefixed("\x03\x04", 1)));
    CHECK(read(prefixed("\x7a\x7a\x03\x04\x03\x03", 1)));
    CHECK_FALSE(read(prefixed("\x03\x03", 1)));
    CHECK_FALSE(read(prefixed("\x04\x03", 1)));
    CHECK_FALSE(read(prefixed("\x03", 1)));
    CHECK_FALSE(read("\x04\x03\x04")); // its length says four
    CHECK_FALSE(read(""));
}

TEST_CASE("pre_shared_key: the first identities, and no more of them than are wanted")
{
    using names = std::vector<std::string>;
    auto const read = [](std::string const& extension) { return read_psk_identities(as_bytes(extension)); };
    auto const binders = prefixed(prefixed(std::string(32, 'b'), 1), 2);
    CHECK(read(prefixed(psk("one"), 2) + binders) == names{"one"});
    CHECK(read(prefixed(psk("one") + psk("two"), 2) + binders) == names{"one", "two"});
    CHECK(read(prefixed(psk("1") + psk("2") + psk("3") + psk("4"), 2) + binders).size() ==
          client_hello::max_identities);
    CHECK(read("").empty());

    auto const list = psk("one") + psk("two");
    for (std::size_t size = 0; size < list.size(); ++size)
    {
        CAPTURE(size);
        CHECK(read(prefixed(list.substr(0, size), 2)).size() == (size >= psk("one").size() ? 1 : 0));
        CHECK(read(be(list.size(), 2) + list.substr(0, size)).empty());
    }
}

TEST_CASE("pre_shared_key: the first binder, which is as long as a hash")
{
    auto const read = [](std::string const& extension) { return read_first_binder(as_bytes(extension)); };
    auto const identities = prefixed(psk("one") + psk("two"), 2);
    std::string const first(32, 'a');
    std::string const second(48, 'b');
    CHECK(read(identities + prefixed(prefixed(first, 1) + prefixed(second, 1), 2)) == first);
    CHECK(read(identities + prefixed(prefixed(second, 1) + prefixed(first, 1), 2)) == second);
    CHECK(read(identities + prefixed(prefixed(std::string(31, 'a'), 1), 2)) == "");
    CHECK(read(identities) == "");
    CHECK(read("") == "");

    auto const whole = identities + prefixed(prefixed(first, 1), 2);
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK(read(whole.substr(0, size)) == "");
}

TEST_SUITE_END();
