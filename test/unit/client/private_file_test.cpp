// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/archive/private_file.hpp"
#include "support/child.hpp"

#include <reprise/error.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <sys/stat.h>

using reprise::detail::private_file;
using reprise::detail::write_private_file;

TEST_SUITE_BEGIN("private file");

namespace {

struct fixture
{
    test::temporary_directory directory;
    std::string const path = directory / "file";

    void write(std::string_view text) const
    {
        write_private_file(path, {reinterpret_cast<unsigned char const*>(text.data()), text.size()});
    }

    [[nodiscard]] static std::string text_of(private_file const& file)
    {
        auto const bytes = file.read(1000);
        return {bytes.begin(), bytes.end()};
    }

    // Somebody waits for the lock of the file that has this name now: a line with an arrow (proc_locks(5)).
    [[nodiscard]] bool is_awaited() const
    {
        struct stat status{};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        auto const inode = ":" + std::to_string(status.st_ino) + " ";
        std::ifstream locks{"/proc/locks"};
        REQUIRE(locks);
        for (std::string line; std::getline(locks, line);)
            if (line.find("->") != std::string::npos && line.find(inode) != std::string::npos)
                return true;
        return false;
    }

    // What another thread gets of the file that it has to wait for, after `change`.
    template <class Change>
    std::optional<std::string> read_after(Change change)
    {
        std::optional<private_file> held{path};
        auto other = std::async(std::launch::async,
                                [this]() -> std::optional<std::string>
                                {
                                    try
                                    {
                                        return text_of(private_file{path});
                                    }
                                    catch (reprise::system_error const& e)
                                    {
                                        CHECK(e.code() == boost::system::errc::no_such_file_or_directory);
                                        return std::nullopt;
                                    }
                                });
        auto const end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
        while (!is_awaited() && std::chrono::steady_clock::now() < end)
            std::this_thread::yield();
        CHECK(is_awaited());
        change(*held);
        held.reset();
        return other.get();
    }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "whoever waits for a file gets what has come in its place")
{
    write("old");
    CHECK(read_after([](private_file const&) {}) == "old");
    CHECK(read_after([this](private_file const&) { write("new"); }) == "new");
}

TEST_CASE_FIXTURE(fixture, "whoever waits for a file that is removed gets none")
{
    write("old");
    CHECK(read_after([](private_file const& held) { held.remove(); }) == std::nullopt);
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE_FIXTURE(fixture, "another file that has come in its place is not removed")
{
    write("old");
    {
        private_file const opened{path};
        write("new");
        CHECK(text_of(opened) == "old");
        opened.remove();
    }
    CHECK(text_of(private_file{path}) == "new");
}

TEST_SUITE_END();
