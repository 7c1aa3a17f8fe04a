// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // methods of one version are tried, too

#include "support/harness.hpp"
#include "support/large_certificate.hpp"

#include <boost/asio/ssl/stream.hpp>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("settings of the chosen host");

namespace {

using change = std::function<void(SSL_CTX*)>;

void nothing(SSL_CTX*) {}

/// A server whose selector chooses the one host that there is, and clients of that.
struct hosted
{
    explicit hosted(change const& front, change const& at_host, conversation talk = answer_and_shut_down,
                    reprise::session_cache_options of_front = {}, reprise::session_cache_options of_host = {})
        : first_tls(configured(front)), host_tls(configured(at_host)), first(first_tls, named(of_front, "front/v1")),
          host(host_tls, named(of_host, "host/v1")), srv(io, first, {.select_host = selector()}, std::move(talk))
    {
    }

    static asio::ssl::context configured(change const& apply)
    {
        auto tls = server_context({"a.test"});
        apply(tls.native_handle());
        return tls;
    }

    static reprise::session_cache_options named(reprise::session_cache_options options, char const* name)
    {
        options.id_context = name;
        return options;
    }

    reprise::virtual_host_selector selector()
    {
        return [this](reprise::client_hello const& hello) -> asio::awaitable<std::optional<reprise::session_cache>>
        {
            asked.push_back(hello.server_name);
            co_return host;
        };
    }

    /// Whether a client that is configured so connects.
    bool connects(change const& client)
    {
        auto tls = client_context();
        client(tls.native_handle());
        return visit(tls).has_value();
    }

    std::optional<reprise::handshake_info> visit(asio::ssl::context& tls)
    {
        std::optional<reprise::handshake_info> result;
        client_side stream{io.get_executor(), tls, *store};
        auto const talk = [&]() -> asio::awaitable<void>
        {
            std::vector const endpoints{srv.endpoint()};
            auto const no_throw = asio::as_tuple(asio::use_awaitable);
            auto const [ec, info] =
                co_await stream.async_connect("a.test", port_of(endpoints), {.endpoints = endpoints}, no_throw);
            if (ec)
                co_return;
            char byte = 0;
            auto const [read, size] =
                co_await asio::async_read(stream, asio::buffer(&byte, 1), asio::transfer_all(), no_throw);
            co_await stream.async_shutdown();
            if (!read) // a server refuses a client's certificate after TLS 1.3 clients are done
                result = info;
        };
        io.restart();
        run(io, talk());
        return result;
    }

    asio::io_context io;
    asio::ssl::context first_tls;
    asio::ssl::context host_tls;
    reprise::session_cache first;
    reprise::session_cache host;
    std::vector<std::string> asked;
    std::shared_ptr<reprise::memory_session_store> store = reprise::memory_session_store::make();
    server srv;
};

change versions(int lowest, int highest)
{
    return [=](SSL_CTX* c)
    {
        REQUIRE(SSL_CTX_set_min_proto_version(c, lowest) == 1);
        REQUIRE(SSL_CTX_set_max_proto_version(c, highest) == 1);
    };
}

change groups(char const* list)
{
    return [=](SSL_CTX* c) { REQUIRE(SSL_CTX_set1_groups_list(c, list) == 1); };
}

change both(change first, change second)
{
    return [first = std::move(first), second = std::move(second)](SSL_CTX* c)
    {
        first(c);
        second(c);
    };
}

reprise::x509_ptr certificate_of(std::string const& pem)
{
    reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
    return reprise::x509_ptr{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
}

change client_certificate(reprise::testing::identity own)
{
    return [own = std::move(own)](SSL_CTX* c)
    {
        auto const certificate = certificate_of(own.certificate);
        reprise::bio_ptr const in{::BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()))};
        EVP_PKEY* const key = ::PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr);
        REQUIRE(::SSL_CTX_use_cert_and_key(c, certificate.get(), key, nullptr, 1) == 1);
        ::EVP_PKEY_free(key);
    };
}

void trust(SSL_CTX* c, std::string const& pem)
{
    REQUIRE(::X509_STORE_add_cert(::SSL_CTX_get_cert_store(c), certificate_of(pem).get()) == 1);
}

void demand_certificate(SSL_CTX* c)
{
    ::SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

/// What a setting is for: the host has it, the stream's own context has another one.
struct row
{
    std::string_view setting;
    change first;
    change host;
    change welcome; ///< a client that the host takes, and the first context would not
    change refused; ///< the other way round
};

std::vector<row> rows()
{
    auto const p384 = groups("P-384");
    auto const p256 = groups("P-256");
    auto const tls12 = versions(TLS1_2_VERSION, TLS1_2_VERSION);
    auto const tls13 = versions(TLS1_3_VERSION, TLS1_3_VERSION);
    auto const suites = [](char const* list)
    { return [=](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_ciphersuites(c, list) == 1); }; };
    auto const ciphers = [](char const* list)
    { return [=](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_cipher_list(c, list) == 1); }; };
    auto const algorithms = [](char const* list)
    { return [=](SSL_CTX* c) { REQUIRE(SSL_CTX_set1_sigalgs_list(c, list) == 1); }; };
    auto const options = [](std::uint64_t bits) { return [=](SSL_CTX* c) { ::SSL_CTX_set_options(c, bits); }; };

    static reprise::testing::certificate_authority const one{"one"};
    static reprise::testing::certificate_authority const two{"two"};
    static auto const below = one.issue_authority("below one");
    auto const of_one = client_certificate(one.issue({"alice"}));
    auto const of_two = client_certificate(two.issue({"bob"}));
    auto const of_below = client_certificate(below.issue({"below"}));
    auto const trusts = [](std::string const& pem)
    {
        return [=](SSL_CTX* c)
        {
            demand_certificate(c);
            trust(c, pem);
        };
    };
    auto const trusts_for_verification = [](std::string const& pem)
    {
        return [=](SSL_CTX* c)
        {
            demand_certificate(c);
            X509_STORE* const store = ::X509_STORE_new();
            REQUIRE(::X509_STORE_add_cert(store, certificate_of(pem).get()) == 1);
            REQUIRE(SSL_CTX_set0_verify_cert_store(c, store) == 1);
        };
    };
    auto const flags = [](unsigned long bits)
    { return [=](SSL_CTX* c) { ::X509_VERIFY_PARAM_set_flags(::SSL_CTX_get0_param(c), bits); }; };
    auto const large = large_certificate(20'000);
    auto const longest_list = [](long size) { return [=](SSL_CTX* c) { SSL_CTX_set_max_cert_list(c, size); }; };

    return {
        {"groups, TLS 1.3", both(tls13, p256), both(tls13, p384), p384, p256},
        {"groups, TLS 1.2", both(tls12, groups("X25519")), both(tls12, p384), groups("P-256:P-384"),
         groups("P-256:X25519")},
        {"groups, none set by the first", tls13, both(tls13, p384), p384, groups("X25519")},
        {"groups, none set by the host", both(tls13, p384), tls13, groups("X25519"), {}},
        {"suites", both(tls13, suites("TLS_AES_128_GCM_SHA256")), both(tls13, suites("TLS_AES_256_GCM_SHA384")),
         suites("TLS_AES_256_GCM_SHA384"), suites("TLS_AES_128_GCM_SHA256")},
        {"ciphers", both(tls12, ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")),
         both(tls12, ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")), ciphers("ECDHE-ECDSA-AES256-GCM-SHA384"),
         ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")},
        {"signature algorithms", both(tls12, algorithms("ECDSA+SHA256")), both(tls12, algorithms("ECDSA+SHA384")),
         algorithms("ECDSA+SHA384"), algorithms("ECDSA+SHA256")},
        {"versions", tls12, tls13, tls13, tls12},
        {"version options", options(SSL_OP_NO_TLSv1_3), options(SSL_OP_NO_TLSv1_2), tls13, tls12},
        {"method", [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_ssl_version(c, ::TLS_server_method()) == 1); },
         [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_ssl_version(c, ::TLSv1_2_server_method()) == 1); }, tls12, tls13},
        {"method, of the first",
         [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_ssl_version(c, ::TLSv1_2_server_method()) == 1); },
         tls13,
         {},
         tls12},
        {"method, of the first, forbidden",
         [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_ssl_version(c, ::TLSv1_2_server_method()) == 1); },
         options(SSL_OP_NO_TLSv1_2),
         {},
         nothing},
        {"method, of both", [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_ssl_version(c, ::TLSv1_2_server_method()) == 1); },
         nothing, tls12, tls13},
        {"security level",
         [](SSL_CTX* c) { ::SSL_CTX_set_security_level(c, 1); },
         [](SSL_CTX* c) { ::SSL_CTX_set_security_level(c, 5); },
         {},
         nothing}, // 256 bits: more than any P-256 has
        {"trust store", trusts(one.pem()), trusts(two.pem()), of_two, of_one},
        {"store of verification", trusts_for_verification(one.pem()), trusts_for_verification(two.pem()), of_two,
         of_one},
        {"verify mode", nothing, trusts(one.pem()), of_one, nothing},
        {"verify mode, off", trusts(one.pem()), nothing, nothing, {}},
        // Only the authority in the middle is trusted, which takes a flag.
        {"verify flags",
         both(trusts(below.pem()), flags(X509_V_FLAG_PARTIAL_CHAIN)),
         trusts(below.pem()),
         {},
         of_below},
        {"verify flags, on",
         trusts(below.pem()),
         both(trusts(below.pem()), flags(X509_V_FLAG_PARTIAL_CHAIN)),
         of_below,
         {}},
        {"verify depth",
         both(trusts(one.pem()), [](SSL_CTX* c) { ::SSL_CTX_set_verify_depth(c, 0); }),
         trusts(one.pem()),
         [&, below_chain = below.issue({"below"})](SSL_CTX* c)
         {
             client_certificate(below_chain)(c);
             auto const middle = certificate_of(below.pem());
             REQUIRE(SSL_CTX_add1_chain_cert(c, middle.get()) == 1);
         },
         {}},
        {"longest list of certificates",
         both(trusts(large.certificate), longest_list(100'000)),
         both(trusts(large.certificate), longest_list(10'000)),
         {},
         client_certificate(large)},
        {"verify callback",
         [](SSL_CTX* c) { ::SSL_CTX_set_verify(c, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; }); },
         [](SSL_CTX* c) { ::SSL_CTX_set_verify(c, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 0; }); },
         {},
         of_one},
        {"verification",
         [](SSL_CTX* c)
         {
             demand_certificate(c);
             ::SSL_CTX_set_cert_verify_callback(c, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
         },
         [](SSL_CTX* c)
         {
             demand_certificate(c);
             ::SSL_CTX_set_cert_verify_callback(c, [](X509_STORE_CTX*, void*) { return 0; }, nullptr);
         },
         {},
         of_one},
    };
}

} // namespace

TEST_CASE("the chosen host's settings decide, and the first context's do not")
{
    for (auto const& r : rows())
    {
        CAPTURE(r.setting);
        hosted h{r.first, r.host};
        if (r.welcome)
            CHECK(h.connects(r.welcome));
        if (r.refused)
            CHECK_FALSE(h.connects(r.refused));
    }
}

TEST_CASE("an SSL that was switched is as one that the host's context has made")
{
    auto const settings = [](SSL* ssl)
    {
        X509_VERIFY_PARAM* const param = ::SSL_get0_param(ssl);
        constexpr std::uint64_t ours = SSL_OP_NO_ANTI_REPLAY | SSL_OP_NO_TICKET;
        constexpr long of_engine =
            SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS;
        char const* const host = ::X509_VERIFY_PARAM_get0_host(param, 0);
        return std::vector<std::string>{
            std::to_string(::SSL_get_options(ssl) & ~ours),
            std::to_string(SSL_get_mode(ssl) | of_engine),
            std::to_string(SSL_get_min_proto_version(ssl)),
            std::to_string(SSL_get_max_proto_version(ssl)),
            std::to_string(::SSL_get_verify_mode(ssl)),
            std::to_string(::SSL_get_security_level(ssl)),
            std::to_string(::SSL_get_quiet_shutdown(ssl)),
            std::to_string(SSL_get_max_cert_list(ssl)),
            std::to_string(::SSL_get_num_tickets(ssl)),
            std::to_string(::X509_VERIFY_PARAM_get_flags(param)),
            std::to_string(::X509_VERIFY_PARAM_get_depth(param)),
            std::to_string(::X509_VERIFY_PARAM_get_auth_level(param)),
            std::to_string(::X509_VERIFY_PARAM_get_hostflags(param)),
            host != nullptr ? host : "",
        };
    };
    auto const unusual = [](SSL_CTX* c)
    {
        ::SSL_CTX_set_options(c, SSL_OP_NO_ENCRYPT_THEN_MAC);
        ::SSL_CTX_clear_options(c, SSL_OP_NO_COMPRESSION);
        SSL_CTX_clear_mode(c, SSL_MODE_AUTO_RETRY);
        REQUIRE(SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1);
        REQUIRE(SSL_CTX_set_max_proto_version(c, TLS1_3_VERSION) == 1);
        ::SSL_CTX_set_security_level(c, 2);
        ::SSL_CTX_set_quiet_shutdown(c, 1);
        SSL_CTX_set_max_cert_list(c, 12'345);
        X509_VERIFY_PARAM* const param = ::SSL_CTX_get0_param(c);
        ::X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        ::X509_VERIFY_PARAM_set_depth(param, 5);
        ::X509_VERIFY_PARAM_set_auth_level(param, 1);
        ::X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_WILDCARDS);
        ::X509_VERIFY_PARAM_set1_host(param, "client.test", 0);
    };
    for (bool const first_is_unusual : {true, false})
    {
        CAPTURE(first_is_unusual);
        std::vector<std::string> found;
        auto const talk = [&](server_side& stream) -> asio::awaitable<void>
        {
            found = settings(stream.native_handle());
            co_await answer_and_shut_down(stream);
        };
        hosted h{first_is_unusual ? change{unusual} : nothing,
                 first_is_unusual ? nothing : change{unusual},
                 talk,
                 {.num_tickets = 2},
                 {.num_tickets = 3}};
        h.connects(nothing);
        reprise::ssl_ptr const fresh{::SSL_new(h.host_tls.native_handle())};
        CHECK(found == settings(fresh.get()));
        reprise::ssl_ptr const other{::SSL_new(h.first_tls.native_handle())};
        CHECK(found != settings(other.get()));
    }
}

TEST_CASE("the names of authorities that a client is sent are the host's")
{
    reprise::testing::certificate_authority const one{"one"};
    reprise::testing::certificate_authority const two{"two"};
    auto const asks_for = [](std::string const& pem)
    {
        return [=](SSL_CTX* c)
        {
            ::SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
            REQUIRE(::SSL_CTX_add_client_CA(c, certificate_of(pem).get()) == 1);
        };
    };
    static std::vector<std::string> asked;
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        asked.clear();
        hosted h{asks_for(one.pem()), asks_for(two.pem())};
        h.connects(both(versions(version, version),
                        [](SSL_CTX* c)
                        {
                            ::SSL_CTX_set_cert_cb(
                                c,
                                [](SSL* ssl, void*)
                                {
                                    STACK_OF(X509_NAME) const* const names = ::SSL_get0_peer_CA_list(ssl);
                                    for (int i = 0; i < sk_X509_NAME_num(names); ++i)
                                    {
                                        char name[64] = "";
                                        ::X509_NAME_get_text_by_NID(sk_X509_NAME_value(names, i), NID_commonName, name,
                                                                    sizeof name);
                                        asked.emplace_back(name);
                                    }
                                    return 1;
                                },
                                nullptr);
                        }));
        CHECK(asked == std::vector<std::string>{"two"});
    }
}

TEST_CASE("the protocol is chosen by the host's ALPN callback")
{
    auto const chooses = [](char const* wire)
    {
        return [=](SSL_CTX* c)
        {
            ::SSL_CTX_set_alpn_select_cb(
                c,
                [](SSL*, unsigned char const** out, unsigned char* size, unsigned char const* in, unsigned in_size,
                   void* mine)
                {
                    auto const* const own = static_cast<unsigned char const*>(mine);
                    auto const chosen =
                        ::SSL_select_next_proto(const_cast<unsigned char**>(out), size, own, own[0] + 1u, in, in_size);
                    return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
                },
                const_cast<char*>(wire));
        };
    };
    hosted h{chooses("\x02h2"), chooses("\x08http/1.1")};
    auto tls = client_context();
    REQUIRE(::SSL_CTX_set_alpn_protos(tls.native_handle(), reinterpret_cast<unsigned char const*>("\x02h2\x08http/1.1"),
                                      12) == 0);
    auto const info = h.visit(tls);
    REQUIRE(info.has_value());
    CHECK(info->alpn == "http/1.1");
}

namespace {

SSL_SESSION* external_psk(SSL* ssl)
{
    unsigned char const key[32] = {1, 2, 3, 4, 5};
    unsigned char const suite[] = {0x13, 0x01};
    SSL_SESSION* const made = ::SSL_SESSION_new();
    ::SSL_SESSION_set1_master_key(made, key, sizeof key);
    ::SSL_SESSION_set_cipher(made, ::SSL_CIPHER_find(ssl, suite));
    ::SSL_SESSION_set_protocol_version(made, TLS1_3_VERSION);
    return made;
}

} // namespace

TEST_CASE("who has a key of the first context's is nobody at the host")
{
    auto const takes_psk = [](SSL_CTX* c)
    {
        ::SSL_CTX_set_psk_find_session_callback(c,
                                                [](SSL* ssl, unsigned char const*, std::size_t, SSL_SESSION** found)
                                                {
                                                    *found = external_psk(ssl);
                                                    return 1;
                                                });
    };
    hosted h{takes_psk, demand_certificate};
    CHECK_FALSE(h.connects(both(versions(TLS1_3_VERSION, TLS1_3_VERSION),
                                [](SSL_CTX* c)
                                {
                                    ::SSL_CTX_set_psk_use_session_callback(
                                        c,
                                        [](SSL* ssl, EVP_MD const*, unsigned char const** id, std::size_t* size,
                                           SSL_SESSION** used)
                                        {
                                            *used = external_psk(ssl);
                                            *id = reinterpret_cast<unsigned char const*>("device");
                                            *size = 6;
                                            return 1;
                                        });
                                })));
    CHECK(h.srv.handshakes.empty());
}

TEST_CASE("a host keeps its sessions in its storage, for as long as it says, whatever the first cache does")
{
    using reprise::cache_mode;
    for (auto const& k : kinds)
        for (auto const mode : {cache_mode::off, cache_mode::server, cache_mode::openssl_internal})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<unsigned>(mode));
            auto const version = versions(k.version, k.version);
            auto const tickets = k.tickets ? reprise::ticket_keys{true} : reprise::ticket_keys{false};
            hosted h{version,
                     version,
                     answer_and_shut_down,
                     {.session_lifetime = 1s, .mode = mode, .tickets = false},
                     {.session_lifetime = 300s, .tickets = tickets}};
            auto tls = client_context();
            REQUIRE(h.visit(tls).has_value());
            std::vector<reprise::kept_session> kept;
            h.io.restart();
            run(h.io, [&]() -> asio::awaitable<void>
                { kept = co_await h.store->release([](reprise::session_scope const&) { return true; }); }());
            REQUIRE(kept.size() == 1);
            if (kept.front().ticket.has_ticket())
                CHECK(kept.front().ticket.lifetime() > 290s);
            h.store->capture(kept.front().key, kept.front().ticket);
            CHECK(h.visit(tls).value_or(reprise::handshake_info{}).resumed());
            CHECK(h.srv.handshakes.back().resumption == k.on_server);
            CHECK(::SSL_CTX_sess_number(h.first_tls.native_handle()) == 0);
            if (k.tickets)
                continue;
            // TLS 1.2 goes on using its session; each resumption of TLS 1.3 makes another.
            CHECK(h.host.stats().stored == (k.version == TLS1_2_VERSION ? 1u : 2u));
        }
}

TEST_CASE("a session of a host outlives what the first cache would give it")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        reprise::testing::manual_clock clock;
        auto const version = versions(k.version, k.version);
        auto const tickets = k.tickets ? reprise::ticket_keys{true} : reprise::ticket_keys{false};
        hosted h{version,
                 version,
                 answer_and_shut_down,
                 {.session_lifetime = 1s, .tickets = false},
                 {.session_lifetime = 300s, .tickets = tickets, .now = clock}};
        auto tls = client_context();
        REQUIRE(h.visit(tls).has_value());
        clock.advance(100s);
        CHECK(h.visit(tls).value_or(reprise::handshake_info{}).resumed());
        clock.advance(300s);
        auto const late = h.visit(tls);
        REQUIRE(late.has_value());
        CHECK_FALSE(late->resumed());
    }
}

namespace {

using hello_change = void (*)(SSL*);

// A client that changes something between its two ClientHellos: the server's group needs a HelloRetryRequest.
asio::awaitable<error_code> retry_with(asio::io_context& io, tcp::endpoint to, hello_change change_it)
{
    static hello_change wanted = nullptr;
    wanted = change_it;
    auto tls = client_context();
    tls.set_verify_mode(asio::ssl::verify_none);
    versions(TLS1_3_VERSION, TLS1_3_VERSION)(tls.native_handle());
    groups("X25519:P-384")(tls.native_handle());
    asio::ssl::stream<tcp::socket> stream{io, tls};
    SSL* const ssl = stream.native_handle();
    SSL_set_tlsext_host_name(ssl, "a.test");
    ::SSL_set_info_callback(ssl,
                            [](SSL const* s, int where, int)
                            {
                                bool const has_read_hello =
                                    where == SSL_CB_CONNECT_LOOP && ::SSL_get_state(s) == TLS_ST_CR_SRVR_HELLO;
                                if (has_read_hello && wanted != nullptr)
                                    std::exchange(wanted, nullptr)(const_cast<SSL*>(s));
                            });
    auto const no_throw = asio::as_tuple(asio::use_awaitable);
    co_await stream.lowest_layer().async_connect(to, asio::use_awaitable);
    auto [ec] = co_await stream.async_handshake(asio::ssl::stream_base::client, no_throw);
    char byte = 0;
    if (!ec)
        std::tie(ec, std::ignore) =
            co_await asio::async_read(stream, asio::buffer(&byte, 1), asio::transfer_all(), no_throw);
    co_return ec;
}

} // namespace

TEST_CASE("a client that comes back with another ClientHello after a HelloRetryRequest is refused (RFC 8446, 4.1.2)")
{
    struct attempt
    {
        std::string_view what;
        hello_change change;
    };
    std::vector<attempt> const attempts = {
        {"another name", [](SSL* s) { SSL_set_tlsext_host_name(s, "b.test"); }},
        {"no name", [](SSL* s) { SSL_set_tlsext_host_name(s, static_cast<char const*>(nullptr)); }},
        {"another case", [](SSL* s) { SSL_set_tlsext_host_name(s, "A.TEST"); }},
        {"a protocol", [](SSL* s) { ::SSL_set_alpn_protos(s, reinterpret_cast<unsigned char const*>("\x02h2"), 3); }},
        {"suites", [](SSL* s) { ::SSL_set_ciphersuites(s, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"); }},
        {"signature algorithms", [](SSL* s) { SSL_set1_sigalgs_list(s, "ECDSA+SHA256"); }},
        {"another version", [](SSL* s) { SSL_set_min_proto_version(s, TLS1_2_VERSION); }},
        {"authentication afterwards", [](SSL* s) { ::SSL_set_post_handshake_auth(s, 1); }},
    };
    auto const tls13 = versions(TLS1_3_VERSION, TLS1_3_VERSION);
    hosted h{both(tls13, groups("P-384")), both(tls13, groups("P-384"))};
    auto const retry = [&](hello_change what)
    {
        error_code result;
        h.io.restart();
        run(h.io, [&]() -> asio::awaitable<void> { result = co_await retry_with(h.io, h.srv.endpoint(), what); }());
        return result;
    };
    CHECK(retry([](SSL*) {}) == error_code{});
    REQUIRE(h.srv.handshakes.size() == 1);
    for (auto const& a : attempts)
    {
        CAPTURE(a.what);
        auto const ec = retry(a.change);
        CHECK(ec.category() == asio::error::get_ssl_category());
        CHECK(ERR_GET_REASON(static_cast<unsigned long>(ec.value())) ==
              SSL_AD_REASON_OFFSET + SSL_AD_ILLEGAL_PARAMETER);
    }
    h.io.restart();
    run(h.io,
        [&]() -> asio::awaitable<void>
        {
            while (h.srv.failures.size() < attempts.size()) // the last client may be done before the server is
                co_await asio::post(asio::use_awaitable);
        }());
    CHECK(h.srv.handshakes.size() == 1);
    CHECK(h.srv.failures.size() == attempts.size());
}

TEST_CASE("the selector is asked for names as they are written in certificates")
{
    asio::io_context io;
    std::vector<std::string> asked;
    auto host_tls = server_context({"a.test"});
    auto first_tls = server_context({"front.test"});
    reprise::session_cache const host{host_tls, {.id_context = "host/v1"}};
    reprise::session_cache const first{first_tls, {.id_context = "front/v1"}};
    reprise::server_options options;
    options.select_host =
        [&](reprise::client_hello const& hello) -> asio::awaitable<std::optional<reprise::session_cache>>
    {
        asked.push_back(hello.server_name);
        co_return hello.server_name == "a.test" ? std::optional{host} : std::nullopt;
    };
    server srv{io, first, std::move(options)};
    auto const visit = [&](char const* sni) -> asio::awaitable<error_code>
    {
        auto tls = client_context();
        tls.set_verify_mode(asio::ssl::verify_none);
        asio::ssl::stream<tcp::socket> stream{io, tls};
        SSL_set_tlsext_host_name(stream.native_handle(), sni);
        co_await stream.lowest_layer().async_connect(srv.endpoint(), asio::use_awaitable);
        auto const [ec] =
            co_await stream.async_handshake(asio::ssl::stream_base::client, asio::as_tuple(asio::use_awaitable));
        co_return ec;
    };
    auto const is_accepted = [&](char const* sni)
    {
        error_code result;
        io.restart();
        run(io, [&]() -> asio::awaitable<void> { result = co_await visit(sni); }());
        return !result;
    };
    for (char const* const name : {"a.test", "A.Test", "a.test.", "A.TEST."})
    {
        CAPTURE(name);
        CHECK(is_accepted(name));
    }
    for (char const* const name : {"a..test", "127.0.0.1", "a.test/", "*.test"})
    {
        CAPTURE(name);
        CHECK_FALSE(is_accepted(name));
    }
    CHECK(asked == std::vector<std::string>{"a.test", "a.test", "a.test", "a.test", "", "", "", ""});
}

TEST_SUITE_END();
