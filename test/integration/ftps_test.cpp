// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/peers/vsftpd.hpp"

#include <fstream>
#include <sstream>

using namespace test;

TEST_SUITE_BEGIN("ftps");

namespace {

std::size_t times(std::string const& text, std::string_view part)
{
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
        ++count;
    return count;
}

} // namespace

TEST_CASE("a server that demands it gets the control connection's session on each data connection")
{
    credentials const c;
    vsftpd const server{c};
    std::string const text(100'000, 'x');
    server.put("file.txt", text);
    for (std::string const version : {"1.2", "1.3"})
    {
        CAPTURE(version);
        temporary_directory const here;
        // More files than there are tickets from the control connection: data connections renew them.
        child client{{example("ftps_client"), "localhost", "file.txt", "file.txt", "file.txt", "file.txt", "--port",
                      std::to_string(server.port), "--ca", c.ca, "--tls", version, "--output", here / "got"}};
        auto const status = client.wait();
        CAPTURE(client.output());
        CHECK(status == 0);
        CHECK(times(client.output(), version == "1.2" ? "data: tls12-" : "data: tls13-ticket") == 4);
        std::stringstream got;
        got << std::ifstream{here / "got"}.rdbuf();
        bool const is_all = got.str() == text + text + text + text;
        CHECK(is_all);
    }
}

TEST_CASE("without it that server refuses, so it does demand it")
{
    credentials const c;
    vsftpd const server{c};
    server.put("file.txt", "text");
    for (std::string const version : {"1.2", "1.3"})
    {
        CAPTURE(version);
        child client{{example("ftps_client"), "localhost", "file.txt", "--port", std::to_string(server.port), "--ca",
                      c.ca, "--tls", version, "--no-resume"}};
        CHECK(client.wait() == 1);
        CAPTURE(client.output());
        CHECK(contains(client.output(), "522"));
    }
}

TEST_SUITE_END();
