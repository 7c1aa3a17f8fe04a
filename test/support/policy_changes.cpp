// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // all functions that are there are tried

#include "support/policy_changes.hpp"

#include "support/harness.hpp"

#include <reprise/ssl_handles.hpp>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace test {

namespace {

using reprise::bio_ptr;
using reprise::x509_ptr;
using reprise::detail::tls_end;

struct key_deleter
{
    void operator()(EVP_PKEY* key) const noexcept { ::EVP_PKEY_free(key); }
};
using key_ptr = std::unique_ptr<EVP_PKEY, key_deleter>;

x509_ptr certificate_of(std::string const& pem)
{
    bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
    return x509_ptr{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
}

key_ptr key_of(std::string const& pem)
{
    bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
    return key_ptr{::PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr)};
}

std::vector<unsigned char> der_of(X509* certificate)
{
    std::vector<unsigned char> der(static_cast<std::size_t>(::i2d_X509(certificate, nullptr)));
    auto* at = der.data();
    ::i2d_X509(certificate, &at);
    return der;
}

std::vector<unsigned char> der_of(EVP_PKEY* key)
{
    std::vector<unsigned char> der(static_cast<std::size_t>(::i2d_PrivateKey(key, nullptr)));
    auto* at = der.data();
    ::i2d_PrivateKey(key, &at);
    return der;
}

/// What the changes are made of, made once: another identity, another authority, and files of both.
struct material
{
    reprise::testing::identity own = authority().issue({"localhost", "a.test", "b.test", "127.0.0.1"});
    x509_ptr certificate = certificate_of(own.certificate);
    key_ptr key = key_of(own.key);
    reprise::testing::certificate_authority other_authority{"another authority"};
    x509_ptr other = certificate_of(other_authority.pem());
    x509_ptr first = certificate_of(authority().pem());
    std::filesystem::path folder;

    material()
    {
        std::string name = (std::filesystem::temp_directory_path() / "reprise-policy-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        folder = name;
        write("own.pem", own.certificate);
        write("own.key", own.key);
        write("other.pem", other_authority.pem());
        bio_ptr const out{::BIO_new_file(file("rsa.key").c_str(), "w")};
        REQUIRE(::PEM_write_bio_PrivateKey(out.get(), rsa.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    }
    material(material const&) = delete;
    material& operator=(material const&) = delete;
    ~material() { std::filesystem::remove_all(folder); }

    void write(char const* name, std::string const& text) const { std::ofstream{folder / name} << text; }
    [[nodiscard]] std::string file(char const* name) const { return (folder / name).string(); }

    /// A store that trusts what the tests trust, and one more.
    [[nodiscard]] X509_STORE* store() const
    {
        X509_STORE* const made = ::X509_STORE_new();
        ::X509_STORE_add_cert(made, first.get());
        ::X509_STORE_add_cert(made, other.get());
        return made;
    }

    [[nodiscard]] STACK_OF(X509_NAME) * names() const
    {
        STACK_OF(X509_NAME)* const made = sk_X509_NAME_new_null();
        sk_X509_NAME_push(made, ::X509_NAME_dup(::X509_get_subject_name(other.get())));
        return made;
    }

    [[nodiscard]] STACK_OF(X509) * chain() const
    {
        STACK_OF(X509)* const made = sk_X509_new_null();
        sk_X509_push(made, other.get());
        return made;
    }

    key_ptr rsa{EVP_RSA_gen(2048)}; // for functions that take nothing else
};

material const& made()
{
    static material const m;
    return m;
}

void nothing(SSL_CTX*) {}

void use_own(SSL_CTX* c)
{
    REQUIRE(::SSL_CTX_use_cert_and_key(c, made().certificate.get(), made().key.get(), nullptr, 1) == 1);
}

std::vector<policy_change> of_both(tls_end end)
{
    auto const& m = made();
    return {
        {"set_cert_store", [&](SSL_CTX* c) { ::SSL_CTX_set_cert_store(c, m.store()); }},
        {"set1_cert_store",
         [&](SSL_CTX* c)
         {
             X509_STORE* const store = m.store();
             ::SSL_CTX_set1_cert_store(c, store);
             ::X509_STORE_free(store);
         }},
        {"set0_verify_cert_store", [&](SSL_CTX* c) { REQUIRE(SSL_CTX_set0_verify_cert_store(c, m.store()) == 1); }},
        {"set1_verify_cert_store",
         [&](SSL_CTX* c)
         {
             X509_STORE* const store = m.store();
             REQUIRE(SSL_CTX_set1_verify_cert_store(c, store) == 1);
             ::X509_STORE_free(store);
         }},
        {"load_verify_locations",
         [&](SSL_CTX* c) { REQUIRE(::SSL_CTX_load_verify_locations(c, m.file("other.pem").c_str(), nullptr) == 1); }},
        {"load_verify_file",
         [&](SSL_CTX* c) { REQUIRE(::SSL_CTX_load_verify_file(c, m.file("other.pem").c_str()) == 1); }},
        {"set_verify",
         [](SSL_CTX* c) { ::SSL_CTX_set_verify(c, ::SSL_CTX_get_verify_mode(c) | SSL_VERIFY_CLIENT_ONCE, nullptr); }},
        {"set_verify_depth", [](SSL_CTX* c) { ::SSL_CTX_set_verify_depth(c, 7); }},
        {"set1_param",
         [](SSL_CTX* c)
         {
             X509_VERIFY_PARAM* const param = ::X509_VERIFY_PARAM_new();
             ::X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
             REQUIRE(::SSL_CTX_set1_param(c, param) == 1);
             ::X509_VERIFY_PARAM_free(param);
         }},
        {"set_security_level", [](SSL_CTX* c) { ::SSL_CTX_set_security_level(c, 0); }},
        {"set_min_proto_version", [](SSL_CTX* c) { REQUIRE(SSL_CTX_set_min_proto_version(c, TLS1_1_VERSION) == 1); }},
        {"set_max_proto_version", [](SSL_CTX* c) { REQUIRE(SSL_CTX_set_max_proto_version(c, 0) == 1); }},
        {"set_options", [](SSL_CTX* c) { ::SSL_CTX_set_options(c, SSL_OP_NO_ENCRYPT_THEN_MAC); }},
        {"clear_options", [](SSL_CTX* c) { ::SSL_CTX_clear_options(c, SSL_OP_NO_COMPRESSION); }},
        {"set_cipher_list",
         [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES128-GCM-SHA256") == 1); }},
        {"set_ciphersuites", [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384") == 1); }},
        {"set_ssl_version",
         [end](SSL_CTX* c)
         {
             auto const* const method = end == tls_end::client ? ::TLSv1_2_client_method() : ::TLSv1_2_server_method();
             REQUIRE(::SSL_CTX_set_ssl_version(c, method) == 1);
         },
         nothing, TLS1_2_VERSION},
        {"set_client_CA_list", [&](SSL_CTX* c) { ::SSL_CTX_set_client_CA_list(c, m.names()); }},
        {"add_client_CA", [&](SSL_CTX* c) { REQUIRE(::SSL_CTX_add_client_CA(c, m.other.get()) == 1); }},
        {"set0_CA_list", [&](SSL_CTX* c) { ::SSL_CTX_set0_CA_list(c, m.names()); }},
        {"add1_to_CA_list", [&](SSL_CTX* c) { REQUIRE(::SSL_CTX_add1_to_CA_list(c, m.other.get()) == 1); }},
        // Certificate and key
        {"use_certificate",
         [&](SSL_CTX* c)
         {
             REQUIRE(::SSL_CTX_use_certificate(c, m.certificate.get()) == 1);
             REQUIRE(::SSL_CTX_use_PrivateKey(c, m.key.get()) == 1);
         }},
        {"use_certificate_ASN1",
         [&](SSL_CTX* c)
         {
             auto const der = der_of(m.certificate.get());
             REQUIRE(::SSL_CTX_use_certificate_ASN1(c, static_cast<int>(der.size()), der.data()) == 1);
             REQUIRE(::SSL_CTX_use_PrivateKey(c, m.key.get()) == 1);
         }},
        {"use_certificate_file",
         [&](SSL_CTX* c)
         {
             REQUIRE(::SSL_CTX_use_certificate_file(c, m.file("own.pem").c_str(), SSL_FILETYPE_PEM) == 1);
             REQUIRE(::SSL_CTX_use_PrivateKey(c, m.key.get()) == 1);
         }},
        {"use_certificate_chain_file",
         [&](SSL_CTX* c)
         {
             REQUIRE(::SSL_CTX_use_certificate_chain_file(c, m.file("own.pem").c_str()) == 1);
             REQUIRE(::SSL_CTX_use_PrivateKey(c, m.key.get()) == 1);
         }},
        {"use_cert_and_key", use_own},
    };
}

std::vector<policy_change> of_client()
{
    auto const& m = made();
    auto const own_with_chain = [&](SSL_CTX* c)
    {
        use_own(c);
        REQUIRE(SSL_CTX_add1_chain_cert(c, m.first.get()) == 1);
    };
    return {
        // A key is an identity even without its certificate
        {"use_PrivateKey", [&](SSL_CTX* c) { REQUIRE(::SSL_CTX_use_PrivateKey(c, m.key.get()) == 1); }},
        {"use_PrivateKey_ASN1",
         [&](SSL_CTX* c)
         {
             auto const der = der_of(m.key.get());
             REQUIRE(::SSL_CTX_use_PrivateKey_ASN1(EVP_PKEY_EC, c, der.data(), static_cast<long>(der.size())) == 1);
         }},
        {"use_PrivateKey_file", [&](SSL_CTX* c)
         { REQUIRE(::SSL_CTX_use_PrivateKey_file(c, m.file("own.key").c_str(), SSL_FILETYPE_PEM) == 1); }},
        {"use_RSAPrivateKey", [&](SSL_CTX* c)
         { REQUIRE(::SSL_CTX_use_RSAPrivateKey(c, const_cast<RSA*>(::EVP_PKEY_get0_RSA(m.rsa.get()))) == 1); }},
        {"use_RSAPrivateKey_ASN1",
         [&](SSL_CTX* c)
         {
             auto const der = der_of(m.rsa.get());
             REQUIRE(::SSL_CTX_use_RSAPrivateKey_ASN1(c, der.data(), static_cast<long>(der.size())) == 1);
         }},
        {"use_RSAPrivateKey_file", [&](SSL_CTX* c)
         { REQUIRE(::SSL_CTX_use_RSAPrivateKey_file(c, m.file("rsa.key").c_str(), SSL_FILETYPE_PEM) == 1); }},
        {"add0_chain_cert",
         [&](SSL_CTX* c)
         {
             ::X509_up_ref(m.other.get());
             REQUIRE(SSL_CTX_add0_chain_cert(c, m.other.get()) == 1);
         },
         use_own},
        {"add1_chain_cert", [&](SSL_CTX* c) { REQUIRE(SSL_CTX_add1_chain_cert(c, m.other.get()) == 1); }, use_own},
        {"set0_chain",
         [&](SSL_CTX* c)
         {
             ::X509_up_ref(m.other.get());
             REQUIRE(SSL_CTX_set0_chain(c, m.chain()) == 1);
         },
         use_own},
        {"set1_chain",
         [&](SSL_CTX* c)
         {
             auto* const chain = m.chain();
             REQUIRE(SSL_CTX_set1_chain(c, chain) == 1);
             sk_X509_free(chain);
         },
         use_own},
        {"clear_chain_certs", [](SSL_CTX* c) { REQUIRE(SSL_CTX_clear_chain_certs(c) == 1); }, own_with_chain},
        {"add_extra_chain_cert",
         [&](SSL_CTX* c)
         {
             ::X509_up_ref(m.other.get());
             REQUIRE(SSL_CTX_add_extra_chain_cert(c, m.other.get()) == 1);
         },
         use_own},
        {"clear_extra_chain_certs", [](SSL_CTX* c) { REQUIRE(SSL_CTX_clear_extra_chain_certs(c) == 1); },
         [&](SSL_CTX* c)
         {
             use_own(c);
             ::X509_up_ref(m.other.get());
             REQUIRE(SSL_CTX_add_extra_chain_cert(c, m.other.get()) == 1);
         }},
        {"build_cert_chain", [](SSL_CTX* c) { REQUIRE(SSL_CTX_build_cert_chain(c, 0) == 1); }, use_own},
        // What is offered
        {"set1_groups",
         [](SSL_CTX* c)
         {
             int groups[] = {NID_X9_62_prime256v1, NID_X25519};
             REQUIRE(SSL_CTX_set1_groups(c, groups, 2) == 1);
         }},
        {"set1_groups_list", [](SSL_CTX* c) { REQUIRE(SSL_CTX_set1_groups_list(c, "P-256:X25519") == 1); }},
        {"set1_curves",
         [](SSL_CTX* c)
         {
             int groups[] = {NID_X9_62_prime256v1};
             REQUIRE(SSL_CTX_set1_curves(c, groups, 1) == 1);
         }},
        {"set1_curves_list", [](SSL_CTX* c) { REQUIRE(SSL_CTX_set1_curves_list(c, "P-256") == 1); }},
        {"set_tmp_ecdh",
         [](SSL_CTX* c)
         {
             EC_KEY* const key = ::EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
             REQUIRE(SSL_CTX_set_tmp_ecdh(c, key) == 1);
             ::EC_KEY_free(key);
         }},
        {"set1_sigalgs",
         [](SSL_CTX* c)
         {
             int algorithms[] = {NID_sha256, EVP_PKEY_EC};
             REQUIRE(SSL_CTX_set1_sigalgs(c, algorithms, 2) == 1);
         }},
        {"set1_sigalgs_list",
         [](SSL_CTX* c) { REQUIRE(SSL_CTX_set1_sigalgs_list(c, "ECDSA+SHA256:ECDSA+SHA384") == 1); }},
        {"set_alpn_protos", [](SSL_CTX* c)
         { REQUIRE(::SSL_CTX_set_alpn_protos(c, reinterpret_cast<unsigned char const*>("\x02h2"), 3) == 0); }},
        {"set_tlsext_max_fragment_length", [](SSL_CTX* c)
         { REQUIRE(::SSL_CTX_set_tlsext_max_fragment_length(c, TLSEXT_max_fragment_length_4096) == 1); }},
        {"set_post_handshake_auth", [](SSL_CTX* c) { ::SSL_CTX_set_post_handshake_auth(c, 1); }, nothing,
         TLS1_3_VERSION},
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
        {"set1_server_cert_type",
         [](SSL_CTX* c)
         {
             unsigned char const types[] = {TLSEXT_cert_type_x509, TLSEXT_cert_type_rpk};
             REQUIRE(::SSL_CTX_set1_server_cert_type(c, types, sizeof types) == 1);
         }},
        {"set1_client_cert_type",
         [&](SSL_CTX* c)
         {
             unsigned char const types[] = {TLSEXT_cert_type_x509, TLSEXT_cert_type_rpk};
             REQUIRE(::SSL_CTX_set1_client_cert_type(c, types, sizeof types) == 1);
         },
         use_own}, // it is offered with a certificate only
#endif
    };
}

} // namespace

std::vector<policy_change> policy_changes(tls_end end)
{
    auto changes = of_both(end);
    if (end == tls_end::client)
        std::ranges::move(of_client(), std::back_inserter(changes));
    return changes;
}

namespace {

X509_STORE* trust_of(SSL_CTX* c)
{
    return ::SSL_CTX_get_cert_store(c);
}

int accept_all(int, X509_STORE_CTX*)
{
    return 1;
}

int check_nothing(X509_STORE_CTX*)
{
    return 1;
}

} // namespace

std::vector<policy_change> parameter_changes()
{
    return {
        {"flags", [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set_flags(::SSL_CTX_get0_param(c), X509_V_FLAG_CRL_CHECK); }},
        {"depth", [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set_depth(::SSL_CTX_get0_param(c), 3); }},
        {"level", [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set_auth_level(::SSL_CTX_get0_param(c), 2); }},
        {"host", [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set1_host(::SSL_CTX_get0_param(c), "localhost", 0); }},
        {"host flags",
         [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set_hostflags(::SSL_CTX_get0_param(c), X509_CHECK_FLAG_NO_WILDCARDS); }},
        {"email", [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set1_email(::SSL_CTX_get0_param(c), "a.test", 0); }},
        {"address", [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_CTX_get0_param(c), "127.0.0.1"); }},
        {"time", [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set_time(::SSL_CTX_get0_param(c), 1); }},
        {"store's flags", [](SSL_CTX* c) { ::X509_STORE_set_flags(trust_of(c), X509_V_FLAG_CRL_CHECK); }},
        {"store's depth", [](SSL_CTX* c) { ::X509_STORE_set_depth(trust_of(c), 3); }},
        {"store's level",
         [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set_auth_level(::X509_STORE_get0_param(trust_of(c)), 2); }},
        {"store's host",
         [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set1_host(::X509_STORE_get0_param(trust_of(c)), "a.test", 0); }},
        {"store's email",
         [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set1_email(::X509_STORE_get0_param(trust_of(c)), "a.test", 0); }},
        {"store's address",
         [](SSL_CTX* c) { ::X509_VERIFY_PARAM_set1_ip_asc(::X509_STORE_get0_param(trust_of(c)), "127.0.0.1"); }},
        {"store's verification", [](SSL_CTX* c) { ::X509_STORE_set_verify(trust_of(c), check_nothing); }},
        {"store's callback", [](SSL_CTX* c) { ::X509_STORE_set_verify_cb(trust_of(c), accept_all); }},
        {"store's revocation check", [](SSL_CTX* c) { ::X509_STORE_set_check_revocation(trust_of(c), check_nothing); }},
        {"callback", [](SSL_CTX* c) { ::SSL_CTX_set_verify(c, ::SSL_CTX_get_verify_mode(c), accept_all); }},
        {"revocation list",
         [](SSL_CTX* c)
         {
             auto const pem = authority().revoke(authority().issue({"a.test"}));
             reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
             X509_CRL* const list = ::PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr);
             REQUIRE(::X509_STORE_add_crl(trust_of(c), list) == 1);
             ::X509_CRL_free(list);
         }},
    };
}

} // namespace test
