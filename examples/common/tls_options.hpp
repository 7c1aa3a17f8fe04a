// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/system/system_error.hpp>

#include <CLI/CLI.hpp>

#include <stdexcept>
#include <string>

namespace example {

/// TLS options that server and client share.
struct tls_options
{
    std::string versions = "any";
    std::string ciphers;
    std::string groups;
};

void declare(CLI::App& app, tls_options& options);

/// Apply the options to a context. @throws std::runtime_error that names the option that OpenSSL refuses.
void apply(tls_options const& options, boost::asio::ssl::context& tls);

/// Load a certificate or key file with `read`. @throws std::runtime_error that names option and file, which OpenSSL's
/// error does not.
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

/// Use the files of `--cert` and `--key`. An empty `key` means that the private key is in the certificate file.
/// @throws std::runtime_error that names the wrong option.
void use_certificate(boost::asio::ssl::context& tls, std::string const& certificate, std::string const& key);

} // namespace example
