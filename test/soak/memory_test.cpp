// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <fstream>

#include <unistd.h>

using namespace test;

TEST_SUITE_BEGIN("soak");

namespace {

// Bytes of this process that are in memory: resident set size, proc(5).
std::size_t resident()
{
    std::size_t total = 0;
    std::size_t pages = 0;
    std::ifstream{"/proc/self/statm"} >> total >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

asio::awaitable<void> visit_many(world& w, client_side& stream, int count)
{
    for (int i = 0; i < count; ++i)
        (void)co_await w.visit(stream);
    w.srv.handshakes.clear(); // the harness remembers them all
}

// Reconnect so often, on both ends; returns by how much the process has grown since the first tenth.
std::size_t growth_of(kind const& k, int count)
{
    world w{{.of = k}};
    auto stream = w.stream();
    std::size_t before = 0;
    run(
        w.io,
        [&]() -> asio::awaitable<void>
        {
            for (int i = 0; i < 10; ++i)
            {
                co_await visit_many(w, stream, count / 10);
                if (i == 0)
                    before = resident();
            }
        }(),
        600s);
    CHECK(w.cache.stats().resumed == static_cast<std::uint64_t>(count) - 1);
    CHECK(w.store->size() <= 2);
    auto const after = resident();
    return after > before ? after - before : 0;
}

} // namespace

TEST_CASE("memory stays flat over 100 000 reconnects")
{
    constexpr std::size_t nothing = 512u << 10; // what an allocator may still take: 20 bytes for each reconnect
    CHECK(growth_of(kinds[0], 25'000) < nothing);
    CHECK(growth_of(kinds[1], 25'000) < nothing);
    CHECK(growth_of(kinds[2], 25'000) < nothing);
    CHECK(growth_of(kinds[3], 25'000) < nothing);
}

TEST_SUITE_END();
