// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "verify_again.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <memory>
#include <new>

namespace reprise::detail {

namespace {

struct store_context_deleter
{
    void operator()(X509_STORE_CTX* context) const noexcept { ::X509_STORE_CTX_free(context); }
};

struct stack_deleter
{
    void operator()(STACK_OF(X509) * certificates) const noexcept { sk_X509_free(certificates); }
};

X509_STORE* trust_store(SSL* ssl)
{
    X509_STORE* own = nullptr;
    SSL_get0_verify_cert_store(ssl, &own);
    if (own != nullptr)
        return own;
    SSL_CTX* const context = ::SSL_get_SSL_CTX(ssl);
    SSL_CTX_get0_verify_cert_store(context, &own);
    return own != nullptr ? own : ::SSL_CTX_get_cert_store(context);
}

full_handshake_reason reason_of(int error) noexcept
{
    switch (error)
    {
    case X509_V_ERR_CERT_HAS_EXPIRED: return full_handshake_reason::chain_expired;
    case X509_V_ERR_CERT_REVOKED: return full_handshake_reason::revoked;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    case X509_V_ERR_EMAIL_MISMATCH: return full_handshake_reason::name_differs;
    default: return full_handshake_reason::untrusted;
    }
}

} // namespace

full_handshake_reason verify_again(SSL* ssl, session_origin const& origin, time_point now)
{
    if (!origin.chain || origin.chain->empty())
        return full_handshake_reason::unverified;
    std::unique_ptr<X509_STORE_CTX, store_context_deleter> const context{::X509_STORE_CTX_new()};
    std::unique_ptr<STACK_OF(X509), stack_deleter> const sent{sk_X509_new_null()};
    if (!context || !sent)
        throw std::bad_alloc{};
    for (auto const& certificate : *origin.chain)
        if (sk_X509_push(sent.get(), certificate.get()) == 0)
            throw std::bad_alloc{};
    if (::X509_STORE_CTX_init(context.get(), trust_store(ssl), origin.chain->front().get(), sent.get()) != 1)
        throw std::bad_alloc{};

    // Set up as libssl does in a handshake (SSL_CTX_set_verify(3), X509_STORE_CTX_set_default(3)).
    ::X509_STORE_CTX_set_ex_data(context.get(), ::SSL_get_ex_data_X509_STORE_CTX_idx(), ssl);
    ::X509_STORE_CTX_set_default(context.get(), "ssl_server");
    X509_VERIFY_PARAM* const param = ::X509_STORE_CTX_get0_param(context.get());
    ::X509_VERIFY_PARAM_set_auth_level(param, ::SSL_get_security_level(ssl));
    ::X509_VERIFY_PARAM_set1(param, ::SSL_get0_param(ssl));
    if ((::X509_VERIFY_PARAM_get_flags(param) & X509_V_FLAG_USE_CHECK_TIME) == 0)
        ::X509_VERIFY_PARAM_set_time(param, std::chrono::system_clock::to_time_t(now));
    if (auto* const callback = ::SSL_get_verify_callback(ssl))
        ::X509_STORE_CTX_set_verify_cb(context.get(), callback);

    bool const verified = ::X509_verify_cert(context.get()) == 1;
    auto const error = ::X509_STORE_CTX_get_error(context.get());
    ::ERR_clear_error();
    return verified && error == X509_V_OK ? full_handshake_reason::none : reason_of(error);
}

} // namespace reprise::detail
