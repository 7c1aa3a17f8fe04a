// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Sessions that outlive the client's process: https_client with --store, --export and --import.
#include "support/child.hpp"
#include "support/harness.hpp"
#include "support/peers/https_examples.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace test;

TEST_SUITE_BEGIN("client store");

namespace {

int count(std::string const& text, std::string_view part)
{
    int n = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++n;
    return n;
}

// A server of one kind, and clients, each a process of its own.
struct fixture
{
    explicit fixture(kind const& served, std::vector<std::string> const& server_options = {})
        : k(served), srv(c, served, server_options)
    {
    }

    // What the client says of one request.
    std::string visit(std::vector<std::string> const& options, int repeat = 1)
    {
        std::vector<std::string> command{example("https_client"),
                                         "https://localhost:" + srv.port + "/",
                                         "--repeat",
                                         std::to_string(repeat),
                                         "--ca",
                                         c.ca,
                                         "--json"};
        command.insert(command.end(), options.begin(), options.end());
        child client{command};
        CHECK_MESSAGE(client.wait() == 0, client.output());
        return client.output();
    }

    // How often its connections have resumed, by the server's own account; ends it.
    int resumed()
    {
        srv.process.signal(SIGTERM);
        CHECK(srv.process.wait() == 0);
        auto const& text = srv.process.output();
        std::string const before = "resumed by " + std::string{to_string(k.on_server)} + ": ";
        auto const at = text.find(before);
        return at == std::string::npos ? 0 : std::stoi(text.substr(at + before.size()));
    }

    [[nodiscard]] bool has_resumed(std::string const& output) const
    {
        return contains(output, "\"resumed\":true") && contains(output, to_string(k.on_client));
    }

    credentials const c;
    kind const& k;
    example_server srv;
    temporary_directory const directory;
    std::string const store = "lmdb:" + directory / "store";
    std::string const file = directory / "sessions";
};

void flip(std::string const& path, std::size_t at)
{
    std::fstream io{path, std::ios::in | std::ios::out | std::ios::binary};
    char byte = 0;
    io.seekg(static_cast<std::streamoff>(at));
    io.get(byte);
    io.seekp(static_cast<std::streamoff>(at));
    io.put(static_cast<char>(byte ^ 1));
    CHECK(io.good());
}

} // namespace

TEST_CASE("the next process resumes from the store on disk, every kind")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        fixture f{k};
        CHECK(contains(f.visit({"--store", f.store}), "nothing-stored"));
        for (int i = 0; i < 3; ++i)
            CHECK(f.has_resumed(f.visit({"--store", f.store})));
        auto const key = f.directory / "store.key";
        CHECK(std::filesystem::status(key).permissions() ==
              (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
        CHECK(std::filesystem::file_size(key) == 32);
        std::filesystem::remove(key); // another one is made, and opens nothing
        CHECK_FALSE(f.has_resumed(f.visit({"--store", f.store})));
        CHECK(f.resumed() == 3);
    }
}

TEST_CASE("sessions of another trust or another policy are left alone")
{
    fixture f{kinds.back()};
    (void)f.visit({"--store", f.store});
    auto const other = f.visit({"--store", f.store, "--groups", "P-256"});
    CHECK_FALSE(f.has_resumed(other));
    CHECK(f.has_resumed(f.visit({"--store", f.store})));
    CHECK(f.resumed() == 1);
}

TEST_CASE("the next process resumes with what the last one has exported, every kind; a ticket once")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        fixture f{k};
        CHECK(contains(f.visit({"--export", f.file}), "--export " + f.file + ": 1 sessions"));
        auto const key = f.directory / "sessions.key";
        CHECK(std::filesystem::status(f.file).permissions() ==
              (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
        auto const next = f.visit({"--import", f.file});
        CHECK(contains(next, "--import " + f.file + ": 1 sessions, 0 skipped"));
        CHECK(f.has_resumed(next));
        auto const late = f.visit({"--import", f.file});
        CHECK(contains(late, "the file does not exist"));
        CHECK_FALSE(f.has_resumed(late));
        CHECK(std::filesystem::exists(key));
        CHECK(f.resumed() == 1);
    }
}

TEST_CASE("sessions move from a store on disk to another one, under one key")
{
    fixture f{kinds.back()};
    auto const key = f.directory / "key";
    (void)f.visit({"--store", f.store, "--store-key", key});
    CHECK(contains(f.visit({"--store", f.store, "--store-key", key, "--export", f.file}), ": 1 sessions"));
    auto const other = "lmdb:" + f.directory / "other";
    CHECK(f.has_resumed(f.visit({"--store", other, "--store-key", key, "--import", f.file})));
    CHECK(f.has_resumed(f.visit({"--store", other, "--store-key", key})));
    CHECK_FALSE(f.has_resumed(f.visit({"--store", f.store, "--store-key", key}))); // it gave its tickets away
    CHECK(f.resumed() == 3);
}

TEST_CASE("a file that was tampered with, cut, or is another is reported, and the handshake runs in full")
{
    fixture f{kinds.back()};
    auto const reported = [&](auto spoil, std::vector<std::string> const& naming)
    {
        (void)f.visit({"--export", f.file});
        spoil();
        auto const output = f.visit({"--import", f.file});
        for (auto const& part : naming)
            CHECK_MESSAGE(contains(output, part), output);
        CHECK_FALSE(f.has_resumed(output));
        std::filesystem::remove(f.file);
    };
    reported([&] { flip(f.file, 100); }, {"0 sessions, 1 skipped", "entry 0 skipped because record-corrupt"});
    reported([&] { std::filesystem::resize_file(f.file, 200); }, {"0 sessions, 0 skipped", "truncated or damaged"});
    reported([&] { flip(f.file, 0); }, {"not a session file", "nothing is imported"});
    reported([&] { flip(f.file, 16); }, {"of another format version", "nothing is imported"});
    reported([&] { flip(f.file, 20); }, {"sealed with another key", "nothing is imported"});
    reported([&] { std::filesystem::permissions(f.file, std::filesystem::perms::all); },
             {"chmod 600", "nothing is imported"});
    CHECK(f.resumed() == 0);
}

TEST_CASE("sessions of a client certificate stay in the process that made them")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        credentials const client;
        fixture f{k, {"--client-ca", client.ca}};
        std::vector<std::string> const own{"--cert", client.certificate, "--key", client.key};
        auto const with = [&](std::vector<std::string> options)
        {
            options.insert(options.end(), own.begin(), own.end());
            return options;
        };
        for (int i = 0; i < 2; ++i)
        {
            auto const output = f.visit(with({"--store", f.store}), 2);
            CHECK(count(output, "\"resumed\":true") == 1); // the second, in its memory
        }
        CHECK(contains(f.visit(with({"--export", f.file})), ": 0 sessions"));
        CHECK(f.resumed() == 2);
    }
}

TEST_CASE("two processes share a store on disk, and no ticket is used twice")
{
    fixture f{kinds.back()};
    (void)f.visit({"--store", f.store}, 2);
    std::vector<std::string> const command{example("https_client"),
                                           "https://localhost:" + f.srv.port + "/",
                                           "--repeat",
                                           "20",
                                           "--ca",
                                           f.c.ca,
                                           "--json",
                                           "--store",
                                           f.store};
    int resumed = 0;
    {
        child one{command};
        child two{command};
        for (auto* const client : {&one, &two})
        {
            CHECK_MESSAGE(client->wait() == 0, client->output());
            resumed += count(client->output(), "\"resumed\":true");
        }
    }
    CHECK(resumed >= 38); // of two that come at once, one may find nothing
    CHECK(f.resumed() == resumed + 1);
}

TEST_CASE("--explain says before each connection what it would offer")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        fixture f{k};
        auto const output = f.visit({"--explain"}, 2);
        CAPTURE(output);
        CHECK(contains(output, "full handshake: nothing-stored"));
        CHECK(contains(output, "is offered; the server decides"));
        CHECK(f.has_resumed(output));
    }
}

TEST_CASE("the client says what is wrong with its options, and sends nothing")
{
    credentials const c;
    temporary_directory const directory;
    auto const refused = [&](std::vector<std::string> options, std::vector<std::string> const& naming)
    {
        std::vector<std::string> command{example("https_client"), "https://localhost:1/"};
        command.insert(command.end(), options.begin(), options.end());
        child client{command};
        CHECK(client.wait() != 0);
        for (auto const& part : naming)
            CHECK_MESSAGE(contains(client.output(), part), client.output());
        CHECK_FALSE(contains(client.output(), "failed: "));
        return client.output();
    };
    auto const closed = [&](std::string const& name, std::string const& bytes)
    {
        auto path = directory.write(name, bytes);
        std::filesystem::permissions(path, std::filesystem::perms::owner_read);
        return path;
    };
    auto const store = "lmdb:" + directory / "store";
    refused({"--store", "punched-cards"}, {"--store: expected memory or lmdb:PATH, got 'punched-cards'"});
    refused({"--store", "lmdb:"}, {"--store: expected"});
    refused({"--store", "redis://127.0.0.1:1"}, {"--store: expected"});
    refused({"--store", "lmdb:/nonexistent/store"}, {"--store-key /nonexistent/store.key: No such file"});
    refused({"--store", "lmdb:/proc/version", "--store-key", directory / "key"}, {"--store: ", "/proc/version"});
    refused({"--store-key", directory / "key"}, {"--store-key: needs --store"});
    refused({"--store", store, "--store-key", closed("short", "short")}, {"--store-key ", "not 32 bytes but 5"});
    refused({"--store", store, "--store-key", closed("zero", std::string(32, '\0'))}, {"--store: ", "keys"});
    refused({"--store", store, "--store-key", directory.write("open", std::string(32, 'x'))},
            {"other users can access it"});
    refused({"--export", "/nonexistent/file"}, {"--export /nonexistent/file: the directory does not exist"});
    refused({"--import", closed("file", "x")}, {"--store-key " + directory / "file.key", "No such file"});
    refused({"--import", directory / "file", "--store-key", closed("zeros", std::string(32, '\0'))},
            {"--store-key: ", "32 random bytes"});
    refused({"--cert", "/nonexistent.pem"}, {"/nonexistent.pem"});
    refused({"--key", c.key}, {"--cert"});
    refused({"--cert", c.certificate, "--key", c.ca}, {"--key " + c.ca});
}

TEST_SUITE_END();
