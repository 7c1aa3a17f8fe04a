// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/child.hpp"
#include "support/peers/https_examples.hpp"

#include <string>

namespace test {

/// vsftpd on loopback, for anonymous users, TLS for everything, and data connections that have to resume.
struct vsftpd
{
    explicit vsftpd(credentials const& c);

    /// Lay a file into its root.
    void put(std::string const& name, std::string_view content) const;

    temporary_directory root;
    temporary_directory empty;
    unsigned short port;
    child process;
};

} // namespace test
