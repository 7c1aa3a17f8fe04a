// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

namespace reprise {

/// Frees an OpenSSL object with the function for its type.
struct openssl_deleter
{
    void operator()(SSL* ssl) const noexcept { ::SSL_free(ssl); }
    void operator()(SSL_CTX* context) const noexcept { ::SSL_CTX_free(context); }
    void operator()(SSL_SESSION* session) const noexcept { ::SSL_SESSION_free(session); }
    void operator()(BIO* bio) const noexcept { ::BIO_free(bio); }
    void operator()(X509* certificate) const noexcept { ::X509_free(certificate); }
};

using ssl_ptr = std::unique_ptr<SSL, openssl_deleter>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, openssl_deleter>;
using ssl_session_ptr = std::unique_ptr<SSL_SESSION, openssl_deleter>;
using bio_ptr = std::unique_ptr<BIO, openssl_deleter>;
using x509_ptr = std::unique_ptr<X509, openssl_deleter>;

/// Take another reference to the same context.
[[nodiscard]] inline ssl_ctx_ptr share(SSL_CTX* context) noexcept
{
    ::SSL_CTX_up_ref(context);
    return ssl_ctx_ptr{context};
}

/// Take another reference to the same BIO.
[[nodiscard]] inline bio_ptr share(BIO* bio) noexcept
{
    ::BIO_up_ref(bio);
    return bio_ptr{bio};
}

/// Take another reference to the same certificate.
[[nodiscard]] inline x509_ptr share(X509* certificate) noexcept
{
    ::X509_up_ref(certificate);
    return x509_ptr{certificate};
}

} // namespace reprise
