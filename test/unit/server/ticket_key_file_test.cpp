// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_ring.hpp"

#include <reprise/error.hpp>
#include <reprise/ticket_key_file.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

using namespace reprise;
using format = ticket_key_file_format;

TEST_SUITE_BEGIN("ticket_key_file");

namespace {

std::string text_of(byte_view bytes)
{
    return {bytes.begin(), bytes.end()};
}

ticket_key_file fresh(std::size_t count, std::size_t size)
{
    ticket_key_file result{.format = count == 1 ? format::nginx : format::haproxy};
    for (std::size_t i = 0; i < count; ++i)
        result.keys.push_back(make_file_ticket_key(size));
    return result;
}

std::string written(ticket_key_file const& file)
{
    return text_of(write_ticket_key_file(file));
}

std::string lines(std::size_t count, std::size_t size = 80)
{
    return written(fresh(std::max<std::size_t>(count, 3), size)).substr(0, count * (size == 80 ? 109 : 65));
}

bool are_equal(ticket_key_set const& a, ticket_key_set const& b)
{
    return std::ranges::equal(a, b,
                              [](auto const& x, auto const& y) { return x.secret == y.secret && x.name == y.name; });
}

// Whether a file is read, and as what was written.
bool is_read_as(std::string const& contents, ticket_key_file const& expected)
{
    auto const file = parse_ticket_key_file(as_bytes(contents));
    return file.format == expected.format && are_equal(file.keys, expected.keys);
}

// What is said against these contents; empty if nothing.
std::string complaint(std::string const& contents)
{
    try
    {
        (void)parse_ticket_key_file(as_bytes(contents), "/etc/keys");
    }
    catch (system_error const& e)
    {
        CHECK(e.code() == errc::bad_ticket_key_file);
        return e.what();
    }
    return {};
}

bool is_refused(std::string const& contents, std::string_view why)
{
    auto const said = complaint(contents);
    CAPTURE(said);
    CHECK(said.starts_with("/etc/keys: "));
    return said.find(why) != std::string::npos;
}

std::string refusal_to_write(ticket_key_file const& file)
{
    try
    {
        (void)write_ticket_key_file(file);
    }
    catch (system_error const& e)
    {
        CHECK(e.code() == errc::bad_ticket_key_file);
        return e.what();
    }
    return {};
}

bool contains(std::string const& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a file of nginx is one key: a name of 16 bytes, and 32 or 64 that are secret")
{
    for (std::size_t const size : {48u, 80u})
    {
        std::string contents;
        for (std::size_t i = 0; i < size; ++i)
            contents += static_cast<char>(i + 160);
        auto const file = parse_ticket_key_file(as_bytes(contents));
        CHECK(file.format == format::nginx);
        REQUIRE(file.keys.size() == 1);
        CHECK(file.keys[0].name == "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
        CHECK(text_of(file.keys[0].secret) == contents.substr(16));
        CHECK(file.keys[0].not_before == time_point::min());
        CHECK(file.keys[0].issue_until == time_point::max());
        CHECK(file.keys[0].accept_until == time_point::max());
    }
}

TEST_CASE("a file of HAProxy is lines of base64, and its keys have their order")
{
    // 48 bytes each: 'A' to 'Z', 'a' to 'v', from another one on in each line
    auto const file =
        parse_ticket_key_file(as_bytes("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2\n"
                                       "QkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWmFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3\n"
                                       "Q0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4\n"));
    CHECK(file.format == format::haproxy);
    REQUIRE(file.keys.size() == 3);
    CHECK(file.keys[0].name == "4142434445464748494a4b4c4d4e4f50");
    CHECK(file.keys[1].name == "42434445464748494a4b4c4d4e4f5051");
    CHECK(file.keys[2].name == "434445464748494a4b4c4d4e4f505152");
    CHECK(text_of(file.keys[0].secret) == "QRSTUVWXYZabcdefghijklmnopqrstuv");
}

TEST_CASE("what is written is read again, of either size and format")
{
    for (std::size_t const size : {48u, 80u})
        for (std::size_t const count : {1u, 3u, 4u, 64u})
        {
            CAPTURE(size);
            CAPTURE(count);
            auto const file = fresh(count, size);
            auto const contents = written(file);
            CHECK(is_read_as(contents, file));
            CHECK(written(parse_ticket_key_file(as_bytes(contents))) == contents);
            CHECK_NOTHROW(detail::check_set(file.keys));
        }
}

TEST_CASE("lines end as on Unix or as on Windows, and the last one may have no end")
{
    for (std::size_t const size : {48u, 80u})
    {
        auto const file = fresh(4, size);
        auto const contents = written(file);
        CHECK(is_read_as(contents.substr(0, contents.size() - 1), file));
        std::string windows;
        for (char const c : contents)
            windows += c == '\n' ? std::string{"\r\n"} : std::string{c};
        CHECK(is_read_as(windows, file));
        CHECK(is_read_as(windows.substr(0, windows.size() - 1), file)); // \r alone
        CHECK(is_read_as(windows.substr(0, windows.size() - 2), file));
    }
}

TEST_CASE("of a file that has grown line by line, the newest keys are kept")
{
    auto const first = fresh(64, 48);
    auto const more = fresh(7, 48);
    auto all = first.keys;
    all.insert(all.end(), more.keys.begin(), more.keys.end());
    ticket_key_file const expected{.format = format::haproxy, .keys{all.begin() + 7, all.end()}};
    CHECK(is_read_as(written(first) + written(more), expected));
    CHECK(is_refused("x" + written(first).substr(1) + written(more).replace(0, 1, "="), "line 65"));
}

TEST_CASE("a file that is empty or of a wrong size is refused, and it is said what to do")
{
    CHECK(is_refused("", "the file is empty"));
    CHECK(is_refused("", "openssl rand 80"));
    for (std::size_t const size : {1u, 16u, 32u, 47u, 49u, 64u, 79u, 81u, 96u, 4096u})
    {
        CAPTURE(size);
        CHECK(is_refused(std::string(size, '\xee'), std::to_string(size) + " bytes, not 48 or 80"));
    }
    for (std::size_t const size : {48u, 80u})
        CHECK(is_refused(std::string(size, '\xee') + '\n', "remove the newline"));
    CHECK(is_refused(std::string(max_ticket_key_file_size + 1, 'A'), "more than 65536 bytes"));
    CHECK(is_refused(std::string(max_ticket_key_file_size, 'A'), "line 1 holds 49152 bytes"));
}

TEST_CASE("a line that is not a key in base64 is refused, and named")
{
    auto const good = lines(3);
    auto const with = [&](std::string const& line)
    {
        auto result = good;
        return result.replace(109, 108, line);
    };
    auto const line = good.substr(109, 108);
    CHECK(complaint(with(line)).empty());
    CHECK(complaint(with(line + "\r")).empty());
    CHECK(is_refused(with(""), "line 2 is empty"));
    CHECK(is_refused(good + '\n', "line 4 is empty"));
    CHECK(is_refused('\n' + good, "line 1 is empty"));
    CHECK(is_refused(with("\r"), "line 2 is empty"));

    constexpr auto not_base64 = "line 2 is not base64";
    CHECK(is_refused(with(' ' + line), not_base64));
    CHECK(is_refused(with(line + ' '), not_base64));
    CHECK(is_refused(with("    " + line), not_base64));
    CHECK(is_refused(with(line + "    "), not_base64));
    CHECK(is_refused(with("# a comment."), not_base64));
    CHECK(is_refused(with(line.substr(0, 107)), not_base64));
    CHECK(is_refused(with(line + "\r\r"), not_base64));
    CHECK(is_refused(with("===="), not_base64));
    CHECK(is_refused(with("A==="), not_base64));
    auto const at = [&](std::size_t position, char c)
    {
        auto result = line;
        result[position] = c;
        return with(result);
    };
    for (char const c : {'-', '_', '=', ' ', '!', '\t', '\r'})
        for (std::size_t const position : {0u, 1u, 50u, 105u})
            CHECK(is_refused(at(position, c), not_base64));
    // 80 bytes fill the last group but for two bits: of four characters there one is right
    int accepted = 0;
    for (char const c : {'A', 'B', 'C', 'D'})
        accepted += complaint(at(106, c)).empty() ? 1 : 0;
    CHECK(accepted == 1);
}

TEST_CASE("a line that holds no key's size, or not that of the first, is refused, and named")
{
    CHECK(is_refused("QUJDRA==\n" + lines(3), "line 1 holds 4 bytes, not 48 or 80"));
    CHECK(is_refused(lines(2) + "QUJD\n" + lines(1), "line 3 holds 3 bytes"));
    CHECK(is_refused(lines(2) + lines(1, 48), "line 3 holds 48 bytes, and line 1 80"));
    CHECK(is_refused(lines(1, 48) + lines(2), "line 2 holds 80 bytes, and line 1 48"));
    // what openssl rand -base64 80 makes: lines of 64 characters
    auto const folded = lines(1);
    CHECK(
        is_refused(folded.substr(0, 64) + '\n' + folded.substr(64), "line 2 holds 32 bytes, not 48 or 80, all on one"));
    CHECK(is_refused("0123456789abcdef0123456789abcdef\n", "line 1 holds 24 bytes"));
}

TEST_CASE("fewer than three lines are refused, and it is said what nginx would want")
{
    CHECK(is_refused(lines(1), "1 line, but HAProxy needs at least 3"));
    CHECK(is_refused(lines(2), "2 lines, but HAProxy needs at least 3"));
    CHECK(is_refused(lines(2, 48), "'openssl rand 80'"));
    CHECK(complaint(lines(3)).empty());
}

TEST_CASE("an error says nothing of what is in the file")
{
    auto const good = lines(3);
    for (auto const& bad : {good.substr(0, 218), good + "\n", ' ' + good, good.substr(0, 300)})
    {
        auto const said = complaint(bad);
        CHECK_FALSE(said.empty());
        for (std::size_t i = 0; i + 8 <= 108; i += 4)
            CHECK_FALSE(contains(said, good.substr(i, 8)));
    }
}

TEST_CASE("what could not be read again is not written")
{
    auto const haproxy = [](ticket_key_set keys)
    { return ticket_key_file{.format = format::haproxy, .keys = std::move(keys)}; };
    auto const keys = fresh(3, 80).keys;
    CHECK(contains(refusal_to_write({}), "0 keys, but nginx has one in a file"));
    CHECK(contains(refusal_to_write({.keys = keys}), "3 keys, but nginx"));
    CHECK(contains(refusal_to_write(haproxy({keys[0], keys[1]})), "2 keys, not 3 to 64"));
    CHECK(contains(refusal_to_write(haproxy(ticket_key_set(65, keys[0]))), "65 keys, not 3 to 64"));
    CHECK(contains(refusal_to_write(haproxy({keys[0], make_file_ticket_key(48), keys[1]})),
                   "size differs from the first key's"));

    auto other = keys[0];
    for (auto const& name :
         {std::string{"monday"}, std::string(32, 'g'), std::string(32, 'A'), std::string(34, 'a'), std::string{}})
    {
        other.name = name;
        CHECK(contains(refusal_to_write({.keys = {other}}), "key '" + name + "': its name is not 16 bytes"));
    }
    for (std::size_t const size : {0u, 16u, 31u, 33u, 63u, 65u, 256u})
    {
        other.secret = locked_bytes{size};
        CHECK(contains(refusal_to_write({.keys = {other}}), std::to_string(size) + " bytes of secret"));
        CHECK_FALSE(refusal_to_write(haproxy({other, other, other})).empty());
    }
}

TEST_CASE("fresh keys differ, name and secret, and other sizes than 48 and 80 are refused")
{
    for (std::size_t const size : {48u, 80u})
    {
        auto const first = make_file_ticket_key(size);
        auto const second = make_file_ticket_key(size);
        CHECK(first.secret.size() == size - 16);
        CHECK(first.name.size() == 32);
        CHECK(first.name != second.name);
        CHECK_FALSE(first.secret == second.secret);
    }
    for (std::size_t const size : {0u, 16u, 32u, 47u, 64u, 81u, 4096u, 1u << 20})
        CHECK_THROWS_AS((void)make_file_ticket_key(size), system_error);
}

TEST_CASE("whatever is in a file, it is read as keys of two sizes, or refused")
{
    std::mt19937 random{1};
    auto const below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random); };
    constexpr std::string_view alphabet = "ABab09+/=\n\r \0\xff-";
    auto const good = std::vector{lines(3), lines(5, 48), written(fresh(1, 80))};
    int read = 0;
    for (int round = 0; round < 20000; ++round)
    {
        std::string contents;
        if (round % 2 == 0)
        {
            contents = good[below(good.size())];
            for (auto edits = 1 + below(3); edits > 0 && !contents.empty(); --edits)
                switch (below(3))
                {
                case 0:
                    contents.insert(below(contents.size() + 1), 1 + below(2), alphabet[below(alphabet.size())]);
                    break;
                case 1: contents.erase(below(contents.size()), 1 + below(200)); break;
                default: contents[below(contents.size())] = alphabet[below(alphabet.size())];
                }
        }
        else
            for (auto size = below(120); size > 0; --size)
                contents += round % 4 == 1 ? static_cast<char>(below(256)) : alphabet[below(alphabet.size() - 4)];
        if (contents.empty())
            continue;
        try
        {
            auto const file = parse_ticket_key_file(as_bytes(contents));
            CHECK(is_read_as(written(file), file));
            ++read;
        }
        catch (system_error const& e)
        {
            CHECK(e.code() == errc::bad_ticket_key_file);
        }
    }
    CHECK(read > 100);
}

TEST_SUITE_END();
