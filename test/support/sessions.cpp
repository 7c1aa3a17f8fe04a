// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/sessions.hpp"

#include "tls/session_time.hpp"

#include <reprise/testing/certificate.hpp>

#include <boost/asio/ssl/context.hpp>

#include <doctest/doctest.h>

namespace test {

namespace asio = boost::asio;
using namespace reprise;

namespace {

ssl_ptr make_end(asio::ssl::context& tls, BIO* bio)
{
    ssl_ptr ssl{SSL_new(tls.native_handle())};
    REQUIRE(ssl != nullptr);
    SSL_set_bio(ssl.get(), bio, bio);
    return ssl;
}

int select_first(SSL*, unsigned char const** out, unsigned char* out_size, unsigned char const* in, unsigned, void*)
{
    *out_size = in[0];
    *out = in + 1;
    return SSL_TLSEXT_ERR_OK;
}

testing::identity const& server_identity()
{
    static testing::certificate_authority const authority{"unit test authority"};
    static testing::identity const made = authority.issue({"localhost"});
    return made;
}

} // namespace

ssl_session_ptr make_live_session(session_recipe const& recipe)
{
    asio::ssl::context server_tls{asio::ssl::context::tls_server};
    server_tls.use_certificate_chain(asio::buffer(server_identity().certificate));
    server_tls.use_private_key(asio::buffer(server_identity().key), asio::ssl::context::pem);
    auto* const server_context = server_tls.native_handle();
    SSL_CTX_set_timeout(server_context, static_cast<long>(recipe.lifetime.count()));
    SSL_CTX_set_max_early_data(server_context, recipe.early_data);
    SSL_CTX_set_alpn_select_cb(server_context, select_first, nullptr);
    if (!recipe.ticket)
        SSL_CTX_set_options(server_context, SSL_OP_NO_TICKET);

    asio::ssl::context client_tls{asio::ssl::context::tls_client};
    SSL_CTX_set_min_proto_version(client_tls.native_handle(), recipe.version);
    SSL_CTX_set_max_proto_version(client_tls.native_handle(), recipe.version);
    SSL_CTX_set_timeout(client_tls.native_handle(), static_cast<long>(recipe.lifetime.count()));

    if (recipe.version < TLS1_2_VERSION)
        for (auto* const tls : {&server_tls, &client_tls})
        {
            SSL_CTX_set_security_level(tls->native_handle(), 0);
            tls->clear_options(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
        }

    BIO* client_bio = nullptr;
    BIO* server_bio = nullptr;
    REQUIRE(BIO_new_bio_pair(&client_bio, 0, &server_bio, 0) == 1);
    auto const client = make_end(client_tls, client_bio);
    auto const server = make_end(server_tls, server_bio);
    if (!recipe.alpn.empty())
    {
        auto const wire = static_cast<char>(recipe.alpn.size()) + recipe.alpn;
        REQUIRE(SSL_set_alpn_protos(client.get(), reinterpret_cast<unsigned char const*>(wire.data()),
                                    static_cast<unsigned>(wire.size())) == 0);
    }
    for (int turn = 0; turn < 10 && !(SSL_is_init_finished(client.get()) && SSL_is_init_finished(server.get())); ++turn)
    {
        SSL_connect(client.get());
        SSL_accept(server.get());
    }
    REQUIRE(SSL_is_init_finished(client.get()) == 1);
    char nothing = 0;
    CHECK(SSL_read(client.get(), &nothing, 1) == -1); // reads the tickets of TLS 1.3
    ssl_session_ptr live{SSL_get1_session(client.get())};
    REQUIRE(live != nullptr);
    SSL_shutdown(client.get());
    SSL_shutdown(server.get());
    reprise::detail::set_issued_at(live.get(), std::chrono::system_clock::to_time_t(recipe.issued));
    return live;
}

session make_session(session_recipe const& recipe)
{
    auto made = session::snapshot(make_live_session(recipe).get(), recipe.origin);
    REQUIRE(made.has_value());
    return *std::move(made);
}

byte_view ticket_of(session const& s)
{
    unsigned char const* bytes = nullptr;
    std::size_t size = 0;
    ::SSL_SESSION_get0_ticket(s.native_handle(), &bytes, &size);
    return {bytes, size};
}

} // namespace test
