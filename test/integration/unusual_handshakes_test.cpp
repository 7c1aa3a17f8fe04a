// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Handshakes of which no session is kept: old protocols, external keys, client certificates that fit into no ticket.
#include "support/harness.hpp"
#include "support/large_certificate.hpp"

#include <boost/asio/ssl/stream.hpp>

#include <cstring>

using namespace test;
using reprise::cache_mode;
using reprise::full_handshake_reason;
using reprise::handshake_kind;

TEST_SUITE_BEGIN("unusual_handshakes");

namespace {

/// Visit twice, and check that both ends say that both handshakes were full, and why.
void check_full_twice(world& w, std::string const& protocol, full_handshake_reason why)
{
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            for (int i = 0; i < 2; ++i)
            {
                auto const info = co_await w.visit(stream);
                CHECK(info.kind == handshake_kind::full);
                CHECK(info.resumption == reprise::resumption_kind::none);
                CHECK(std::string{to_string(info.protocol)} == protocol);
                CHECK(info.reason == why);
            }
            co_await w.cache.drain();
        });
    REQUIRE(w.srv.handshakes.size() == 2);
    for (auto const& info : w.srv.handshakes)
    {
        CHECK(info.kind == handshake_kind::full);
        CHECK(info.resumption == reprise::resumption_kind::none);
        CHECK(std::string{to_string(info.protocol)} == protocol);
        CHECK(info.reason == why);
    }
    auto const stats = w.cache.stats();
    CHECK(stats.resumed == 0);
    CHECK(stats.full_by_reason.at(static_cast<std::size_t>(why)) == 2);
    CHECK(stats.entries == 0);
    CHECK(w.store->size() == 0);
    CHECK(::SSL_CTX_sess_number(w.server_tls.native_handle()) == 0);
}

void allow_old_protocols(asio::ssl::context& tls)
{
    ::SSL_CTX_set_security_level(tls.native_handle(), 0); // RFC 9155: SHA-1 and MD5 in their signatures
    tls.clear_options(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1);
}

} // namespace

TEST_CASE("TLS 1.0 and 1.1 are reported as what they are, and not resumed")
{
    for (int const version : {TLS1_VERSION, TLS1_1_VERSION})
        for (bool const tickets : {true, false})
            for (auto const mode : {cache_mode::server, cache_mode::openssl_internal, cache_mode::off})
            {
                CAPTURE(version);
                CAPTURE(tickets);
                CAPTURE(static_cast<unsigned>(mode));
                world w{{.of = {"old", {}, {}, version, tickets},
                         .cache = {.mode = mode},
                         .configure = allow_old_protocols}};
                allow_old_protocols(w.client_tls);
                check_full_twice(w, version == TLS1_VERSION ? "TLSv1" : "TLSv1.1", full_handshake_reason::old_protocol);
            }
}

namespace {

/// Connect as plain OpenSSL does, offering this session. Returns the session that the connection has.
asio::awaitable<reprise::ssl_session_ptr> visit_plainly(world& w, SSL_SESSION* offered)
{
    asio::ssl::stream<tcp::socket> s{w.io, w.client_tls};
    co_await s.next_layer().async_connect(w.srv.endpoint(), asio::use_awaitable);
    if (offered != nullptr)
        REQUIRE(::SSL_set_session(s.native_handle(), offered) == 1);
    co_await s.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
    CHECK(::SSL_session_reused(s.native_handle()) == 0);
    reprise::ssl_session_ptr session{::SSL_get1_session(s.native_handle())};
    char byte = 0;
    co_await asio::async_read(s, asio::buffer(&byte, 1), asio::use_awaitable);
    co_await s.async_shutdown(asio::as_tuple(asio::use_awaitable));
    co_return session;
}

} // namespace

TEST_CASE("a client that keeps sessions of TLS 1.0 and 1.1 gets no ticket, and resumes none")
{
    for (int const version : {TLS1_VERSION, TLS1_1_VERSION})
        for (bool const tickets : {true, false})
            for (auto const mode : {cache_mode::server, cache_mode::openssl_internal})
            {
                CAPTURE(version);
                CAPTURE(tickets);
                CAPTURE(static_cast<unsigned>(mode));
                world w{{.of = {"old", {}, {}, version, tickets},
                         .cache = {.mode = mode},
                         .configure = allow_old_protocols}};
                allow_old_protocols(w.client_tls);
                w.run(
                    [&]() -> asio::awaitable<void>
                    {
                        auto const first = co_await visit_plainly(w, nullptr);
                        CHECK(::SSL_SESSION_has_ticket(first.get()) == 0);
                        co_await visit_plainly(w, first.get());
                    });
                REQUIRE(w.srv.handshakes.size() == 2);
                CHECK(w.srv.handshakes[1].reason == full_handshake_reason::old_protocol);
            }
}

namespace {

unsigned char const secret[32] = {1, 2, 3, 4, 5};
bool is_key_known = true;

SSL_SESSION* session_of_key(SSL* ssl)
{
    unsigned char const suite[] = {0x13, 0x01}; // TLS_AES_128_GCM_SHA256
    SSL_SESSION* const made = ::SSL_SESSION_new();
    ::SSL_SESSION_set1_master_key(made, secret, sizeof secret);
    ::SSL_SESSION_set_cipher(made, ::SSL_CIPHER_find(ssl, suite));
    ::SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION);
    return made;
}

int find_key(SSL* ssl, unsigned char const* identity, std::size_t size, SSL_SESSION** found)
{
    bool const is_found = is_key_known && size == 6 && std::memcmp(identity, "device", 6) == 0;
    *found = is_found ? session_of_key(ssl) : nullptr;
    return 1;
}

int use_key(SSL* ssl, EVP_MD const* digest, unsigned char const** identity, std::size_t* size, SSL_SESSION** used)
{
    *used = digest == nullptr || digest == ::EVP_sha256() ? session_of_key(ssl) : nullptr;
    *identity = reinterpret_cast<unsigned char const*>("device");
    *size = 6;
    return 1;
}

unsigned give_key(unsigned char* key, unsigned size)
{
    REQUIRE(size >= sizeof secret);
    std::memcpy(key, secret, sizeof secret);
    return sizeof secret;
}

unsigned find_old_key(SSL*, char const* identity, unsigned char* key, unsigned size)
{
    return is_key_known && std::string_view{identity} == "device" ? give_key(key, size) : 0;
}

unsigned use_old_key(SSL*, char const*, char* identity, unsigned room, unsigned char* key, unsigned size)
{
    REQUIRE(room >= 7);
    std::memcpy(identity, "device", 7);
    return give_key(key, size);
}

/// How both ends are told of a key that they share. One suite, because a key is for one hash (RFC 8446, 4.2.11).
struct key_setup
{
    char const* name;
    int version;
    void (*on_server)(SSL_CTX*);
    void (*on_client)(SSL_CTX*);
};

void use_one_suite(SSL_CTX* c)
{
    REQUIRE(::SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256") == 1);
}

template <char const* Suites>
void use_suites(SSL_CTX* c)
{
    REQUIRE(::SSL_CTX_set_cipher_list(c, Suites) == 1);
}

constexpr char psk[] = "PSK";
constexpr char rsa_psk[] = "kRSAPSK";
constexpr char dhe_psk[] = "kDHEPSK";
constexpr char ecdhe_psk[] = "kECDHEPSK";

void find_by_session(SSL_CTX* c)
{
    use_one_suite(c);
    ::SSL_CTX_set_psk_find_session_callback(c, find_key);
}

void use_session(SSL_CTX* c)
{
    use_one_suite(c);
    ::SSL_CTX_set_psk_use_session_callback(c, use_key);
}

template <char const* Suites = psk>
void find_by_name(SSL_CTX* c)
{
    use_one_suite(c);
    use_suites<Suites>(c);
    SSL_CTX_set_dh_auto(c, 1);
    ::SSL_CTX_set_psk_server_callback(c, find_old_key);
}

template <char const* Suites = psk>
void use_name(SSL_CTX* c)
{
    use_one_suite(c);
    use_suites<Suites>(c);
    ::SSL_CTX_set_psk_client_callback(c, use_old_key);
}

key_setup const key_setups[] = {
    {"TLS 1.3", TLS1_3_VERSION, find_by_session, use_session},
    {"TLS 1.3, callbacks of TLS 1.2", TLS1_3_VERSION, find_by_name<>, use_name<>},
    {"TLS 1.2", TLS1_2_VERSION, find_by_name<>, use_name<>},
    {"TLS 1.2, DHE", TLS1_2_VERSION, find_by_name<dhe_psk>, use_name<dhe_psk>},
    {"TLS 1.2, ECDHE", TLS1_2_VERSION, find_by_name<ecdhe_psk>, use_name<ecdhe_psk>},
};

} // namespace

TEST_CASE("an external pre-shared key is no resumption, and no session of it is kept")
{
    is_key_known = true;
    for (auto const& keys : key_setups)
        for (bool const tickets : {true, false})
            for (auto const mode : {cache_mode::server, cache_mode::openssl_internal, cache_mode::off})
            {
                CAPTURE(std::string{keys.name});
                CAPTURE(tickets);
                CAPTURE(static_cast<unsigned>(mode));
                world w{{.of = {"key", {}, {}, keys.version, tickets},
                         .cache = {.mode = mode},
                         .configure = [&](asio::ssl::context& tls) { keys.on_server(tls.native_handle()); }}};
                keys.on_client(w.client_tls.native_handle());
                check_full_twice(w, keys.version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2",
                                 full_handshake_reason::external_psk);
            }
}

TEST_CASE("a certificate is verified with RSA and a pre-shared key, but the session is not kept")
{
    is_key_known = true;
    asio::ssl::context server_tls{asio::ssl::context::tls_server};
    std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> const key{EVP_RSA_gen(2048), ::EVP_PKEY_free};
    reprise::x509_ptr const certificate{::X509_new()};
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate.get()), -60);
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate.get()), 3600);
    ::X509_set_pubkey(certificate.get(), key.get());
    REQUIRE(::X509_sign(certificate.get(), key.get(), ::EVP_sha256()) > 0);
    world w{{.of = {"key", {}, {}, TLS1_2_VERSION, true},
             .configure = [&](asio::ssl::context& tls)
             {
                 REQUIRE(::SSL_CTX_use_certificate(tls.native_handle(), certificate.get()) == 1);
                 REQUIRE(::SSL_CTX_use_PrivateKey(tls.native_handle(), key.get()) == 1);
                 find_by_name<rsa_psk>(tls.native_handle());
             }}};
    use_name<rsa_psk>(w.client_tls.native_handle());
    w.client_tls.set_verify_mode(asio::ssl::verify_none);
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream({.verify_peer = false});
            CHECK((co_await w.visit(stream)).reason == full_handshake_reason::external_psk);
        });
    CHECK(w.srv.handshakes.at(0).reason == full_handshake_reason::external_psk);
    CHECK(w.store->size() == 0);
    CHECK(w.cache.stats().entries == 0);
}

TEST_CASE("who has a key and a session resumes the session")
{
    for (auto const& keys : key_setups)
        for (bool const tickets : {true, false})
        {
            if (keys.version !=
                TLS1_3_VERSION) // TLS 1.2 has suites for keys, so that the server's choice says which it is
                continue;
            CAPTURE(std::string{keys.name});
            CAPTURE(tickets);
            auto const& k = kinds[tickets ? 2 : 3];
            is_key_known = false;
            world w{{.of = k, .configure = [&](asio::ssl::context& tls) { keys.on_server(tls.native_handle()); }}};
            keys.on_client(w.client_tls.native_handle());
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream();
                    CHECK((co_await w.visit(stream)).reason == full_handshake_reason::nothing_stored);
                    is_key_known = true;
                    for (int i = 0; i < 2; ++i)
                    {
                        auto const info = co_await w.visit(stream);
                        CHECK(info.resumed());
                        CHECK(info.resumption == k.on_client);
                    }
                });
            REQUIRE(w.srv.handshakes.size() == 3);
            CHECK_FALSE(w.srv.handshakes[0].resumed());
            CHECK(w.srv.handshakes[1].resumption == k.on_server);
            CHECK(w.srv.handshakes[2].resumption == k.on_server);
        }
}

TEST_CASE("a session that the caller sets on an SSL is resumed, and no session of that connection is kept")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                auto const kept = co_await w.store->release([](reprise::session_scope const&) { return true; });
                REQUIRE(kept.size() == 1);
                co_await w.store->clear();
                auto const by_hand = kept.front().ticket.copy();
                reprise::client_options options;
                options.on_ssl = [&](SSL* ssl) { REQUIRE(::SSL_set_session(ssl, by_hand.get()) == 1); };
                auto other = w.stream(options);
                auto const info = co_await w.visit(other);
                CHECK(info.resumed());
                CHECK(info.reason == full_handshake_reason::none);
                CHECK(w.store->size() == 0);
            });
        CHECK(w.srv.handshakes.at(1).resumption == k.on_server);
    }
}

namespace {

void demand_certificate_of(reprise::testing::identity const& client, asio::ssl::context& tls)
{
    tls.add_certificate_authority(asio::buffer(client.certificate));
    tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
}

void identify(asio::ssl::context& tls, reprise::testing::identity const& client)
{
    tls.use_certificate_chain(asio::buffer(client.certificate));
    tls.use_private_key(asio::buffer(client.key), asio::ssl::context::pem);
}

int size_of(X509 const* certificate)
{
    return certificate != nullptr ? ::i2d_X509(certificate, nullptr) : 0;
}

} // namespace

TEST_CASE("a client certificate that fits into no ticket costs the resumption and nothing else")
{
    // About 65'280 bytes fit. The comment is not all of a certificate, and the certificate not all of a session.
    for (std::size_t const comment : {30'000u, 64'600u, 65'000u, 65'300u, 70'000u, 90'000u})
    {
        auto const own = large_certificate(comment);
        for (auto const& k : kinds)
        {
            CAPTURE(comment);
            CAPTURE(std::string{k.name});
            std::vector<int> seen;
            auto const talk = [&](server_side& s) -> asio::awaitable<void>
            {
                seen.push_back(size_of(::SSL_get0_peer_certificate(s.native_handle())));
                seen.push_back(size_of(::SSL_SESSION_get0_peer(::SSL_get_session(s.native_handle()))));
                co_await answer_and_shut_down(s);
            };
            world w{{.of = k,
                     .talk = talk,
                     .configure = [&](asio::ssl::context& tls) { demand_certificate_of(own, tls); }}};
            identify(w.client_tls, own);
            bool const resumes = !k.tickets || comment <= 64'600;
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream();
                    CHECK((co_await w.visit(stream)).reason == full_handshake_reason::nothing_stored);
                    auto const info = co_await w.visit(stream);
                    if (resumes)
                        CHECK(info.resumption == k.on_client);
                    else
                        CHECK(info.reason == full_handshake_reason::not_resumable);
                });
            CHECK(w.srv.failures.empty());
            REQUIRE(w.srv.handshakes.size() == 2);
            CHECK(w.srv.handshakes[1].resumed() == resumes);
            if (!resumes)
                CHECK(w.srv.handshakes[1].reason == full_handshake_reason::not_offered);
            CHECK((w.cache.stats().dropped != 0) == !resumes);
            REQUIRE(seen.size() == 4);
            for (int const size : seen)
                CHECK(size > static_cast<int>(comment));
        }
    }
}

TEST_CASE("nor does a plain stream of the cache's context fail")
{
    auto const own = large_certificate(70'000);
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k, .configure = [&](asio::ssl::context& tls) { demand_certificate_of(own, tls); }}};
        identify(w.client_tls, own);
        tcp::acceptor acceptor{w.io, {asio::ip::address_v4::loopback(), 0}};
        std::string got;
        auto const serve = [&]() -> asio::awaitable<void>
        {
            asio::ssl::stream<tcp::socket> s{co_await acceptor.async_accept(asio::use_awaitable), w.server_tls};
            co_await s.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
            CHECK(size_of(::SSL_get0_peer_certificate(s.native_handle())) > 70'000);
            co_await asio::async_write(s, asio::buffer("!", 1), asio::use_awaitable);
        };
        auto const visit = [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            auto const port = std::to_string(acceptor.local_endpoint().port());
            CHECK_FALSE((co_await stream.async_connect("localhost", port)).resumed());
            char byte = 0;
            co_await asio::async_read(stream, asio::buffer(&byte, 1));
            got += byte;
            stream.close();
        };
        w.run(
            [&]() -> asio::awaitable<void>
            {
                using namespace asio::experimental::awaitable_operators;
                auto both = serve() && visit();
                co_await std::move(both);
            });
        CHECK(got == "!");
    }
}

TEST_SUITE_END();
