// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/locked_bytes.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using reprise::locked_bytes;

TEST_SUITE_BEGIN("locked_bytes");

namespace {

// The flags of the pages around an address: proc_pid_smaps(5).
std::string flags_of(void const* address)
{
    auto const at = reinterpret_cast<std::uintptr_t>(address);
    std::ifstream smaps{"/proc/self/smaps"};
    bool is_there = false;
    for (std::string line; std::getline(smaps, line);)
    {
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char dash = 0;
        if (std::istringstream range{line}; range >> std::hex >> begin >> dash >> end && dash == '-')
            is_there = begin <= at && at < end;
        if (is_there && line.starts_with("VmFlags:"))
            return line + ' ';
    }
    return {};
}

locked_bytes filled(std::size_t size, unsigned char value)
{
    locked_bytes bytes{size};
    std::fill_n(bytes.data(), size, value);
    return bytes;
}

} // namespace

TEST_CASE("keys live in memory that is locked and not dumped")
{
    auto const key = filled(32, 7);
    auto const flags = flags_of(key.view().data());
    CHECK(flags.find(" dd ") != std::string::npos);
#if !defined(__SANITIZE_ADDRESS__) &&                                                                                  \
    !defined(__SANITIZE_THREAD__) // under these, mlock does nothing and says that it did
    bool const is_locked = flags.find(" lo ") != std::string::npos;
    CHECK(is_locked == locked_bytes::all_locked()); // RLIMIT_MEMLOCK may forbid it, and then it says so
#endif
}

TEST_CASE("keys are wiped when they go")
{
    unsigned char const* at = nullptr;
    {
        auto const key = filled(64, 7);
        at = key.view().data();
        CHECK(std::all_of(at, at + 64, [](unsigned char c) { return c == 7; }));
    }
    CHECK(std::all_of(at, at + 64, [](unsigned char c) { return c == 0; })); // the pages stay
}

TEST_CASE("each key has memory of its own, also when there are more than fit into one region")
{
    std::vector<locked_bytes> keys;
    std::set<unsigned char const*> lines;
    for (int i = 0; i < 1000; ++i)
    {
        keys.push_back(filled(1 + static_cast<std::size_t>(i) % 130, static_cast<unsigned char>(i)));
        for (std::size_t line = 0; line < keys.back().size(); line += 64)
            CHECK(lines.insert(keys.back().view().data() + line).second);
    }
    for (int i = 0; i < 1000; ++i)
        for (auto const byte : keys[static_cast<std::size_t>(i)].view())
            REQUIRE(byte == static_cast<unsigned char>(i));
}

TEST_CASE("copies are equal and separate, what was moved from is empty")
{
    auto one = filled(48, 1);
    auto copy = one;
    CHECK(copy == one);
    CHECK(copy.view().data() != one.view().data());
    copy.data()[47] = 2;
    CHECK_FALSE(copy == one);
    auto const moved = std::move(one);
    CHECK(one.empty()); // NOLINT(bugprone-use-after-move)
    CHECK(moved == filled(48, 1));
    CHECK(locked_bytes{} == locked_bytes{std::size_t{0}});
    CHECK_FALSE(moved == filled(47, 1));
    CHECK_THROWS_AS(locked_bytes{locked_bytes::max_size + 1}, std::bad_alloc);
    CHECK(filled(locked_bytes::max_size, 3).size() == locked_bytes::max_size);
}

TEST_SUITE_END();
