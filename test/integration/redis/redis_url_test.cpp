// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/redis_storage.hpp>

#include <doctest/doctest.h>

using namespace reprise;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("redis URL");

namespace {

std::string refusal(std::string_view url)
{
    try
    {
        (void)parse_redis_url(url);
    }
    catch (system_error const& e)
    {
        CHECK(e.code() == errc::bad_option);
        return e.what();
    }
    return {};
}

bool names(std::string const& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a URL has host, port, database, user and password")
{
    auto const plain = parse_redis_url("redis://cache.test");
    CHECK(plain.host == "cache.test");
    CHECK(plain.port == 6379);
    CHECK(plain.database == 0);
    CHECK(plain.user.empty());
    CHECK(plain.password.empty());
    CHECK_FALSE(plain.tls);

    auto const all = parse_redis_url("redis://us%65r:p%40ss%2Fw%3Aord:x@cache.test:6380/7");
    CHECK(all.host == "cache.test");
    CHECK(all.port == 6380);
    CHECK(all.database == 7);
    CHECK(all.user == "user");
    CHECK(all.password == secret_bytes{as_bytes("p@ss/w:ord:x")});

    auto const by_default_user = parse_redis_url("redis://:secret@[::1]:6380/");
    CHECK(by_default_user.user.empty());
    CHECK(by_default_user.password == secret_bytes{as_bytes("secret")});
    CHECK(by_default_user.host == "::1");
    CHECK(by_default_user.port == 6380);
    CHECK(parse_redis_url("redis://[::1]").host == "::1");
}

TEST_CASE("a URL may be that of a unix socket, or ask for TLS")
{
    auto const socket = parse_redis_url("unix:///run/redis/a%20b.sock?db=2");
    CHECK(socket.socket_path == "/run/redis/a b.sock");
    CHECK(socket.database == 2);
    CHECK(parse_redis_url("redis+unix://user:secret@/run/redis.sock").user == "user");

    auto const tls = parse_redis_url("rediss://cache.test");
    CHECK(tls.tls != nullptr);
    CHECK(tls.host == "cache.test");
}

TEST_CASE("the query sets options")
{
    auto const o = parse_redis_url("redis://cache.test/1?prefix=shop%3a&connections=2&timeout=75");
    CHECK(o.key_prefix == "shop:");
    CHECK(o.connections == 2);
    CHECK(o.request_timeout == 75ms);
    CHECK(o.database == 1);
}

TEST_CASE("what is wrong in a URL is named")
{
    CHECK(names(refusal("cache.test:6379"), "scheme"));
    CHECK(names(refusal("http://cache.test"), "scheme"));
    CHECK(names(refusal("redis://"), "host"));
    CHECK(names(refusal("redis://:6379"), "host"));
    CHECK(names(refusal("redis://[::1"), "host"));
    CHECK(names(refusal("redis://[::1]x"), "host"));
    CHECK(names(refusal("redis://cache.test:"), "port"));
    CHECK(names(refusal("redis://cache.test:0"), "port"));
    CHECK(names(refusal("redis://cache.test:65536"), "port"));
    CHECK(names(refusal("redis://cache.test:80x"), "port"));
    CHECK(names(refusal("redis://cache.test/x"), "database"));
    CHECK(names(refusal("redis://cache.test/-1"), "database"));
    CHECK(names(refusal("redis://cache.test/?db="), "database"));
    CHECK(names(refusal("redis://cache.test/%"), "database"));
    CHECK(names(refusal("redis://user@cache.test"), "password"));
    CHECK(names(refusal("redis://user:@cache.test"), "password"));
    CHECK(names(refusal("redis://:a%4@cache.test"), "password"));
    CHECK(names(refusal("redis://:a%+4@cache.test"), "password"));
    CHECK(names(refusal("unix://run/redis.sock"), "path"));
    CHECK(names(refusal("redis://cache.test/?colour=red"), "query"));
    CHECK(names(refusal("redis://cache.test/?db"), "query"));
    CHECK(names(refusal("redis://cache.test/?connections=17"), "connections"));
    CHECK(names(refusal("redis://cache.test/?timeout=0"), "timeout"));
    CHECK(names(refusal("redis://cache.test/?ca=/x"), "ca"));
    CHECK(names(refusal("rediss://cache.test/?ca=/does/not/exist"), "/does/not/exist"));
}

TEST_CASE("the password is in no message")
{
    for (auto const* url :
         {"redis://user:hunter2@", "redis://user:hunter2@cache.test:x", "redis://user:hunter2%@cache.test",
          "http://user:hunter2@cache.test", "redis://user:hunter2@cache.test/x", "redis://user:hunter2@cache.test/?x=1",
          "unix://user:hunter2@run", "redis://user:1?hunter2=@cache.test"})
    {
        auto const text = refusal(url);
        CHECK_FALSE(text.empty());
        CHECK_FALSE(names(text, "hunter2"));
    }
}

TEST_SUITE_END();
