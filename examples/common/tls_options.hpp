// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <CLI/CLI.hpp>

#include <string>

namespace example {

/// The TLS options that server and client share.
struct tls_options
{
    std::string versions = "any";
    std::string ciphers;
    std::string groups;
};

void declare(CLI::App& app, tls_options& options);

/// @throws std::runtime_error, naming the option that OpenSSL does not take.
void apply(tls_options const& options, boost::asio::ssl::context& tls);

} // namespace example
