// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Settings that a caller makes on the SSL of a client_stream: in client_options::on_ssl, or by hand.

#include "support/harness.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

using namespace test;
using reprise::errc;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("settings of an SSL");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

using hook = std::function<void(SSL*)>;

int accept_all(int, X509_STORE_CTX*)
{
    return 1;
}

void use(SSL* ssl, reprise::testing::identity const& own)
{
    reprise::bio_ptr const certificate{
        BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size()))};
    reprise::bio_ptr const key{BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()))};
    reprise::x509_ptr const x509{PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr)};
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> const private_key{
        PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
    REQUIRE(SSL_use_certificate(ssl, x509.get()) == 1);
    REQUIRE(SSL_use_PrivateKey(ssl, private_key.get()) == 1);
}

// A visit by a stream of its own; nothing if it is refused.
asio::awaitable<std::optional<reprise::handshake_info>> visit(world& w, hook on_ssl, std::string policy_tag = {})
{
    reprise::client_options options;
    options.on_ssl = std::move(on_ssl);
    options.policy_tag = std::move(policy_tag);
    auto stream = w.stream(options);
    auto const [ec, info] = co_await stream.async_connect("localhost", w.srv.port(), as_tuple);
    if (ec)
        co_return std::nullopt;
    co_await read_all(stream);
    co_await stream.async_shutdown();
    co_return info;
}

struct change
{
    char const* name;
    hook make;
    full_handshake_reason reason = full_handshake_reason::policy_differs;
    bool is_kept = true; // sessions that are made so are used again
};

std::vector<change> changes()
{
    static auto const alice = authority().issue({"alice"});
    return {
        {"groups", [](SSL* s) { REQUIRE(SSL_set1_groups_list(s, "P-384:P-256") == 1); }},
        {"signature algorithms", [](SSL* s) { REQUIRE(SSL_set1_sigalgs_list(s, "ECDSA+SHA256") == 1); }},
        {"ALPN",
         [](SSL* s) { REQUIRE(SSL_set_alpn_protos(s, reinterpret_cast<unsigned char const*>("\2h2"), 3) == 0); }},
        {"ciphers",
         [](SSL* s)
         {
             REQUIRE(SSL_set_cipher_list(s, "ECDHE-ECDSA-AES256-GCM-SHA384") == 1);
             REQUIRE(SSL_set_ciphersuites(s, "TLS_AES_256_GCM_SHA384") == 1);
         }},
        {"verification mode", [](SSL* s) { SSL_set_verify(s, SSL_VERIFY_NONE, nullptr); }},
        {"verification depth", [](SSL* s) { SSL_set_verify_depth(s, 5); }},
        {"flags", [](SSL* s) { X509_VERIFY_PARAM_set_flags(SSL_get0_param(s), X509_V_FLAG_X509_STRICT); }},
        {"a name to verify", [](SSL* s) { REQUIRE(SSL_set1_host(s, "a.test") == 1); }},
        {"one more name",
         [](SSL* s)
         {
             REQUIRE(SSL_set1_host(s, "localhost") == 1);
             REQUIRE(SSL_add1_host(s, "a.test") == 1);
         }},
        {"an address to verify",
         [](SSL* s) { REQUIRE(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s), "127.0.0.1") == 1); }},
        {"server name", [](SSL* s) { REQUIRE(SSL_set_tlsext_host_name(s, "a.test") == 1); },
         full_handshake_reason::nothing_stored},
        {"security level", [](SSL* s) { SSL_set_security_level(s, 1); }},
        {"options", [](SSL* s) { SSL_set_options(s, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_NO_RENEGOTIATION); }},
        {"client certificate", [](SSL* s) { use(s, alice); }, full_handshake_reason::identity_differs},
        {"verify callback", [](SSL* s) { SSL_set_verify(s, SSL_VERIFY_PEER, accept_all); },
         full_handshake_reason::unrepeatable, false},
    };
}

} // namespace

TEST_CASE("the hook is called once for each connection, and a hook that changes nothing changes nothing")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        int calls = 0;
        auto const log_keys = [&](SSL* ssl)
        {
            CHECK(SSL_is_server(ssl) == 0);
            CHECK(SSL_get_session(ssl) == nullptr);
            ++calls;
        };
        w.run(
            [&]() -> asio::awaitable<void>
            {
                CHECK_FALSE((co_await visit(w, nullptr))->resumed());
                CHECK((co_await visit(w, log_keys))->resumed());
                CHECK(calls == 1);
                CHECK((co_await visit(w, nullptr))->resumed());
                reprise::client_options options;
                options.on_ssl = log_keys;
                auto stream = w.stream(options);
                co_await w.visit(stream);
                CHECK((co_await stream.async_reconnect()).resumed());
                CHECK(calls == 3);
                co_await read_all(stream);
                co_await stream.async_shutdown();
            });
        for (std::size_t i = 1; i < 5; ++i)
            CHECK(w.srv.handshakes.at(i).resumption == k.on_server);
    }
}

TEST_CASE("what a hook sets is a part of whose session it is")
{
    for (auto const& k : {kinds[0], kinds[1], kinds[2], kinds[3]})
        for (auto const& c : changes())
        {
            CAPTURE(std::string{k.name});
            CAPTURE(std::string{c.name});
            world w{{.of = k}};
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    // A name of the caller's choice would be the name of another session at the server.
                    CHECK_FALSE((co_await visit(w, nullptr))->resumed());
                    auto const first = co_await visit(w, c.make);
                    REQUIRE(first);
                    CHECK_FALSE(first->resumed());
                    CHECK_MESSAGE(first->reason == c.reason, to_string(first->reason));
                    auto const second = co_await visit(w, c.make);
                    REQUIRE(second);
                    CHECK(second->resumed() == c.is_kept);
                    // The stream without a hook has its own sessions still.
                    CHECK((co_await visit(w, nullptr))->resumed());
                });
            CHECK(w.srv.handshakes.at(2).resumed() == c.is_kept);
            CHECK(w.srv.handshakes.at(3).resumption == k.on_server);
        }
}

TEST_CASE("a callback that a hook sets needs the caller's word, as one of a context's")
{
    world w{};
    auto const judge = [](SSL* s) { SSL_set_verify(s, SSL_VERIFY_PEER, accept_all); };
    w.run(
        [&]() -> asio::awaitable<void>
        {
            CHECK_FALSE((co_await visit(w, judge, "accepts all"))->resumed());
            CHECK((co_await visit(w, judge, "accepts all"))->resumed());
            CHECK((co_await visit(w, judge))->reason == full_handshake_reason::unrepeatable);
        });
}

TEST_CASE("a session that a hook left unverified never reaches a stream that verifies")
{
    asio::io_context io;
    reprise::testing::certificate_authority const stranger{"stranger"};
    asio::ssl::context tls{asio::ssl::context::tls_server};
    auto const own = stranger.issue({"localhost"});
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        server srv{w.io, reprise::session_cache{tls, {.id_context = "stranger"}}};
        reprise::client_options careless;
        careless.on_ssl = [](SSL* s) { SSL_set_verify(s, SSL_VERIFY_NONE, nullptr); };
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream(careless);
                for (bool const resumes : {false, true})
                {
                    CHECK((co_await stream.async_connect("localhost", srv.port())).resumed() == resumes);
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
                auto careful = w.stream();
                auto const [ec, info] = co_await careful.async_connect("localhost", srv.port(), as_tuple);
                CHECK(ec.category() == asio::error::get_ssl_category());
            });
        tls = asio::ssl::context{asio::ssl::context::tls_server};
        tls.use_certificate_chain(asio::buffer(own.certificate));
        tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    }
}

TEST_CASE("the line that every example has may stay: the names of the peer, set by hand before connecting")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                for (bool const resumes : {false, true, true})
                {
                    auto stream = w.stream();
                    REQUIRE(SSL_set_tlsext_host_name(stream.native_handle(), "localhost") == 1);
                    REQUIRE(SSL_set1_host(stream.native_handle(), "localhost") == 1);
                    auto const* const first = stream.native_handle();
                    CHECK((co_await w.visit(stream)).resumed() == resumes);
                    CHECK(stream.native_handle() == first);
                    CHECK((co_await stream.async_reconnect()).resumed());
                    CHECK(stream.native_handle() != first);
                    CHECK(stream.key().server_name == "localhost");
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
                CHECK((co_await visit(w, nullptr))->resumed()); // and they are everybody's sessions
            });
    }
}

TEST_CASE("other settings made by hand hold for one connection, and the next one says that they are gone")
{
    for (auto const& c : changes())
    {
        CAPTURE(std::string{c.name});
        world w{};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                CHECK_FALSE((co_await visit(w, nullptr))->resumed());
                auto stream = w.stream();
                c.make(stream.native_handle());
                auto const [ec, info] = co_await stream.async_connect("localhost", w.srv.port(), as_tuple);
                REQUIRE_FALSE(ec);
                CHECK_MESSAGE(info.reason == c.reason, to_string(info.reason));
                co_await read_all(stream);
                co_await stream.async_shutdown();
                auto const [lost, none] = co_await stream.async_reconnect(as_tuple);
                CHECK(lost == errc::settings_lost);
                CHECK(lost.message().find("on_ssl") != std::string::npos);
                auto const [still, nothing] = co_await stream.async_connect("localhost", w.srv.port(), as_tuple);
                CHECK(still == errc::settings_lost);
            });
        CHECK(w.srv.handshakes.size() == 2);
    }
}

TEST_CASE("the caller's info callback sees each handshake once, though what is offered was read before")
{
    static int starts = 0;
    auto const count = [](SSL const*, int where, int) { starts += (where & SSL_CB_HANDSHAKE_START) != 0 ? 1 : 0; };
    world w{};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            SSL_set_info_callback(stream.native_handle(), count);
            starts = 0;
            co_await w.visit(stream);
            CHECK(starts <= 2); // TLS 1.3 counts its tickets as another one
            reprise::client_options options;
            options.on_ssl = [&](SSL* s) { SSL_set_info_callback(s, count); };
            auto hooked = w.stream(options);
            starts = 0;
            CHECK((co_await w.visit(hooked)).resumed());
            CHECK(starts >= 1);
            CHECK(starts <= 2);
        });
}

TEST_CASE("early data goes with an SSL that was read before")
{
    world w{{.of = kinds[2],
             .cache = {.early_data = {.max_bytes = 16384, .guard = reprise::replay_guard::in_memory()}},
             .talk = [](server_side& stream) -> asio::awaitable<void>
             {
                 char byte = 0;
                 co_await stream.async_read_some(asio::buffer(&byte, 1));
                 co_await answer_and_shut_down(stream);
             }}};
    reprise::client_options options;
    options.on_ssl = [](SSL* s) { REQUIRE(SSL_set1_groups_list(s, "P-256") == 1); };
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            reprise::early_data const early{asio::buffer("x", 1)};
            for (bool const accepted : {false, true})
            {
                auto const info = co_await stream.async_connect("localhost", w.srv.port(), early);
                CHECK((info.early_data == reprise::early_data_status::accepted) == accepted);
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }
        });
}

TEST_SUITE_END();
