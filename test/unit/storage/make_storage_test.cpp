// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/child.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/make_storage.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <doctest/doctest.h>

using namespace reprise;

TEST_SUITE_BEGIN("make_storage");

namespace {

std::string refusal_of(std::string const& line)
{
    try
    {
        (void)make_storage(line);
    }
    catch (system_error const& e)
    {
        CHECK(e.code() == errc::bad_option);
        return e.what();
    }
    return {};
}

} // namespace

TEST_CASE("a line names a storage")
{
    CHECK(dynamic_cast<memory_storage*>(make_storage("memory").get()) != nullptr);
#ifdef REPRISE_HAS_LMDB
    test::temporary_directory const directory;
    CHECK(make_storage("lmdb:" + (directory / "sessions"))->stats().entries == 0);
#endif
#ifdef REPRISE_HAS_REDIS
    // Nobody listens there, and making it does not wait for anybody.
    for (auto const* const line :
         {"redis://127.0.0.1:1", "redis:redis://127.0.0.1:1/2", "redis:unix:///nowhere/redis", "unix:///nowhere/redis"})
        CHECK(make_storage(line) != nullptr);
#endif
}

TEST_CASE("a line that names none is refused, without repeating what may be a password")
{
    for (auto const* const line : {"", "memory:", "memory2", "lmdb", "lmdb:", "redis", "redis:", "tape:secret"})
    {
        CAPTURE(line);
        CHECK(refusal_of(line).find("memory, lmdb:PATH or redis:URL") != std::string::npos);
        CHECK(refusal_of(line).find("secret") == std::string::npos);
    }
#ifdef REPRISE_HAS_REDIS
    CHECK(refusal_of("redis://user:secret@:bad").find("secret") == std::string::npos);
#endif
}

TEST_SUITE_END();
