// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// The options of https_server that say where ticket keys come from, and tickets across a change of keys.

#include "support/child.hpp"
#include "support/harness.hpp"
#include "support/peers/https_examples.hpp"

#include <openssl/rand.h>

#include <array>
#include <csignal>
#include <filesystem>

using namespace test;

TEST_SUITE_BEGIN("ticket options");

TEST_CASE("the server says what is wrong with where its ticket keys come from, and does not start")
{
    temporary_directory const directory;
    std::string random32; // as good as random to whoever looks at them
    for (int i = 0; i < 32; ++i)
        random32 += static_cast<char>(i * 37 + 11);
    auto const secret = [&](std::string const& name, std::string const& bytes, std::filesystem::perms mode)
    {
        auto path = directory.write(name, bytes);
        std::filesystem::permissions(path, mode);
        return path;
    };
    using std::filesystem::perms;
    auto const owner_only = perms::owner_read | perms::owner_write;

    auto const refused = [](std::vector<std::string> const& arguments, std::vector<std::string> const& naming)
    {
        std::vector<std::string> words{example("https_server"), "--listen", "127.0.0.1:0"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        child server{words};
        CHECK(server.wait() == 1);
        for (auto const& part : naming)
        {
            CAPTURE(part);
            CAPTURE(server.output());
            CHECK(contains(server.output(), part));
        }
        CHECK_FALSE(contains(server.output(), "listening"));
    };
    std::string const url = "redis:redis://127.0.0.1:1";
    refused({"--ticket-keys", "carved"}, {"--ticket-keys: expected rotating, files:"});
    refused({"--ticket-keys", "files:"}, {"--ticket-keys: ", "paths"});
    refused({"--ticket-keys", "files:/nonexistent/key"}, {"--ticket-keys: ", "/nonexistent/key"});
    refused({"--ticket-keys", "files:" + directory.write("garbage", "garbage")}, {"--ticket-keys: ", "garbage"});
    refused({"--ticket-keys", "files:x", "--ticket-rotate", "60"}, {"--ticket-rotate: "});
    refused({"--tickets", "off", "--ticket-keys", "rotating"}, {"--ticket-keys", "--tickets on"});
    refused({"--tickets", "off", "--ticket-rotate", "60"}, {"--ticket-rotate", "--tickets on"});
    refused({"--ticket-rotate", "1", "--timeout", "600"}, {"--ticket-keys: ", "every"});
    refused({"--ticket-keys", url}, {"--ticket-keys redis: needs --fleet-secret FILE", "head -c 32 /dev/urandom"});
    refused({"--fleet-secret", secret("unused", random32, owner_only)},
            {"--fleet-secret: needs --ticket-keys redis:URL"});
    refused({"--ticket-keys", url, "--fleet-secret", "/nonexistent/secret"},
            {"--fleet-secret /nonexistent/secret: No such file", "head -c 32 /dev/urandom > /nonexistent/secret"});
    refused({"--ticket-keys", url, "--fleet-secret", secret("short", random32.substr(1), owner_only)},
            {"--fleet-secret " + directory / "short" + ": not 32 bytes but 31", "head -c 32 /dev/urandom"});
    refused({"--ticket-keys", url, "--fleet-secret", secret("long", random32 + "x", owner_only)},
            {"--fleet-secret " + directory / "long" + ": not 32 bytes but more"});
    refused({"--ticket-keys", url, "--fleet-secret", secret("open", random32, owner_only | perms::group_read)},
            {"--fleet-secret " + directory / "open" + ": other users can access it; run: chmod 600"});
    refused({"--ticket-keys", url, "--fleet-secret", secret("zero", std::string(32, '\0'), owner_only)},
            {"--ticket-keys: "});
    refused({"--ticket-keys", "redis:carved://", "--fleet-secret", secret("good", random32, owner_only)},
            {"--ticket-keys: "});
}

namespace {

// What openssl s_client says of a visit.
std::string visit(credentials const& c, example_server const& srv, std::vector<std::string> const& options = {})
{
    std::vector<std::string> command{"openssl",   "s_client", "-connect", "127.0.0.1:" + srv.port, "-servername",
                                     "localhost", "-CAfile",  c.ca,       "-verify_return_error",  "-ign_eof"};
    command.insert(command.end(), options.begin(), options.end());
    child client{command, "GET / HTTP/1.0\r\n\r\n"};
    CHECK(client.wait() == 0);
    return client.output();
}

// The name of the key in a session that it shows: the first bytes of the ticket.
std::string key_in(std::string const& output)
{
    std::string_view const before = "TLS session ticket:\n    0000 - ";
    auto const at = output.rfind(before); // TLS 1.3 shows the ticket that has arrived last
    return at != std::string::npos
               ? output.substr(at + before.size(), std::string_view{"00 11 22 33 44 55 66 77"}.size())
               : std::string{};
}

std::string write_random_key(temporary_directory const& directory, std::string const& name)
{
    std::array<unsigned char, 48> bytes{};
    REQUIRE(::RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
    return directory.write(name, {reinterpret_cast<char const*>(bytes.data()), bytes.size()});
}

} // namespace

TEST_CASE("openssl s_client resumes with a ticket of the key before, and gets a new ticket")
{
    credentials const c;
    for (auto const& k : {kinds[1], kinds[2]})
    {
        CAPTURE(std::string{k.name});
        example_server srv{c, k, {"--ticket-rotate", "1", "--timeout", "30"}};
        auto const session = c.directory / "session.pem";
        auto const old_key = key_in(visit(c, srv, {"-sess_out", session}));
        REQUIRE(old_key != "");
        auto new_key = old_key;
        for (int tries = 0; new_key == old_key && tries < 1000; ++tries)
            new_key = key_in(visit(c, srv));
        REQUIRE(new_key != old_key);

        auto const resumed = visit(c, srv, {"-sess_in", session});
        CHECK(contains(resumed, "Reused, TLSv" + std::string{version_of(k)}));
        CHECK(contains(resumed, resumed_page(k)));
        CHECK(key_in(resumed) != "");
        CHECK(key_in(resumed) != old_key);

        srv.process.signal(SIGTERM);
        CHECK(srv.process.wait() == 0);
        CHECK(contains(srv.process.output(), "unknown 0, without issuer 0, "));
    }
}

TEST_CASE("a server opens the tickets of another one that has the same key files, in any order")
{
    credentials const c;
    auto const first = write_random_key(c.directory, "first.key");
    auto const second = write_random_key(c.directory, "second.key");
    for (auto const& k : {kinds[1], kinds[2]})
    {
        CAPTURE(std::string{k.name});
        example_server const one{c, k, {"--ticket-keys", "files:" + first + "," + second}};
        example_server const other{c, k, {"--ticket-keys", "files:" + second + "," + first}};
        auto const session = c.directory / "session.pem";
        auto const made = visit(c, one, {"-sess_out", session});
        auto const resumed = visit(c, other, {"-sess_in", session});
        CHECK(contains(resumed, resumed_page(k)));
        CHECK(key_in(made) != key_in(resumed)); // each issues with its first
    }
}

TEST_SUITE_END();
