// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/large_certificate.hpp"

#include <reprise/ssl_handles.hpp>

#include <doctest/doctest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace test {

namespace {

struct key_deleter
{
    void operator()(EVP_PKEY* key) const noexcept { ::EVP_PKEY_free(key); }
};

void add_extension(X509* to, int kind, std::string const& value)
{
    X509_EXTENSION* const made = ::X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    REQUIRE(made != nullptr);
    REQUIRE(::X509_add_ext(to, made, -1) == 1);
    ::X509_EXTENSION_free(made);
}

std::string text_of(BIO* bio)
{
    char* data = nullptr;
    auto const size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

} // namespace

reprise::testing::identity large_certificate(std::size_t comment, int names)
{
    std::unique_ptr<EVP_PKEY, key_deleter> const key{EVP_EC_gen("P-256")};
    reprise::x509_ptr const made{::X509_new()};
    REQUIRE(::X509_set_version(made.get(), 2) == 1);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(made.get()), 7);
    ::X509_gmtime_adj(::X509_getm_notBefore(made.get()), -60);
    ::X509_gmtime_adj(::X509_getm_notAfter(made.get()), 24 * 60 * 60);
    ::X509_set_pubkey(made.get(), key.get());
    X509_NAME* const name = ::X509_get_subject_name(made.get());
    auto const* const text = reinterpret_cast<unsigned char const*>("large");
    ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0);
    ::X509_set_issuer_name(made.get(), name);
    std::string alternatives = "DNS:localhost";
    for (int i = 1; i < names; ++i)
        alternatives += ",DNS:host-" + std::to_string(i) + ".example.com";
    add_extension(made.get(), NID_subject_alt_name, alternatives);
    if (comment != 0)
        add_extension(made.get(), NID_netscape_comment, std::string(comment, 'x'));
    REQUIRE(::X509_sign(made.get(), key.get(), ::EVP_sha256()) > 0);

    reprise::bio_ptr const certificate{::BIO_new(::BIO_s_mem())};
    reprise::bio_ptr const private_key{::BIO_new(::BIO_s_mem())};
    REQUIRE(::PEM_write_bio_X509(certificate.get(), made.get()) == 1);
    REQUIRE(::PEM_write_bio_PrivateKey(private_key.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    return {text_of(certificate.get()), text_of(private_key.get())};
}

} // namespace test
