// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/any_key_store.hpp"
#include "support/harness.hpp"

#include <reprise/ssl_handles.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <openssl/pem.h>

#include <filesystem>
#include <fstream>

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("verification again");

namespace {

// As it would come from another process: nobody here has verified it.
reprise::session from_elsewhere(reprise::session const& made)
{
    return reprise::session::parse(made.serialize()).value();
}

// A server whose clients bring any session that they have, and a client whose store does not ask whose it is.
struct scene
{
    explicit scene(kind const& k, reprise::testing::certificate_authority const& issuer = authority())
        : own(issuer.issue({"localhost", "127.0.0.1"})), server_tls(with(own, k)), client_tls(client_context()),
          cache(server_tls, cache_options(k)), srv(io, cache)
    {
        set_versions(client_tls, k.version, k.version);
    }

    static asio::ssl::context with(reprise::testing::identity const& own, kind const& k)
    {
        asio::ssl::context tls{asio::ssl::context::tls_server};
        tls.use_certificate_chain(asio::buffer(own.certificate));
        tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
        set_versions(tls, k.version, k.version);
        return tls;
    }

    // The session of a first visit, as another process would have it.
    reprise::session first_session()
    {
        visit(client_tls);
        REQUIRE(!store->sessions.empty());
        auto made = from_elsewhere(store->sessions.front());
        store->sessions.clear();
        return made;
    }

    reprise::handshake_info visit(asio::ssl::context& tls, reprise::client_options o = {})
    {
        client_side stream{executor_of(io), tls, *store, std::move(o)};
        reprise::handshake_info info;
        io.restart();
        run(io,
            [&]() -> asio::awaitable<void>
            {
                info = co_await stream.async_connect("localhost", srv.port());
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }());
        return info;
    }

    reprise::testing::identity own;
    asio::io_context io;
    asio::ssl::context server_tls;
    asio::ssl::context client_tls;
    reprise::session_cache cache;
    server srv;
    std::shared_ptr<any_key_store> store = any_key_store::make();
};

void add_revocations(asio::ssl::context& tls, std::string const& pem)
{
    reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
    X509_CRL* const list = ::PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr);
    REQUIRE(list != nullptr);
    X509_STORE* const store = ::SSL_CTX_get_cert_store(tls.native_handle());
    REQUIRE(::X509_STORE_add_crl(store, list) == 1);
    ::X509_CRL_free(list);
    ::X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
}

} // namespace

TEST_CASE("a session from another process is verified and resumes, every kind")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        scene s{k};
        s.store->sessions = {s.first_session()};
        CHECK(s.visit(s.client_tls).resumed());
        CHECK(s.srv.handshakes.back().resumption == k.on_server);
    }
}

TEST_CASE("a session whose authority is not trusted any more is not offered")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        reprise::testing::certificate_authority const yesterday{"of yesterday"};
        scene before{k, yesterday};
        before.client_tls.add_certificate_authority(asio::buffer(yesterday.pem()));
        auto const old = before.first_session();

        // The server has a certificate of an authority that is still trusted.
        scene s{k};
        s.store->sessions = {old};
        auto const info = s.visit(s.client_tls);
        CHECK(info.reason == full_handshake_reason::untrusted);
        CHECK(s.srv.handshakes.back().reason == full_handshake_reason::not_offered);
    }
}

TEST_CASE("a session of a certificate that was revoked since is not offered")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        scene before{k};
        auto const old = before.first_session();
        scene s{k}; // under a new certificate
        add_revocations(s.client_tls, authority().revoke(before.own));
        s.store->sessions = {old};
        CHECK(s.visit(s.client_tls).reason == full_handshake_reason::revoked);
        CHECK(s.srv.handshakes.back().reason == full_handshake_reason::not_offered);
    }
}

TEST_CASE("a revocation list that arrives in a running process counts from then on")
{
    scene s{kinds[2]};
    auto const store = reprise::memory_session_store::make();
    client_side stream{executor_of(s.io), s.client_tls, *store};
    run(s.io,
        [&]() -> asio::awaitable<void>
        {
            for (bool const resumes : {false, true})
            {
                CHECK((co_await stream.async_connect("localhost", s.srv.port())).resumed() == resumes);
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }
            add_revocations(s.client_tls, authority().revoke(s.own));
            auto const [ec, info] =
                co_await stream.async_connect("localhost", s.srv.port(), asio::as_tuple(asio::use_awaitable));
            CHECK(ec); // the certificate verifies no more, and no session went around that
        }());
    CHECK(s.srv.handshakes.size() == 2);
}

TEST_CASE("a session of another name is not offered, though its server is the same")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        scene s{k}; // whose certificate is not for a.test
        auto const old = s.first_session();
        s.store->sessions = {old};
        reprise::client_options o;
        o.server_name = "a.test";
        client_side stream{executor_of(s.io), s.client_tls, *s.store, o};
        s.io.restart();
        run(s.io,
            [&]() -> asio::awaitable<void>
            {
                auto const [ec, info] =
                    co_await stream.async_connect("localhost", s.srv.port(), asio::as_tuple(asio::use_awaitable));
                CHECK(ec);
            }());
        CHECK(s.srv.handshakes.size() == 1);
        CHECK(s.cache.stats().resumed == 0);
    }
}

TEST_CASE("an intermediate certificate that has expired ends a session, though the server's own is good")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        auto const below = authority().issue_authority("below", 1h);
        scene s{k, below};
        auto const old = s.first_session();
        CHECK(old.origin().chain->size() == 2);
        reprise::testing::manual_clock time;
        reprise::client_options o;
        o.now = time;
        time.advance(59min);
        s.store->sessions = {old};
        s.store->repeats = true;
        auto const at_59 = s.visit(s.client_tls, o);
        CHECK((at_59.resumed() ||
               at_59.reason == full_handshake_reason::expired)); // a session of the server's lives 5 minutes
        time.advance(2min);
        CHECK_FALSE(s.visit(s.client_tls, o).resumed());
        CHECK_FALSE(s.srv.handshakes.back().resumed());
    }
}

TEST_CASE("a directory of certificates cannot be read, so that what it has vouched for is verified by the next context")
{
    char name[] = "/tmp/reprise-anchors-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    std::filesystem::path const folder{name};
    reprise::testing::certificate_authority const special{"of a directory"};
    {
        auto const pem = special.pem();
        reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
        reprise::x509_ptr const certificate{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
        char file[16];
        std::snprintf(file, sizeof file, "%08lx.0", ::X509_subject_name_hash(certificate.get()));
        std::ofstream{folder / file} << pem;
    }
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        scene s{k, special};
        s.client_tls.add_verify_path(folder.string());
        auto without = client_context();
        set_versions(without, k.version, k.version);
        auto with = client_context();
        set_versions(with, k.version, k.version);
        with.add_verify_path(folder.string());

        auto const store = reprise::memory_session_store::make();
        auto const visit = [&](asio::ssl::context& tls)
        {
            reprise::client_options o;
            o.policy_tag = "test";
            client_side stream{executor_of(s.io), tls, *store, o};
            std::pair<error_code, reprise::handshake_info> result;
            s.io.restart();
            run(s.io,
                [&]() -> asio::awaitable<void>
                {
                    auto [ec, info] =
                        co_await stream.async_connect("localhost", s.srv.port(), asio::as_tuple(asio::use_awaitable));
                    result = {ec, info};
                    if (ec)
                        co_return;
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }());
            return result;
        };
        CHECK_FALSE(visit(s.client_tls).first);
        CHECK(visit(s.client_tls).second.resumed()); // that it has loaded a certificate from there is no change
        CHECK(visit(with).second.resumed());
        auto const last = visit(without);
        CAPTURE(std::string{reprise::to_string(last.second.reason)});
        CAPTURE(last.second.resumed());
        CHECK(last.first); // and has not been let in by the session
    }
    std::filesystem::remove_all(folder);
}

TEST_CASE("where the verification cannot be repeated no session is kept, and the handshake says so")
{
    auto const by_callback = [](asio::ssl::context& tls)
    { tls.set_verify_callback([](bool ok, asio::ssl::verify_context&) { return ok; }); };
    auto const by_staple = [](asio::ssl::context& tls)
    {
        SSL_CTX_set_tlsext_status_type(tls.native_handle(), TLSEXT_STATUSTYPE_ocsp);
        SSL_CTX_set_tlsext_status_cb(tls.native_handle(), +[](SSL*, void*) { return 1; });
    };
    auto const by_timestamps = [](asio::ssl::context& tls)
    { REQUIRE(::SSL_CTX_enable_ct(tls.native_handle(), SSL_CT_VALIDATION_PERMISSIVE) == 1); };
    auto const by_own_verification = [](asio::ssl::context& tls)
    { ::SSL_CTX_set_cert_verify_callback(tls.native_handle(), +[](X509_STORE_CTX*, void*) { return 1; }, nullptr); };
    auto const by_own_choice = [](asio::ssl::context& tls)
    { ::SSL_CTX_set_client_cert_cb(tls.native_handle(), +[](SSL*, X509**, EVP_PKEY**) { return 0; }); };
    struct row
    {
        char const* name;
        std::function<void(asio::ssl::context&)> configure;
        bool tag_helps;
    };
    for (auto const& r :
         {row{"callback", by_callback, true}, row{"staple", by_staple, false}, row{"timestamps", by_timestamps, false},
          row{"verification", by_own_verification, false}, row{"choice", by_own_choice, true}})
        for (auto const& k : kinds)
        {
            CAPTURE(std::string{k.name});
            CAPTURE(std::string{r.name});
            for (bool const tagged : {false, true})
            {
                world w{{.of = k}};
                r.configure(w.client_tls);
                reprise::client_options o;
                o.policy_tag = tagged ? "declared" : "";
                bool const resumes = tagged && r.tag_helps;
                w.run(
                    [&]() -> asio::awaitable<void>
                    {
                        auto stream = w.stream(o);
                        co_await w.visit(stream);
                        auto const info = co_await w.visit(stream);
                        CHECK(info.resumed() == resumes);
                        CHECK(info.reason ==
                              (resumes ? full_handshake_reason::none : full_handshake_reason::unrepeatable));
                    });
                CHECK(w.srv.handshakes.at(1).resumed() == resumes);
                CHECK((w.store->size() > 0) == resumes);
            }
        }
}

TEST_CASE("a declared callback is asked again about a session that this process has not verified")
{
    for (auto const& k : kinds)
        for (bool const accepts : {true, false})
        {
            CAPTURE(std::string{k.name});
            scene s{k};
            auto const old = s.first_session();
            auto tls = client_context();
            set_versions(tls, k.version, k.version);
            int asked = 0;
            tls.set_verify_callback(
                [&](bool ok, asio::ssl::verify_context&)
                {
                    ++asked;
                    // It would accept this server in a full handshake, which asks it later.
                    return ok && (accepts || asked > 1);
                });
            s.store->sessions = {old};
            reprise::client_options o;
            o.policy_tag = "declared";
            auto const info = s.visit(tls, o);
            CHECK(info.resumed() == accepts);
            CHECK(info.reason == (accepts ? full_handshake_reason::none : full_handshake_reason::untrusted));
            CHECK(asked > 0);
        }
}

TEST_SUITE_END();
