// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "contexts.hpp"

#include <reprise/testing/certificate.hpp>

#include <openssl/x509v3.h>

namespace bench {

namespace {

reprise::testing::certificate_authority const& authority()
{
    static reprise::testing::certificate_authority const made{"bench authority"};
    return made;
}

void speak(SSL_CTX* context, kind const& k)
{
    SSL_CTX_set_min_proto_version(context, k.version);
    SSL_CTX_set_max_proto_version(context, k.version);
}

} // namespace

asio::ssl::context server_context(kind const& k)
{
    static auto const own = authority().issue({"localhost"});
    asio::ssl::context tls{asio::ssl::context::tls_server};
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    speak(tls.native_handle(), k);
    return tls;
}

asio::ssl::context client_context(kind const& k)
{
    asio::ssl::context tls{asio::ssl::context::tls_client};
    tls.add_certificate_authority(asio::buffer(authority().pem()));
    tls.set_verify_mode(asio::ssl::verify_peer);
    speak(tls.native_handle(), k);
    return tls;
}

void resume_by_hand(SSL_CTX* context, kind const& k)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_session_id_context(context, reinterpret_cast<unsigned char const*>("bench"), 5);
    SSL_CTX_set_num_tickets(context, 1);
    if (!k.tickets)
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
}

reprise::session_cache resume_with_reprise(asio::ssl::context& tls, kind const& k)
{
    return {tls, {.id_context = "bench", .tickets = k.tickets}};
}

void name_peer(SSL* ssl)
{
    SSL_set_tlsext_host_name(ssl, "localhost");
    SSL_set1_host(ssl, "localhost");
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
}

} // namespace bench
