// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/https_examples.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace test;

TEST_SUITE_BEGIN("client store");

namespace {

struct visit_result
{
    int status = 0;
    std::string output;
};

// One process of the client, which connects once unless told otherwise.
visit_result visit(credentials const& c, example_server const& srv, kind const& k, std::vector<std::string> const& more)
{
    std::vector<std::string> words{example("https_client"), "https://localhost:" + srv.port, "--tls", version_of(k)};
    if (std::ranges::find(more, "--ca") == more.end())
        words.insert(words.end(), {"--ca", c.ca});
    if (!k.tickets && k.version == TLS1_2_VERSION)
        words.emplace_back("--no-tickets");
    if (std::ranges::find(more, "--repeat") == more.end())
        words.insert(words.end(), {"--repeat", "1"});
    words.insert(words.end(), more.begin(), more.end());
    child process{words};
    visit_result result;
    result.status = process.wait();
    result.output = process.output();
    return result;
}

std::string resumed_line(kind const& k)
{
    return "resumed  " + std::string{to_string(k.on_client)};
}

// What the server has counted, at its end.
std::string summary(example_server& srv)
{
    srv.process.signal(SIGTERM);
    CHECK(srv.process.wait() == 0);
    return srv.process.output();
}

} // namespace

TEST_CASE("sessions on disk are there for the next process, every kind")
{
    credentials const c;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        temporary_directory const here;
        example_server srv{c, k};
        for (bool const resumes : {false, true, true})
        {
            auto const r = visit(c, srv, k, {"--store", "lmdb:" + (here / "store")});
            CAPTURE(r.output);
            CHECK(r.status == 0);
            CHECK(contains(r.output, resumes ? resumed_line(k) : "full     nothing-stored"));
        }
        CHECK(std::filesystem::status(here / "store.key").permissions() == std::filesystem::perms{0600});
        auto const other = visit(c, srv, k, {"--store", "lmdb:" + (here / "store"), "--store-key", here / "other.key"});
        CHECK(contains(other.output, "full     nothing-stored"));
        auto const counted = summary(srv);
        CAPTURE(counted);
        CHECK(contains(counted, "resumed 2"));
    }
}

TEST_CASE("sessions move to the next process in a file, every kind")
{
    credentials const c;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        temporary_directory const here;
        auto const file = here / "sessions";
        example_server srv{c, k};
        auto const first = visit(c, srv, k, {"--export", file});
        CHECK(contains(first.output, "exported 1 sessions"));
        auto const second = visit(c, srv, k, {"--import", file, "--export", file});
        CAPTURE(second.output);
        CHECK(contains(second.output, "imported 1 sessions, skipped 0"));
        CHECK(contains(second.output, resumed_line(k)));

        // Somebody has changed a byte of the session.
        {
            std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
            bytes.seekp(200);
            auto const byte = static_cast<char>(bytes.peek() ^ 1);
            bytes.seekp(200);
            bytes.put(byte);
        }
        auto const third = visit(c, srv, k, {"--import", file});
        CHECK(third.status == 0);
        CHECK(contains(third.output, "imported 0 sessions, skipped 1"));
        CHECK(contains(third.output, "record-corrupt"));
        CHECK(contains(third.output, "full     nothing-stored"));
        CHECK(contains(summary(srv), "resumed 1"));
    }
}

TEST_CASE("the next process does not resume under a policy that would not have let the session in")
{
    credentials const c;
    auto const& k = kinds[2];
    temporary_directory const here;
    auto const store = "lmdb:" + (here / "store");
    example_server srv{c, k};
    CHECK(visit(c, srv, k, {"--store", store}).status == 0);
    // It trusts one more authority: another policy.
    reprise::testing::certificate_authority const more{"one more"};
    auto const both = here.write("both.pem", authority().pem() + more.pem());
    auto const r = visit(c, srv, k, {"--store", store, "--ca", both});
    CAPTURE(r.output);
    CHECK(contains(r.output, "full     nothing-stored"));
    CHECK(contains(visit(c, srv, k, {"--store", store}).output, resumed_line(k)));
}

TEST_CASE("sessions of mutual TLS do not leave the process")
{
    credentials const c;
    auto const me = authority().issue({"me"});
    auto const certificate = c.directory.write("me.pem", me.certificate);
    auto const key = c.directory.write("me.key", me.key);
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        temporary_directory const here;
        example_server srv{c, k, {"--client-ca", c.ca}};
        std::vector<std::string> const options{"--store", "lmdb:" + (here / "store"), "--cert", certificate, "--key",
                                               key};
        auto twice = options;
        twice.insert(twice.end(), {"--repeat", "2"});
        auto const first = visit(c, srv, k, twice);
        CAPTURE(first.output);
        CHECK(first.status == 0);
        CHECK(contains(first.output, resumed_line(k))); // within it they work
        CHECK(contains(visit(c, srv, k, options).output, "full     nothing-stored"));
        twice.insert(twice.end(), {"--export", here / "file"});
        CHECK(contains(visit(c, srv, k, twice).output, "exported 0 sessions"));
    }
}

TEST_CASE("--explain says before each connection what it would offer")
{
    credentials const c;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        example_server srv{c, k};
        auto const r = visit(c, srv, k, {"--explain", "--repeat", "2"});
        CAPTURE(r.output);
        CHECK(contains(r.output, "full handshake: nothing-stored"));
        CHECK(contains(r.output, "is offered; the server decides"));
        CHECK(contains(r.output, resumed_line(k)));
    }
}

TEST_CASE("wrong options are named, and end the start")
{
    credentials const c;
    auto const& k = kinds[2];
    temporary_directory const here;
    example_server srv{c, k};
    auto const public_key = here.write("public.key", std::string(32, 'x'));
    auto const short_key = here.write("short.key", "x");
    std::filesystem::permissions(public_key, std::filesystem::perms{0644});
    std::filesystem::permissions(short_key, std::filesystem::perms{0600});
    auto const foreign = here.write("foreign", "what is this");
    std::filesystem::permissions(foreign, std::filesystem::perms{0600});
    struct row
    {
        std::vector<std::string> options;
        char const* says;
    };
    for (auto const& r : {row{{"--store", "nonsense"}, "--store"}, row{{"--store", "redis://127.0.0.1"}, "--store-key"},
                          row{{"--store", "lmdb:" + (here / "none/store")}, "--store"},
                          row{{"--store", "lmdb:" + (here / "store"), "--store-key", public_key}, "chmod 600"},
                          row{{"--store", "lmdb:" + (here / "store"), "--store-key", short_key}, "32 bytes"},
                          row{{"--import", here / "none"}, "none.key"}, row{{"--cert", c.certificate}, "--key"},
                          row{{"--export", here / "none/file", "--store-key", here / "new.key"}, "--export"}})
    {
        auto const result = visit(c, srv, k, r.options);
        CAPTURE(result.output);
        CHECK(result.status != 0);
        CHECK(contains(result.output, r.says));
    }
}

TEST_SUITE_END();
