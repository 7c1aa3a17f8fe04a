// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a program learns of a context for the wrong end, and of a certificate that was not verified.
#include "support/harness.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

using namespace test;

TEST_SUITE_BEGIN("verify_failure");

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

void identify(asio::ssl::context& tls, reprise::testing::identity const& own)
{
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
}

bool contains(std::string const& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

/// What a client says of connecting to this host, as an error of an operation and as an exception's text.
struct said
{
    error_code ec;
    std::string failure; ///< of the operation's result
    std::string kept;    ///< of `handshake()`
    std::string what;
};

said connect(world& w, asio::ssl::context& tls, std::string const& host)
{
    said result;
    w.io.restart();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(w.io), tls, *w.store};
            auto const [ec, info] = co_await stream.async_connect(host, w.srv.port(), no_throw);
            result.ec = ec;
            result.failure = info.failure;
            result.kept = stream.handshake().failure;
            stream.close();
            try
            {
                co_await stream.async_connect(host, w.srv.port());
                co_await stream.async_shutdown();
            }
            catch (reprise::system_error const& e)
            {
                result.what = e.what();
            }
        });
    return result;
}

int reason_of(error_code ec)
{
    return ERR_GET_REASON(static_cast<unsigned long>(ec.value()));
}

void check_says(said const& s, std::initializer_list<std::string_view> parts)
{
    CHECK(s.ec.category() == asio::error::get_ssl_category());
    CHECK(reason_of(s.ec) == SSL_R_CERTIFICATE_VERIFY_FAILED);
    CHECK(s.kept == s.failure);
    for (auto const part : parts)
    {
        CAPTURE(std::string{part});
        CAPTURE(s.failure);
        CHECK(contains(s.failure, part));
        CHECK(contains(s.what, part));
    }
}

} // namespace

TEST_CASE("a client says why the server's certificate was not verified")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        auto stranger = asio::ssl::context{asio::ssl::context::tls_client}; // trusts nobody
        check_says(connect(w, stranger, "localhost"), {"unable to get local issuer certificate (20)",
                                                       "subject: CN=a.test", "issuer: CN=reprise test authority"});

        auto tls = client_context();
        check_says(connect(w, tls, "other.localhost"),
                   {"hostname mismatch (62)", "expected: other.localhost", "CN=a.test"});
        auto const well = connect(w, tls, "localhost");
        CHECK_FALSE(well.ec);
        CHECK(well.failure.empty());
        CHECK(well.what.empty());

        auto const own = authority().issue({"a.test"});
        world elsewhere{{.of = k, .configure = [&](asio::ssl::context& c) { identify(c, own); }}};
        check_says(connect(elsewhere, tls, "127.0.0.1"), {"IP address mismatch (64)", "expected: 127.0.0.1"});
    }
}

namespace {

/// A server's certificate that signs itself, for a subject of so many names.
world with_subject(reprise::x509_ptr const& certificate, int names)
{
    auto const* const text = reinterpret_cast<unsigned char const*>("two\nlines");
    for (int i = 0; i < names; ++i)
        ::X509_NAME_add_entry_by_txt(::X509_get_subject_name(certificate.get()), "OU", MBSTRING_ASC, text, -1, -1, 0);
    std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> const key{EVP_EC_gen("P-256"), ::EVP_PKEY_free};
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate.get()), -60);
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate.get()), 3600);
    ::X509_set_pubkey(certificate.get(), key.get());
    REQUIRE(::X509_sign(certificate.get(), key.get(), ::EVP_sha256()) > 0);
    return world{{.configure = [&](asio::ssl::context& tls)
                  {
                      REQUIRE(::SSL_CTX_use_certificate(tls.native_handle(), certificate.get()) == 1);
                      REQUIRE(::SSL_CTX_use_PrivateKey(tls.native_handle(), key.get()) == 1);
                  }}};
}

} // namespace

TEST_CASE("a name in a certificate writes no lines into a log, nor a long one")
{
    for (int const names : {1, 100})
    {
        CAPTURE(names);
        reprise::x509_ptr const certificate{::X509_new()};
        auto w = with_subject(certificate, names);
        auto tls = client_context();
        auto const s = connect(w, tls, "localhost");
        check_says(s, {"certificate was not verified: "});
        CHECK(contains(s.failure, "subject: OU=two\\0Alines") == (names == 1));
        CHECK_FALSE(contains(s.what, "\n"));
        CHECK(s.failure.size() < 300);
    }
}

TEST_CASE("a server says why the client's certificate was not verified")
{
    reprise::testing::certificate_authority const others{"other authority"};
    auto const own = others.issue({"mallory"});
    for (auto const& k : kinds)
        for (bool const has_certificate : {true, false})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(has_certificate);
            auto server_tls = server_context();
            set_versions(server_tls, k.version, k.version);
            server_tls.add_certificate_authority(asio::buffer(authority().pem()));
            server_tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
            auto tls = client_context();
            if (has_certificate)
                identify(tls, own);
            asio::io_context io;
            reprise::session_cache const cache{server_tls, {.id_context = "test/v1"}};
            tcp::acceptor acceptor{executor_of(io), {asio::ip::address_v4::loopback(), 0}};
            auto const serve = [&]() -> asio::awaitable<void>
            {
                server_side stream{co_await acceptor.async_accept(asio::use_awaitable), cache};
                auto const [ec, info] = co_await stream.async_handshake(no_throw);
                CHECK(ec.category() == asio::error::get_ssl_category());
                CHECK(stream.handshake().failure == info.failure);
                CAPTURE(info.failure);
                if (!has_certificate)
                    CHECK(contains(info.failure, "the peer sent no certificate"));
                else
                    CHECK(contains(info.failure, "unable to get local issuer certificate (20)"));
                stream.close();
            };
            auto const visit = [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), tls};
                auto const port = std::to_string(acceptor.local_endpoint().port());
                auto const [ec, info] = co_await stream.async_connect("localhost", port, no_throw);
                CHECK(info.failure.empty()); // its own peer was verified
                char byte = 0;
                (void)co_await stream.async_read_some(asio::buffer(&byte, 1), no_throw);
            };
            run(io,
                [&]() -> asio::awaitable<void>
                {
                    using namespace asio::experimental::awaitable_operators;
                    auto both = serve() && visit();
                    co_await std::move(both);
                }());
        }
}

TEST_CASE("a client_stream on a context that cannot connect is refused when it is made")
{
    struct attempt
    {
        char const* name;
        SSL_METHOD const* method;
        char const* says; // null: accepted
    };
    for (auto const& a : {attempt{"server", ::TLS_server_method(), "made for servers"},
                          attempt{"DTLS", ::DTLS_client_method(), "made for DTLS"},
                          attempt{"client", ::TLS_client_method(), nullptr}, attempt{"both", ::TLS_method(), nullptr}})
    {
        CAPTURE(std::string{a.name});
        asio::io_context io;
        asio::ssl::context tls{::SSL_CTX_new(a.method)};
        auto const store = reprise::memory_session_store::make();
        std::string what;
        try
        {
            client_side const with_store{io, tls, *store};
            client_side const without{io, tls};
        }
        catch (reprise::system_error const& e)
        {
            CHECK(e.code() == reprise::errc::bad_option);
            what = e.what();
        }
        CHECK(what.empty() == (a.says == nullptr));
        if (a.says != nullptr)
            CHECK(contains(what, a.says));
        CHECK_FALSE(contains(what, "bounds"));
    }
}

TEST_CASE("a certificate that a callback provides serves a context without one")
{
    static auto const own = authority().issue({"localhost"});
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        asio::ssl::context server_tls{asio::ssl::context::tls_server};
        set_versions(server_tls, k.version, k.version);
        auto const provide = [](SSL* ssl, void*)
        {
            reprise::bio_ptr const certificate{
                ::BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size()))};
            reprise::bio_ptr const key{::BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()))};
            reprise::x509_ptr const x509{::PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr)};
            std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> const pkey{
                ::PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr), ::EVP_PKEY_free};
            return ::SSL_use_certificate(ssl, x509.get()) == 1 && ::SSL_use_PrivateKey(ssl, pkey.get()) == 1 ? 1 : 0;
        };
        ::SSL_CTX_set_cert_cb(server_tls.native_handle(), provide, nullptr);
        reprise::session_cache_options options;
        options.id_context = "test/v1";
        options.needs_certificate = false;
        options.tickets = k.tickets ? reprise::ticket_keys{true} : reprise::ticket_keys{false};
        server srv{io, reprise::session_cache{server_tls, options}};
        auto tls = client_context();
        auto const store = reprise::memory_session_store::make();
        run(io,
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), tls, *store};
                for (bool const resumes : {false, true})
                {
                    CHECK((co_await stream.async_connect("localhost", srv.port())).resumed() == resumes);
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
            }());
        REQUIRE(srv.handshakes.size() == 2);
        CHECK(srv.handshakes[1].resumption == k.on_server);
    }
}

TEST_SUITE_END();
