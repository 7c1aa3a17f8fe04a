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
    void operator()(X509_CRL* p) const noexcept { ::X509_CRL_free(p); }
    void operator()(X509_REVOKED* p) const noexcept { ::X509_REVOKED_free(p); }
    void operator()(ASN1_TIME* p) const noexcept { ::ASN1_TIME_free(p); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, deleter>;
using x509_ptr = std::unique_ptr<X509, deleter>;
using bio_ptr = std::unique_ptr<BIO, deleter>;

void require(bool ok)
{
    if (!ok)
        throw std::runtime_error{"OpenSSL cannot make a certificate"};
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
    constexpr long an_hour_ago = -3600; // tolerates clocks that differ
    require(::X509_gmtime_adj(::X509_getm_notBefore(made.get()), an_hour_ago) != nullptr);
    require(::X509_gmtime_adj(::X509_getm_notAfter(made.get()), static_cast<long>(lifetime.count())) != nullptr);
    require(::X509_NAME_add_entry_by_txt(::X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                                         reinterpret_cast<unsigned char const*>(subject.c_str()), -1, -1, 0) == 1);
    require(::X509_set_pubkey(made.get(), key) == 1);
    return made;
}

} // namespace

struct certificate_authority::impl
{
    key_ptr key;
    x509_ptr certificate;
    std::string chain; // sent with each certificate that it issues; empty for a root
};

namespace {

void make_authority(X509* certificate, X509* issuer)
{
    require(::X509_set_issuer_name(certificate, ::X509_get_subject_name(issuer)) == 1);
    add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(certificate, issuer, NID_subject_key_identifier, "hash");
}

std::string pem_of(X509* certificate)
{
    return to_pem([certificate](BIO* out) { return ::PEM_write_bio_X509(out, certificate); });
}

} // namespace

certificate_authority::certificate_authority(std::string const& name) : impl_(std::make_unique<impl>())
{
    impl_->key.reset(EVP_EC_gen("P-256"));
    require(impl_->key != nullptr);
    impl_->certificate = unsigned_certificate(name, impl_->key.get(), std::chrono::hours{24 * 30});
    X509* const self = impl_->certificate.get();
    make_authority(self, self);
    require(::X509_sign(self, impl_->key.get(), ::EVP_sha256()) > 0);
}

certificate_authority::certificate_authority(std::unique_ptr<impl> s) : impl_(std::move(s)) {}

certificate_authority::certificate_authority(certificate_authority&&) noexcept = default;

certificate_authority::~certificate_authority() = default;

std::string certificate_authority::pem() const
{
    return pem_of(impl_->certificate.get());
}

certificate_authority certificate_authority::issue_authority(std::string const& name,
                                                             std::chrono::seconds lifetime) const
{
    auto made = std::make_unique<impl>();
    made->key.reset(EVP_EC_gen("P-256"));
    require(made->key != nullptr);
    made->certificate = unsigned_certificate(name, made->key.get(), lifetime);
    make_authority(made->certificate.get(), impl_->certificate.get());
    require(::X509_sign(made->certificate.get(), impl_->key.get(), ::EVP_sha256()) > 0);
    made->chain = pem_of(made->certificate.get()) + impl_->chain;
    return certificate_authority{std::move(made)};
}

identity certificate_authority::issue(std::vector<std::string> const& names, std::chrono::seconds lifetime) const
{
    key_ptr const key{EVP_EC_gen("P-256")};
    require(key != nullptr && !names.empty());
    auto const made = unsigned_certificate(names.front(), key.get(), lifetime);
    X509* const issuer = impl_->certificate.get();
    require(::X509_set_issuer_name(made.get(), ::X509_get_subject_name(issuer)) == 1);
    std::string alternatives;
    for (auto const& name : names)
        alternatives += (alternatives.empty() ? "" : ",") + std::string{is_address(name) ? "IP:" : "DNS:"} + name;
    add_extension(made.get(), issuer, NID_subject_alt_name, alternatives);
    add_extension(made.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(made.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(made.get(), issuer, NID_authority_key_identifier, "keyid");
    require(::X509_sign(made.get(), impl_->key.get(), ::EVP_sha256()) > 0);
    return {pem_of(made.get()) + impl_->chain,
            to_pem([&](BIO* out)
                   { return ::PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); })};
}

std::string certificate_authority::revoke(identity const& issued) const
{
    bio_ptr const in{::BIO_new_mem_buf(issued.certificate.data(), static_cast<int>(issued.certificate.size()))};
    x509_ptr const certificate{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
    std::unique_ptr<X509_CRL, deleter> const list{::X509_CRL_new()};
    std::unique_ptr<X509_REVOKED, deleter> entry{::X509_REVOKED_new()};
    std::unique_ptr<ASN1_TIME, deleter> const an_hour_ago{::X509_gmtime_adj(nullptr, -3600)};
    std::unique_ptr<ASN1_TIME, deleter> const tomorrow{::X509_gmtime_adj(nullptr, 24L * 3600)};
    require(certificate && list && entry && an_hour_ago && tomorrow);
    require(::X509_CRL_set_version(list.get(), 1) == 1); // means version 2
    require(::X509_CRL_set_issuer_name(list.get(), ::X509_get_subject_name(impl_->certificate.get())) == 1);
    require(::X509_CRL_set1_lastUpdate(list.get(), an_hour_ago.get()) == 1);
    require(::X509_CRL_set1_nextUpdate(list.get(), tomorrow.get()) == 1);
    require(::X509_REVOKED_set_serialNumber(entry.get(), ::X509_get_serialNumber(certificate.get())) == 1);
    require(::X509_REVOKED_set_revocationDate(entry.get(), an_hour_ago.get()) == 1);
    require(::X509_CRL_add0_revoked(list.get(), entry.get()) == 1);
    (void)entry.release(); // owned by the list now
    require(::X509_CRL_sign(list.get(), impl_->key.get(), ::EVP_sha256()) > 0);
    return to_pem([&](BIO* out) { return ::PEM_write_bio_X509_CRL(out, list.get()); });
}

} // namespace reprise::testing
