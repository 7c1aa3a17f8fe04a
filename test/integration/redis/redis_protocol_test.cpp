// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/redis/protocol.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace reprise;
using namespace reprise::detail;
using kind = redis_reply::kind;

TEST_SUITE_BEGIN("redis protocol");

namespace {

std::vector<redis_reply> read(std::string_view text, std::size_t step, std::size_t max_bytes = 1000)
{
    reply_reader reader{max_bytes};
    std::vector<redis_reply> replies;
    for (std::size_t i = 0; i < text.size(); i += step)
    {
        reader.feed(as_bytes(text.substr(i, step)));
        while (auto reply = reader.next())
            replies.push_back(std::move(*reply));
    }
    return replies;
}

bool is_refused(std::string_view text, std::size_t max_bytes = 1000)
{
    for (std::size_t const step : {std::size_t{1}, text.size()})
    {
        try
        {
            (void)read(text, step, max_bytes);
            return false;
        }
        catch (system_error const& e)
        {
            if (e.code() != redis_errc::bad_answer)
                return false;
        }
    }
    return true;
}

std::string_view text_of(byte_view bytes)
{
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

redis_reply error_reply(std::string text)
{
    return {.type = kind::error, .text = std::move(text)};
}

} // namespace

TEST_CASE("a command is an array of binary words")
{
    using namespace std::string_view_literals;
    redis_command const command{"SET", "a\0b"sv, ""};
    CHECK(text_of(command.bytes()) == "*3\r\n$3\r\nSET\r\n$3\r\na\0b\r\n$0\r\n\r\n"sv);
}

TEST_CASE("replies are read in whatever pieces they come")
{
    using namespace std::string_view_literals;
    auto const text = "+OK\r\n$3\r\na\0b\r\n$0\r\n\r\n$-1\r\n:42\r\n-ERR no\r\n"sv;
    for (std::size_t step = 1; step <= text.size(); ++step)
    {
        auto const replies = read(text, step);
        REQUIRE(replies.size() == 6);
        CHECK(replies[0].type == kind::status);
        CHECK(replies[0].text == "OK");
        CHECK(replies[1].type == kind::bulk);
        CHECK(replies[1].value == secret_bytes{as_bytes("a\0b"sv)});
        CHECK(replies[2].type == kind::bulk);
        CHECK(replies[2].value.empty());
        CHECK(replies[3].type == kind::nil);
        CHECK(replies[4].type == kind::integer);
        CHECK(replies[4].number == 42);
        CHECK(replies[5].type == kind::error);
        CHECK(replies[5].text == "ERR no");
    }
}

TEST_CASE("what is no reply, or none that a command of ours has, is refused")
{
    CHECK(is_refused("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(is_refused("\x16\x03\x03"));
    CHECK(is_refused("$-7\r\n"));
    CHECK(is_refused("$x\r\n"));
    CHECK(is_refused(":12345678901234567890123\r\n"));
    CHECK(is_refused("*1\r\n+OK\r\n"));
    CHECK(is_refused("*1073741824\r\n"));
    CHECK(is_refused("*4611686018427387905\r\n"));
    CHECK(is_refused("%1\r\n"));
    CHECK(is_refused("#t\r\n"));
    CHECK(is_refused(",1.5\r\n"));
    CHECK(is_refused(">1\r\n+message\r\n"));
}

TEST_CASE("no more than the bound is kept of one reply")
{
    CHECK(is_refused("$9223372036854775806\r\n" + std::string(2000, 'x')));
    CHECK(is_refused("$2000\r\n" + std::string(2000, 'x')));
    CHECK(is_refused("+" + std::string(2000, 'x')));
    CHECK_FALSE(is_refused("$900\r\n" + std::string(900, 'x') + "\r\n"));
    std::string many;
    for (int i = 0; i < 100; ++i)
        many += "$900\r\n" + std::string(900, 'x') + "\r\n";
    CHECK(read(many, many.size()).size() == 100); // the bound is for each
}

TEST_CASE("each command accepts its own kinds of answers only")
{
    redis_reply const bulk{.type = kind::bulk};
    redis_reply const nil{};
    redis_reply const number{.type = kind::integer};
    redis_reply const ok{.type = kind::status, .text = "OK"};
    redis_reply const pong{.type = kind::status, .text = "PONG"};
    CHECK(answers(bulk, redis_answer::value));
    CHECK(answers(nil, redis_answer::value));
    CHECK_FALSE(answers(number, redis_answer::value));
    CHECK_FALSE(answers(ok, redis_answer::value));
    CHECK(answers(ok, redis_answer::stored));
    CHECK(answers(nil, redis_answer::stored));
    CHECK_FALSE(answers(pong, redis_answer::stored));
    CHECK_FALSE(answers(bulk, redis_answer::stored));
    CHECK(answers(number, redis_answer::number));
    CHECK_FALSE(answers(nil, redis_answer::number));
    CHECK(answers(pong, redis_answer::pong));
    CHECK_FALSE(answers(ok, redis_answer::pong));
}

TEST_CASE("an error is known by its first word")
{
    CHECK(error_of(error_reply("NOAUTH Authentication required.")) == redis_errc::password_missing);
    CHECK(error_of(error_reply("WRONGPASS invalid username-password pair")) == redis_errc::password_refused);
    CHECK(error_of(error_reply("NOPERM this user has no permissions")) == redis_errc::not_permitted);
    CHECK(error_of(error_reply("OOM command not allowed")) == redis_errc::server_out_of_memory);
    CHECK(error_of(error_reply("LOADING Redis is loading")) == redis_errc::server_loading);
    CHECK(error_of(error_reply("READONLY You can't write")) == redis_errc::server_read_only);
    CHECK(error_of(error_reply("MASTERDOWN Link with MASTER is down")) == redis_errc::server_read_only);
    CHECK(error_of(error_reply("MOVED 3999 127.0.0.1:6381")) == redis_errc::cluster_unsupported);
    CHECK(error_of(error_reply("CLUSTERDOWN Hash slot not served")) == redis_errc::cluster_unsupported);
    CHECK(error_of(error_reply("WRONGTYPE Operation against a key")) == redis_errc::foreign_key);
    CHECK(error_of(error_reply("MISCONF Redis is configured to save")) == redis_errc::server_not_saving);
    CHECK(error_of(error_reply("ERR unknown command 'GETDEL'")) == redis_errc::unknown_command);
    CHECK(error_of(error_reply("ERR syntax error")) == redis_errc::server_error);
    CHECK(error_of(error_reply("")) == redis_errc::server_error);
}

TEST_CASE("each error says what to do")
{
    for (int i = 1; i <= static_cast<int>(redis_errc::server_error); ++i)
    {
        auto const text = make_error_code(static_cast<redis_errc>(i)).message();
        CHECK(text != "unknown redis error");
        CHECK_FALSE(text.empty());
    }
}

TEST_SUITE_END();
