// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/tls_options.hpp"

#include <openssl/ssl.h>

#include <stdexcept>

namespace example {

namespace {

void require(bool ok, std::string const& what)
{
    if (!ok)
        throw std::runtime_error{what};
}

// OpenSSL has a separate list for TLS 1.3 suites, whose names begin with TLS_.
void set_ciphers(SSL_CTX* tls, std::string const& list)
{
    std::string tls12;
    std::string tls13;
    for (auto const& name : CLI::detail::split(list, ':'))
    {
        auto& target = name.starts_with("TLS_") ? tls13 : tls12;
        target += (target.empty() ? "" : ":") + name;
    }
    require(tls12.empty() || ::SSL_CTX_set_cipher_list(tls, tls12.c_str()) == 1,
            "--ciphers: OpenSSL knows no suite of '" + tls12 + "'; see openssl ciphers");
    require(tls13.empty() || ::SSL_CTX_set_ciphersuites(tls, tls13.c_str()) == 1,
            "--ciphers: OpenSSL does not know all suites of '" + tls13 + "'; see openssl ciphers -s -tls1_3");
}

} // namespace

void declare(CLI::App& app, tls_options& options)
{
    app.add_option("--tls", options.versions, "TLS version: any (1.2 and 1.3), 1.2 or 1.3")
        ->check(CLI::IsMember({"any", "1.2", "1.3"}))
        ->capture_default_str();
    app.add_option("--ciphers", options.ciphers, "Cipher suites of TLS 1.2 and 1.3, colon-separated");
    app.add_option("--groups", options.groups, "Key exchange groups, colon-separated, for example P-256:X25519");
}

void apply(tls_options const& options, boost::asio::ssl::context& context)
{
    SSL_CTX* const tls = context.native_handle();
    SSL_CTX_set_min_proto_version(tls, options.versions == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(tls, options.versions == "1.2" ? TLS1_2_VERSION : TLS1_3_VERSION);
    if (!options.ciphers.empty())
        set_ciphers(tls, options.ciphers);
    require(options.groups.empty() || SSL_CTX_set1_groups_list(tls, options.groups.c_str()) == 1,
            "--groups: OpenSSL does not know all groups of '" + options.groups + "'");
}

void use_certificate(boost::asio::ssl::context& tls, std::string const& certificate, std::string const& key)
{
    auto const& key_file = key.empty() ? certificate : key;
    load("--cert", certificate, [&] { tls.use_certificate_chain_file(certificate); });
    load("--key", key_file, [&] { tls.use_private_key_file(key_file, boost::asio::ssl::context::pem); });
}

} // namespace example
