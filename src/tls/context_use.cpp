// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/context_use.hpp"

#include "base/openssl.hpp"
#include "base/require_option.hpp"

#include <reprise/ssl_handles.hpp>

namespace reprise::detail {

namespace {

// OpenSSL has getters for an SSL that it lacks for a context.
ssl_ptr sample_of(SSL_CTX* context)
{
    ssl_ptr ssl{::SSL_new(context)};
    check_openssl(ssl != nullptr);
    return ssl;
}

} // namespace

void require_end(SSL_CTX* context, tls_end end)
{
    auto const sample = sample_of(context);
    require_option(::SSL_is_dtls(sample.get()) == 0, "ssl::context: made for DTLS; a stream needs one for TLS");
    if (end == tls_end::server) // a fresh SSL is a server if its method can be one
        require_option(::SSL_is_server(sample.get()) == 1,
                       "ssl::context: made for clients; a session_cache needs ssl::context::tls_server (or tls)");
    else
        require_option(::SSL_CTX_get_ssl_method(context) != ::TLS_server_method(),
                       "ssl::context: made for servers; a client_stream needs ssl::context::tls_client (or tls)");
}

bool has_certificate(SSL_CTX* context)
{
    auto const sample = sample_of(context); // iterating on the context would change its current certificate
    bool const is_found = SSL_set_current_cert(sample.get(), SSL_CERT_SET_FIRST) == 1;
    ::ERR_clear_error();
    return is_found;
}

} // namespace reprise::detail
