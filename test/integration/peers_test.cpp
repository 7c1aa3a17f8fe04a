// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Judges from outside: programs that reprise did not write, on either end of the connection.
#include "support/child.hpp"
#include "support/harness.hpp"
#include "support/peers/https_examples.hpp"
#include "support/peers/nginx.hpp"

#include <csignal>

using namespace test;

TEST_SUITE_BEGIN("peers");

namespace {

// Three visits in a row by our client, with its answers.
std::vector<answer> three_visits(kind const& k, std::string const& port)
{
    std::vector<answer> answers;
    asio::io_context io;
    auto tls = client_context();
    set_versions(tls, k.version, k.version);
    auto const store = reprise::memory_session_store::make();
    run(io,
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), tls, *store};
            for (int i = 0; i < 3; ++i)
                answers.push_back(co_await get(stream, port));
        }());
    return answers;
}

} // namespace

TEST_CASE("the smallest pair resumes on the second visit, and both ends say so")
{
    credentials const c;
    child server{{example("tiny_server"), c.certificate, c.key, "0"}};
    std::string const listening = "listening on 127.0.0.1:";
    server.read_until(listening);
    server.read_until("\n");
    auto const begin = server.output().find(listening) + listening.size();
    auto const port = server.output().substr(begin, server.output().find('\n', begin) - begin);

    child client{{example("tiny_client"), c.ca, "localhost", port}};
    CHECK(client.wait() == 0);
    CHECK(client.output() == "full handshake: nice to meet you\nresumed: welcome back\n");
    server.read_until("full handshake\nresumed\n");

    child stranger{
        {"openssl", "s_client", "-connect", "127.0.0.1:" + port, "-tls1"}}; // the server refuses it and goes on
    (void)stranger.wait();
    server.read_until("tiny_server: ");
    child again{{example("tiny_client"), c.ca, "localhost", port}};
    CHECK(again.wait() == 0);
}

TEST_CASE("openssl s_client resumes with our server, every kind")
{
    credentials const c;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        example_server srv{c, k};
        auto const session = c.directory / "session.pem";
        auto const visit = [&](char const* option)
        {
            child client{{"openssl", "s_client", "-connect", "127.0.0.1:" + srv.port, "-servername", "localhost",
                          "-CAfile", c.ca, "-verify_return_error", "-ign_eof", option, session},
                         "GET / HTTP/1.0\r\n\r\n"};
            CHECK(client.wait() == 0);
            return client.output();
        };
        auto const first = visit("-sess_out");
        CHECK(contains(first, "New, TLSv" + std::string{version_of(k)}));
        CHECK(contains(first, "full handshake: "));
        auto const second = visit("-sess_in");
        CHECK(contains(second, "Reused, TLSv" + std::string{version_of(k)}));
        CHECK(contains(second, resumed_page(k)));
    }
}

TEST_CASE("curl resumes with our server, every kind")
{
    credentials const c;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        example_server srv{c, k};
        auto const url = "https://localhost:" + srv.port + "/";
        child client{{"curl", "--silent", "--show-error", "--ipv4", "--cacert", c.ca, "--header", "Connection: close",
                      url, url}};
        CHECK(client.wait() == 0);
        CHECK(contains(client.output(), "full handshake: "));
        // libcurl asks for no TLS 1.2 tickets (SSL_OP_NO_TICKET), so it is remembered instead.
        CHECK(contains(client.output(), resumed_page(k.version == TLS1_2_VERSION ? kinds[0] : k)));
    }
}

TEST_CASE("our client resumes with openssl s_server, every kind")
{
    credentials const c;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        auto const port = free_port();
        std::vector<std::string> command{"openssl", "s_server",
                                         "-accept", "127.0.0.1:" + std::to_string(port),
                                         "-cert",   c.certificate,
                                         "-key",    c.key,
                                         "-www",    k.version == TLS1_2_VERSION ? "-tls1_2" : "-tls1_3"};
        if (!k.tickets)
            command.emplace_back("-no_ticket");
        child srv{command};
        srv.read_until("ACCEPT");
        auto const answers = three_visits(k, std::to_string(port));
        CHECK_FALSE(answers[0].info.resumed());
        CHECK(contains(answers[0].body, "New, TLSv"));
        for (auto const i : {1, 2})
        {
            CHECK(answers[static_cast<std::size_t>(i)].info.resumption == k.on_client);
            CHECK(contains(answers[static_cast<std::size_t>(i)].body, "Reused, TLSv"));
        }
    }
}

TEST_CASE("our client resumes with nginx, every kind, session cache and tickets on and off")
{
    credentials const c;
    for (auto const& k : kinds)
        for (bool const cache : {true, false})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(cache);
            nginx const srv{c, std::string{"ssl_session_cache "} + (cache ? "shared:test:1m" : "off") +
                                   ";\nssl_session_tickets " + on_or_off(k.tickets) + ";"};
            auto const answers = three_visits(k, std::to_string(srv.port));
            bool const can_resume = cache || k.tickets;
            CHECK_FALSE(answers[0].info.resumed());
            CHECK(contains(answers[0].body, "reused: ."));
            for (std::size_t const i : {1u, 2u})
            {
                CHECK(answers[i].info.resumed() == can_resume);
                CHECK(contains(answers[i].body, can_resume ? "reused: r" : "reused: ."));
                if (can_resume)
                    CHECK(answers[i].info.resumption == k.on_client);
                else
                    CHECK((answers[i].info.reason == reprise::full_handshake_reason::declined ||
                           answers[i].info.reason == reprise::full_handshake_reason::not_resumable));
            }
        }
}

TEST_CASE("the two examples resume with each other, and their exit status and summary tell")
{
    credentials const c;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        example_server srv{c, k};
        auto const url = "https://localhost:" + srv.port + "/";
        child client{{example("https_client"), url, "--repeat", "3", "--ca", c.ca, "--json"}};
        CHECK(client.wait() == 0);
        auto const count = [](std::string const& text, std::string_view part)
        {
            int n = 0;
            for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
                ++n;
            return n;
        };
        CHECK(count(client.output(), "\"resumed\":true") == 2);
        CHECK(count(client.output(), to_string(k.on_client)) == 2);
        CHECK(count(client.output(), "\"status\":200") == 3);

        child stranger{{example("https_client"), url, "--repeat", "1"}}; // trusts the system's authorities only
        CHECK(stranger.wait() == 1);
        CHECK(contains(stranger.output(), "certificate verify failed"));

        srv.process.signal(SIGTERM);
        CHECK(srv.process.wait() == 0);
        CHECK(contains(srv.process.output(), std::string{to_string(k.on_server)} + ": 2"));
    }
}

TEST_CASE("the server says what is wrong with its options, its files or its disk, and does not start")
{
    credentials const c;
    auto const refused = [](std::vector<std::string> arguments, std::string_view naming)
    {
        CAPTURE(std::string{naming});
        child server{std::move(arguments)};
        CHECK(server.wait() != 0);
        CHECK(contains(server.output(), naming));
        CHECK_FALSE(contains(server.output(), "listening"));
    };
    auto const server = example("https_server");
    refused({server, "--listen", "nowhere"}, "--listen: expected ADDR:PORT, got 'nowhere'");
    refused({server, "--listen", "localhost:99999"}, "--listen: not an address and port");
    refused({server, "--id-context", std::string(33, 'x')}, "33 bytes");
    refused({server, "--id-context", ""}, "id context is empty");
    refused({server, "--timeout", "0"}, "session_cache_options::session_lifetime must be 1 s to 7 days");
    refused({server, "--mode", "server+openssl-internal"}, "not both");
    refused({server, "--mode", "sometimes"}, "--mode: unknown part 'sometimes'");
    refused({server, "--storage", "punched-cards"}, "--storage");
    refused({server, "--docroot", "/nonexistent"}, "--docroot");
    refused({server, "--cert", "/nonexistent.pem"}, "/nonexistent.pem");
    refused({server, "--client-ca", "/nonexistent.pem"}, "/nonexistent.pem");
    refused({server, "--cert", "/proc/version"}, "--cert /proc/version: no start line");
    refused({server, "--cert", c.certificate, "--key", c.ca}, "--key " + c.ca);
    refused({server, "--key", c.key}, "--cert");
    refused({server, "--ciphers", "NO-SUCH-CIPHER"}, "--ciphers");
    refused({server, "--groups", "P-7"}, "--groups");
    refused({"/usr/bin/env", "TMPDIR=/nonexistent", server, "--listen", "127.0.0.1:0"}, "/nonexistent");
    // A limit of no bytes fails a write as a full disk does, without one.
    refused({"/bin/bash", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" --listen 127.0.0.1:0", server},
            "cannot write the CA certificate");
}

TEST_SUITE_END();
