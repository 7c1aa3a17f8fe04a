// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/system/system_error.hpp>

#include <CLI/CLI.hpp>

#include <stdexcept>
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

/// Read a file of TLS: OpenSSL does not say which one it could not read, nor for which option.
template <class Read>
void load(std::string const& option, std::string const& path, Read read)
try
{
    read();
}
catch (boost::system::system_error const& e)
{
    throw std::runtime_error{option + " " + path + ": " + e.code().message()};
}

/// `--cert` and `--key`, each a file; an empty key is in the file of the certificate.
/// @throws std::runtime_error, naming the option that is wrong.
void use_certificate(boost::asio::ssl::context& tls, std::string const& certificate, std::string const& key);

} // namespace example
