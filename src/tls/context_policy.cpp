// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "context_policy.hpp"

#include "base/digest_input.hpp"
#include "tls/client_offer.hpp"

#include <reprise/tls/ssl_handles.hpp>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <new>
#include <vector>

namespace reprise::detail {

namespace {

// What these say concerns tickets, which are reprise's own, and the transport.
constexpr std::uint64_t beside_the_point = SSL_OP_NO_TICKET | SSL_OP_NO_ANTI_REPLAY | SSL_OP_ENABLE_KTLS |
                                           SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT;

void require(bool ok)
{
    if (!ok)
        throw std::bad_alloc{}; // hashing and encoding fail for no other reason
}

sha256_digest digest_of(X509 const* certificate)
{
    sha256_digest digest;
    require(::X509_digest(certificate, ::EVP_sha256(), digest.data(), nullptr) == 1);
    return digest;
}

struct store_lock
{
    explicit store_lock(X509_STORE* s) : store(s) { ::X509_STORE_lock(store); }
    store_lock(store_lock const&) = delete;
    store_lock& operator=(store_lock const&) = delete;
    ~store_lock() { ::X509_STORE_unlock(store); }

    X509_STORE* store;
};

struct errors_put_back
{
    errors_put_back() noexcept { ::ERR_set_mark(); }
    errors_put_back(errors_put_back const&) = delete;
    errors_put_back& operator=(errors_put_back const&) = delete;
    ~errors_put_back() { ::ERR_pop_to_mark(); }
};

void add_params(digest_input& to, X509_VERIFY_PARAM* param)
{
    if (param == nullptr)
        return;
    auto const flags = ::X509_VERIFY_PARAM_get_flags(param);
    to.add(flags);
    to.add(static_cast<std::uint64_t>(::X509_VERIFY_PARAM_get_depth(param)));
    to.add(static_cast<std::uint64_t>(::X509_VERIFY_PARAM_get_auth_level(param)));
    to.add(std::uint64_t{::X509_VERIFY_PARAM_get_hostflags(param)});
    if ((flags & X509_V_FLAG_USE_CHECK_TIME) != 0)
        to.add(static_cast<std::uint64_t>(::X509_VERIFY_PARAM_get_time(param)));
    for (int i = 0; char const* const host = ::X509_VERIFY_PARAM_get0_host(param, i); ++i)
        to.add(std::string_view{host});
    if (char const* const email = ::X509_VERIFY_PARAM_get0_email(param))
        to.add(std::string_view{email});
    if (char* const ip = ::X509_VERIFY_PARAM_get1_ip_asc(param))
    {
        to.add(std::string_view{ip});
        ::OPENSSL_free(ip);
    }
}

// Sorted, for a store keeps them in an order of its own.
void add_anchors(digest_input& to, X509_STORE* store)
{
    if (store == nullptr)
        return;
    std::vector<sha256_digest> anchors;
    {
        store_lock const lock{store};
        STACK_OF(X509_OBJECT) const* const objects = ::X509_STORE_get0_objects(store);
        for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i)
        {
            X509_OBJECT const* const object = sk_X509_OBJECT_value(objects, i);
            if (X509 const* const certificate = ::X509_OBJECT_get0_X509(object))
                anchors.push_back(digest_of(certificate));
            else if (X509_CRL const* const list = ::X509_OBJECT_get0_X509_CRL(object))
                require(::X509_CRL_digest(list, ::EVP_sha256(), anchors.emplace_back().data(), nullptr) == 1);
        }
    }
    std::ranges::sort(anchors);
    to.add(std::uint64_t{anchors.size()});
    for (auto const& anchor : anchors)
        to.add(byte_view{anchor});
    add_params(to, ::X509_STORE_get0_param(store));
}

void add_names(digest_input& to, STACK_OF(X509_NAME) const* names)
{
    auto const count = std::max(0, sk_X509_NAME_num(names));
    to.add(static_cast<std::uint64_t>(count));
    for (int i = 0; i < count; ++i)
    {
        unsigned char const* der = nullptr;
        std::size_t size = 0;
        require(::X509_NAME_get0_der(sk_X509_NAME_value(names, i), &der, &size) == 1);
        to.add(byte_view{der, size});
    }
}

X509_STORE* verify_store(SSL_CTX* context)
{
    X509_STORE* store = nullptr;
    SSL_CTX_get0_verify_cert_store(context, &store);
    return store;
}

// Of every type that the server has a certificate of.
void add_certificates(digest_input& to, SSL* probe)
{
    for (long more = SSL_set_current_cert(probe, SSL_CERT_SET_FIRST); more == 1;
         more = SSL_set_current_cert(probe, SSL_CERT_SET_NEXT))
        if (X509 const* const certificate = ::SSL_get_certificate(probe))
            to.add(byte_view{digest_of(certificate)});
}

sha256_digest read_verification(SSL_CTX* context, tls_end end)
{
    digest_input in{"reprise policy 1"};
    in.add(std::uint64_t{end == tls_end::server});
    in.add(static_cast<std::uint64_t>(::SSL_CTX_get_verify_mode(context)));
    in.add(static_cast<std::uint64_t>(::SSL_CTX_get_verify_depth(context)));
    in.add(static_cast<std::uint64_t>(::SSL_CTX_get_security_level(context)));
    in.add(::SSL_CTX_get_options(context) & ~beside_the_point);
    in.add(static_cast<std::uint64_t>(SSL_CTX_get_min_proto_version(context)));
    in.add(static_cast<std::uint64_t>(SSL_CTX_get_max_proto_version(context)));
    STACK_OF(SSL_CIPHER) const* const ciphers = ::SSL_CTX_get_ciphers(context);
    in.add(static_cast<std::uint64_t>(std::max(0, sk_SSL_CIPHER_num(ciphers))));
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i)
        in.add(std::uint64_t{::SSL_CIPHER_get_id(sk_SSL_CIPHER_value(ciphers, i))});
    add_params(in, ::SSL_CTX_get0_param(context));
    add_anchors(in, ::SSL_CTX_get_cert_store(context));
    add_anchors(in, verify_store(context));
    add_names(in, ::SSL_CTX_get0_CA_list(context));
    add_names(in, ::SSL_CTX_get_client_CA_list(context));
    ssl_ptr const probe{::SSL_new(context)}; // tells the version, and has a list of its own to walk along
    require(probe != nullptr);
    in.add(static_cast<std::uint64_t>(::SSL_version(probe.get()))); // of a method of one version; else of none
    if (end == tls_end::server)
        add_certificates(in, probe.get());
    return in.digest();
}

std::string read_identity(SSL_CTX* context)
{
    X509 const* const certificate = ::SSL_CTX_get0_certificate(context);
    EVP_PKEY const* const key = ::SSL_CTX_get0_privatekey(context);
    if (certificate == nullptr && key == nullptr)
        return {};
    digest_input in{"reprise identity 1"};
    if (certificate != nullptr)
        in.add(byte_view{digest_of(certificate)});
    STACK_OF(X509)* chain = nullptr;
    SSL_CTX_get_extra_chain_certs(context, static_cast<void*>(&chain)); // these, or those of the certificate
    in.add(static_cast<std::uint64_t>(std::max(0, sk_X509_num(chain))));
    for (int i = 0; i < sk_X509_num(chain); ++i)
        in.add(byte_view{digest_of(sk_X509_value(chain, i))});
    unsigned char* der = nullptr;
    int const size =
        key != nullptr ? ::i2d_PUBKEY(key, &der) : 0; // one that lies elsewhere is known by its public half
    if (size > 0)
        in.add(byte_view{der, static_cast<std::size_t>(size)});
    ::OPENSSL_free(der);
    auto const digest = in.digest();
    return {digest.begin(), digest.end()};
}

template <class Pointer>
std::uintptr_t word(Pointer* p) noexcept
{
    return reinterpret_cast<std::uintptr_t>(p);
}

std::uintptr_t word(long long number) noexcept
{
    return static_cast<std::uintptr_t>(number);
}

} // namespace

context_policy read_policy(SSL_CTX* context, tls_end end)
{
    // Asked in the middle of a handshake, of which OpenSSL would think that it has failed.
    errors_put_back const errors;
    context_policy result;
    result.verification = read_verification(context, end);
    if (end == tls_end::client)
    {
        result.offer = read_offer(context);
        result.identity = read_identity(context);
    }
    result.has_callback =
        ::SSL_CTX_get_verify_callback(context) != nullptr || ::SSL_CTX_get_client_cert_cb(context) != nullptr;
    int (*status)(SSL*, void*) = nullptr;
    SSL_CTX_get_tlsext_status_cb(context, &status);
    result.wants_evidence =
        (status != nullptr && SSL_CTX_get_tlsext_status_type(context) != -1) || ::SSL_CTX_ct_is_enabled(context) == 1;
    return result;
}

std::uintptr_t policy_reader::counted::lists_of(X509_STORE* of)
{
    if (of == nullptr)
        return 0;
    store_lock const lock{of};
    STACK_OF(X509_OBJECT) const* const all = ::X509_STORE_get0_objects(of);
    int const count = sk_X509_OBJECT_num(all);
    if (of == store && count == objects)
        return lists;
    *this = {of, count, 0};
    for (int i = 0; i < count; ++i)
        lists += ::X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i)) == X509_LU_CRL ? 1 : 0;
    return lists;
}

policy_stamp policy_reader::stamp(SSL_CTX* context)
{
    X509_STORE* const anchors = ::SSL_CTX_get_cert_store(context);
    X509_STORE* const verify = verify_store(context);
    X509_VERIFY_PARAM* const param = ::SSL_CTX_get0_param(context);
    STACK_OF(X509_NAME) const* const client_cas = ::SSL_CTX_get_client_CA_list(context);
    STACK_OF(X509_NAME) const* const cas = ::SSL_CTX_get0_CA_list(context);
    STACK_OF(X509)* chain = nullptr;
    SSL_CTX_get_extra_chain_certs(context, static_cast<void*>(&chain));
    int (*status)(SSL*, void*) = nullptr;
    SSL_CTX_get_tlsext_status_cb(context, &status);
    return {word(anchors),
            counted_[0].lists_of(anchors),
            word(verify),
            counted_[1].lists_of(verify),
            ::X509_VERIFY_PARAM_get_flags(param),
            word(::X509_VERIFY_PARAM_get_auth_level(param)),
            ::X509_VERIFY_PARAM_get_hostflags(param),
            word(::SSL_CTX_get_verify_mode(context)),
            word(::SSL_CTX_get_verify_depth(context)),
            word(::SSL_CTX_get_verify_callback(context)),
            word(::SSL_CTX_get_client_cert_cb(context)),
            word(::SSL_CTX_get_security_level(context)),
            static_cast<std::uintptr_t>(::SSL_CTX_get_options(context) & ~beside_the_point),
            word(SSL_CTX_get_min_proto_version(context)),
            word(SSL_CTX_get_max_proto_version(context)),
            word(::SSL_CTX_get_ciphers(context)),
            word(::SSL_CTX_get_ssl_method(context)),
            word(::SSL_CTX_get0_certificate(context)),
            word(::SSL_CTX_get0_privatekey(context)),
            word(chain),
            word(sk_X509_num(chain)),
            word(client_cas) ^ word(sk_X509_NAME_num(client_cas)),
            word(cas) ^ word(sk_X509_NAME_num(cas)),
            word(status),
            word(::SSL_CTX_ct_is_enabled(context))};
}

std::shared_ptr<context_policy const> policy_reader::read(SSL_CTX* context)
{
    std::lock_guard const lock{mutex_};
    auto const now = stamp(context);
    if (!last_ || now != stamp_)
    {
        last_ = std::make_shared<context_policy const>(read_policy(context, end_));
        stamp_ = now;
    }
    return last_;
}

void policy_reader::forget() noexcept
{
    std::lock_guard const lock{mutex_};
    last_.reset();
}

} // namespace reprise::detail
