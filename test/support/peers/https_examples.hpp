// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/child.hpp"
#include "support/harness.hpp"

#include <string>
#include <vector>

namespace test {

/// The path of an example program.
[[nodiscard]] std::string example(std::string const& name);

/// A certificate for localhost and who vouches for it, as files.
struct credentials
{
    temporary_directory directory;
    std::string ca = directory.write("ca.pem", authority().pem());
    reprise::testing::identity own = authority().issue({"localhost", "127.0.0.1"});
    std::string certificate = directory.write("certificate.pem", own.certificate);
    std::string key = directory.write("key.pem", own.key);
};

[[nodiscard]] char const* on_or_off(bool on);
[[nodiscard]] char const* version_of(kind const& k);

/// The https_server example, on a free port of loopback unless told otherwise.
struct example_server
{
    /// Serves with these options.
    explicit example_server(credentials const& c, std::vector<std::string> const& options,
                            std::string const& wanted_port = "0");

    /// Serves one kind of resumption.
    example_server(credentials const& c, kind const& k, std::vector<std::string> const& more = {});

    child process;
    std::string port;
};

/// What the page of https_server says of a connection that resumed in this way.
[[nodiscard]] std::string resumed_page(kind const& k);

struct answer
{
    reprise::handshake_info info;
    std::string body;
};

/// GET / on a new connection, and shut down.
asio::awaitable<answer> get(client_side& stream, std::string port);

[[nodiscard]] bool contains(std::string const& text, std::string_view part);

} // namespace test
