// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/testing/certificate.hpp>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <stdexcept>

namespace reprise::testing {

namespace {

struct deleter
{
    void operator()(EVP_PKEY* p) const noexcept { ::EVP_PKEY_free(p); }
    void operator()(X509* p) const noexcept { ::X509_free(p); }
    void operator()(BIO* p) const noexcept { ::BIO_free(p); }
    void operator()(X509_EXTENSION* p) const noexcept { ::X509_EXTENSION_free(p); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, deleter>;
using x509_ptr = std::unique_ptr<X509, deleter>;
using bio_ptr = std::unique_ptr<BIO, deleter>;

void require(bool ok)
{
    if (!ok)
        throw std::runtime_error{"OpenSSL could not make a certificate"};
}

template <class Write>
std::string to_pem(Write write)
{
    bio_ptr const out{::BIO_new(::BIO_s_mem())};
    require(out && write(out.get()) == 1);
    char* data = nullptr;
    auto const size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

void add_extension(X509* to, X509* issuer, int nid, std::string const& value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    ::X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    std::unique_ptr<X509_EXTENSION, deleter> const extension{
        ::X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str())};
    require(extension && ::X509_add_ext(to, extension.get(), -1) == 1);
}

bool is_address(std::string const& name)
{
    in6_addr address{};
    return ::inet_pton(AF_INET, name.c_str(), &address) == 1 || ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

x509_ptr unsigned_certificate(std::string const& subject, EVP_PKEY* key, std::chrono::seconds lifetime)
{
    x509_ptr made{::X509_new()};
    require(made && ::X509_set_version(made.get(), X509_VERSION_3) == 1);
    std::uint64_t serial = 0;
    require(::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
    require(::ASN1_INTEGER_set_uint64(::X509_get_serialNumber(made.get()), serial >> 1) == 1);
    constexpr long an_hour_ago = -3600; // clocks differ
    require(::X509_gmtime_adj(::X509_getm_notBefore(made.get()), an_hour_ago) != nullptr);
    require(::X509_gmtime_adj(::X509_getm_notAfter(made.get()), static_cast<long>(lifetime.count())) != nullptr);
    require(::X509_NAME_add_entry_by_txt(::X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                                         reinterpret_cast<unsigned char const*>(subject.c_str()), -1, -1, 0) == 1);
    require(::X509_set_pubkey(made.get(), key) == 1);
    return made;
}

} // namespace

struct certificate_authority::state
{
    key_ptr key;
    x509_ptr certificate;
};

certificate_authority::certificate_authority(std::string const& name) : state_(std::make_unique<state>())
{
    state_->key.reset(EVP_EC_gen("P-256"));
    require(state_->key != nullptr);
    state_->certificate = unsigned_certificate(name, state_->key.get(), std::chrono::hours{24 * 30});
    X509* const self = state_->certificate.get();
    require(::X509_set_issuer_name(self, ::X509_get_subject_name(self)) == 1);
    add_extension(self, self, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(self, self, NID_subject_key_identifier, "hash");
    require(::X509_sign(self, state_->key.get(), ::EVP_sha256()) > 0);
}

certificate_authority::~certificate_authority() = default;

std::string certificate_authority::pem() const
{
    return to_pem([this](BIO* out) { return ::PEM_write_bio_X509(out, state_->certificate.get()); });
}

identity certificate_authority::issue(std::vector<std::string> const& names, std::chrono::seconds lifetime) const
{
    key_ptr const key{EVP_EC_gen("P-256")};
    require(key != nullptr && !names.empty());
    auto const made = unsigned_certificate(names.front(), key.get(), lifetime);
    X509* const issuer = state_->certificate.get();
    require(::X509_set_issuer_name(made.get(), ::X509_get_subject_name(issuer)) == 1);
    std::string alternatives;
    for (auto const& name : names)
        alternatives += (alternatives.empty() ? "" : ",") + std::string{is_address(name) ? "IP:" : "DNS:"} + name;
    add_extension(made.get(), issuer, NID_subject_alt_name, alternatives);
    add_extension(made.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(made.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(made.get(), issuer, NID_authority_key_identifier, "keyid");
    require(::X509_sign(made.get(), state_->key.get(), ::EVP_sha256()) > 0);
    return {to_pem([&](BIO* out) { return ::PEM_write_bio_X509(out, made.get()); }),
            to_pem([&](BIO* out)
                   { return ::PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); })};
}

} // namespace reprise::testing
