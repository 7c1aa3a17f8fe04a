// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/handshake/switch_context.hpp"

#include "base/openssl.hpp"

#include <reprise/ssl_handles.hpp>

#include <openssl/x509_vfy.h>

#include <cstdint>

namespace reprise::detail {

namespace {

// Copy the parameters as if the SSL had been made with the context: what is not set there is reset here.
void copy_params(SSL* ssl, SSL_CTX* to)
{
    X509_VERIFY_PARAM* const param = ::SSL_get0_param(ssl);
    ::X509_VERIFY_PARAM_set_inh_flags(param, X509_VP_FLAG_OVERWRITE | X509_VP_FLAG_RESET_FLAGS | X509_VP_FLAG_ONCE);
    check_openssl(::X509_VERIFY_PARAM_inherit(param, ::SSL_CTX_get0_param(to)) == 1);
}

// Copy the mode. The bits that the engine needs stay.
void copy_mode(SSL* ssl, SSL_CTX* to)
{
    constexpr long of_engine = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
    SSL_clear_mode(ssl, SSL_get_mode(ssl) & ~of_engine);
    SSL_set_mode(ssl, SSL_CTX_get_mode(to));
}

struct version_bounds
{
    long lowest = 0; ///< 0 for none
    long highest = 0;
    std::uint64_t options = 0; ///< some of them forbid versions

    [[nodiscard]] bool allow(long version) const noexcept
    {
        return version >= lowest && (highest == 0 || version <= highest) && (options & forbidding(version)) == 0;
    }

    static std::uint64_t forbidding(long version) noexcept
    {
        switch (version)
        {
        case TLS1_VERSION: return SSL_OP_NO_TLSv1;
        case TLS1_1_VERSION: return SSL_OP_NO_TLSv1_1;
        case TLS1_2_VERSION: return SSL_OP_NO_TLSv1_2;
        case TLS1_3_VERSION: return SSL_OP_NO_TLSv1_3;
        default: return 0;
        }
    }
};

// Whether version bounds apply. Other methods, such as TLSv1_2_server_method(3), have one version.
bool has_bounds(SSL_CTX const* context) noexcept
{
    auto const* const method = ::SSL_CTX_get_ssl_method(context);
    return method == ::TLS_method() || method == ::TLS_server_method();
}

version_bounds bounds_of(SSL_CTX* context)
{
    version_bounds result{SSL_CTX_get_min_proto_version(context), SSL_CTX_get_max_proto_version(context),
                          ::SSL_CTX_get_options(context)};
    if (!has_bounds(context))
    {
        ssl_ptr const probe{::SSL_new(context)};
        check_openssl(probe != nullptr);
        result = {::SSL_version(probe.get()), ::SSL_version(probe.get())};
    }
    return result;
}

// An SSL keeps the method of its first context. Bounds must be set before the switch, while that is its context.
bool copy_versions(SSL* ssl, SSL_CTX* to)
{
    auto const bounds = bounds_of(to);
    if (!has_bounds(::SSL_get_SSL_CTX(ssl)))
        return bounds.allow(::SSL_version(ssl));
    // In this order, so that the bounds never exclude each other.
    check_openssl(SSL_set_min_proto_version(ssl, 0) == 1 && SSL_set_max_proto_version(ssl, bounds.highest) == 1 &&
                  SSL_set_min_proto_version(ssl, bounds.lowest) == 1);
    return true;
}

} // namespace

bool switch_context(SSL* ssl, SSL_CTX* to)
{
    if (!copy_versions(ssl, to))
        return false;
    check_openssl(::SSL_set_SSL_CTX(ssl, to) != nullptr);
    ::SSL_set_verify(ssl, ::SSL_CTX_get_verify_mode(to), ::SSL_CTX_get_verify_callback(to));
    copy_params(ssl, to);
    ::SSL_clear_options(ssl, ::SSL_get_options(ssl));
    ::SSL_set_options(ssl, ::SSL_CTX_get_options(to));
    copy_mode(ssl, to);
    ::SSL_set_num_tickets(ssl, ::SSL_CTX_get_num_tickets(to));
    SSL_set_max_cert_list(ssl, SSL_CTX_get_max_cert_list(to));
    ::SSL_set_quiet_shutdown(ssl, ::SSL_CTX_get_quiet_shutdown(to));
    ::SSL_set_psk_server_callback(ssl, nullptr);
    ::SSL_set_psk_find_session_callback(ssl, nullptr);
    return true;
}

} // namespace reprise::detail
