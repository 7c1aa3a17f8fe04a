// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/child.hpp"
#include "support/peers/https_examples.hpp"

#include <string>
#include <vector>

namespace test {

/// nginx on a free port of loopback. A page says whether the connection was resumed, "reused: r", or not, "reused: .".
struct nginx
{
    /// @param directives What the server's block says of sessions.
    nginx(credentials const& c, std::string const& directives);

    /// Whether nginx would start so, and what it says.
    struct verdict
    {
        bool ok;
        std::string output;
    };
    [[nodiscard]] static verdict check(credentials const& c, std::string const& directives);

    unsigned short port;
    child process;
};

} // namespace test
