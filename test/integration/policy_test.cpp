// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/any_key_store.hpp"
#include "support/harness.hpp"
#include "support/policy_changes.hpp"
#include "support/settings.hpp"
#include "support/ticket_keys.hpp"

#include <reprise/policy_changed.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

using namespace test;
using reprise::full_handshake_reason;
using reprise::detail::tls_end;
using reprise::detail::treatment;

TEST_SUITE_BEGIN("policy");

namespace {

bool applies(policy_change const& change, kind const& k)
{
    return change.only_version == 0 || change.only_version == k.version;
}

// One that all clients of a test share, each with a context of its own.
struct clients
{
    explicit clients(kind const& k) : w{{.of = k}}, version(k.version) {}

    asio::ssl::context& context(std::function<void(SSL_CTX*)> const& configure)
    {
        auto& made = contexts.emplace_back(client_context());
        set_versions(made, version, version);
        configure(made.native_handle());
        return made;
    }

    reprise::handshake_info visit(asio::ssl::context& tls, reprise::client_options options)
    {
        auto const info = try_visit(tls, std::move(options));
        REQUIRE(info.has_value());
        return *info;
    }

    /// Nothing, if an end refuses the other.
    std::optional<reprise::handshake_info> try_visit(asio::ssl::context& tls, reprise::client_options options)
    {
        client_side stream{executor_of(w.io), tls, *w.store, std::move(options)};
        std::optional<reprise::handshake_info> result;
        auto const talk = [&]() -> asio::awaitable<void>
        {
            auto const [ec, info] =
                co_await stream.async_connect("localhost", w.srv.port(), asio::as_tuple(asio::use_awaitable));
            if (ec)
                co_return;
            co_await read_all(stream);
            co_await stream.async_shutdown();
            result = info;
        };
        w.io.restart();
        w.run(talk);
        return result;
    }

    world w;
    int version;
    std::deque<asio::ssl::context> contexts;
};

reprise::client_options tagged(std::string tag)
{
    reprise::client_options options;
    options.policy_tag = std::move(tag);
    return options;
}

} // namespace

TEST_CASE("a change of each setting is tried, on both ends")
{
    for (auto const end : {tls_end::client, tls_end::server})
    {
        auto const changes = policy_changes(end);
        for (auto const& row : reprise::detail::settings())
        {
            auto const how = end == tls_end::client ? row.on_client : row.on_server;
            bool const counts = how == treatment::read || how == treatment::offered || how == treatment::identity;
            bool const is_there = row.name != "set1_server_cert_type" && row.name != "set1_client_cert_type";
            if (!counts || (!is_there && OPENSSL_VERSION_NUMBER < 0x30200000L))
                continue;
            CAPTURE(row.name);
            CHECK(std::ranges::count(changes, row.name, &policy_change::setting) == 1);
        }
    }
}

TEST_CASE("a client's session crosses to a context that is configured alike, and to no other")
{
    for (auto const& k : kinds)
        for (auto const& change : policy_changes(tls_end::client))
        {
            if (!applies(change, k))
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(change.setting);
            clients c{k};
            auto& first = c.context(change.prepare);
            auto& equal = c.context(change.prepare);
            auto& other = c.context(change.prepare);
            change.apply(other.native_handle());
            CHECK(c.visit(first, tagged("test")).reason == full_handshake_reason::nothing_stored);
            CHECK(c.visit(equal, tagged("test")).resumed());
            CHECK(c.w.srv.handshakes.back().resumption == k.on_server);
            auto const info = c.visit(other, tagged("test"));
            CHECK_FALSE(info.resumed());
            CHECK_FALSE(c.w.srv.handshakes.back().resumed());
            bool const is_identity = info.reason == full_handshake_reason::identity_differs;
            CHECK((is_identity || info.reason == full_handshake_reason::policy_differs));
        }
}

namespace {

// What only widens whom one trusts is no change.
bool widens(policy_change const& change)
{
    return change.setting == "load_verify_locations" || change.setting == "load_verify_file";
}

bool only_offered(policy_change const& change)
{
    auto const row = std::ranges::find(reprise::detail::settings(), change.setting, &reprise::detail::setting::name);
    return row != reprise::detail::settings().end() && row->on_client == treatment::offered;
}

std::vector<policy_change> changes_in_use(tls_end end)
{
    auto result = policy_changes(end);
    std::ranges::move(parameter_changes(), std::back_inserter(result));
    return result;
}

} // namespace

TEST_CASE("a change of a client's context that is in use counts from then on")
{
    for (auto const& k : kinds)
        for (auto const& change : changes_in_use(tls_end::client))
        {
            if (!applies(change, k) || widens(change))
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(change.setting);
            clients c{k};
            auto& tls = c.context(change.prepare);
            c.visit(tls, tagged("test"));
            CHECK(c.visit(tls, tagged("test")).resumed());
            change.apply(tls.native_handle());
            if (only_offered(change)) // that cannot be seen
                reprise::policy_changed(tls);
            auto const count = c.w.srv.handshakes.size();
            auto const info = c.try_visit(tls, tagged("test"));
            if (!info)
                continue; // the server is refused now
            bool const is_identity = info->reason == full_handshake_reason::identity_differs;
            CHECK((is_identity || info->reason == full_handshake_reason::policy_differs));
            REQUIRE(c.w.srv.handshakes.size() == count + 1);
            CHECK_FALSE(c.w.srv.handshakes.back().resumed());
        }
}

TEST_CASE("a revoked server is refused as soon as lists are checked, though it could resume")
{
    clients c{kinds[3]};
    auto& tls = c.context([](SSL_CTX*) {});
    X509_STORE* const trust = ::SSL_CTX_get_cert_store(tls.native_handle());
    auto const own = authority().issue({"localhost"});
    c.w.server_tls.use_certificate_chain(asio::buffer(own.certificate));
    c.w.server_tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    auto const pem = authority().revoke(own);
    reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
    X509_CRL* const list = ::PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr);
    REQUIRE(::X509_STORE_add_crl(trust, list) == 1);
    ::X509_CRL_free(list);
    c.visit(tls, {});
    CHECK(c.visit(tls, {}).resumed());
    ::X509_STORE_set_flags(trust, X509_V_FLAG_CRL_CHECK);
    CHECK_FALSE(c.try_visit(tls, {}).has_value());
}

TEST_CASE("a trust store that is exchanged twice between two connections is not taken for the first")
{
    reprise::testing::certificate_authority const other{"another authority"};
    auto const trust = [](asio::ssl::context& tls, std::string const& pem)
    {
        ::SSL_CTX_set_cert_store(tls.native_handle(), ::X509_STORE_new());
        tls.add_certificate_authority(asio::buffer(pem));
    };
    clients c{kinds[3]};
    for (int i = 0; i < 20; ++i)
    {
        auto& tls = c.context([](SSL_CTX*) {});
        trust(tls, authority().pem());
        REQUIRE(c.try_visit(tls, {}).has_value());
        trust(tls, authority().pem());
        trust(tls, other.pem());
        REQUIRE_FALSE(c.try_visit(tls, {}).has_value());
    }
}

TEST_CASE("a verify callback that is exchanged in place judges the next connection, whatever was declared")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        clients c{k};
        auto& tls = c.context([](SSL_CTX*) {});
        tls.set_verify_callback([](bool ok, asio::ssl::verify_context&) { return ok; });
        c.visit(tls, tagged("test"));
        CHECK(c.visit(tls, tagged("test")).resumed());
        tls.set_verify_callback([](bool, asio::ssl::verify_context&) { return false; });
        CHECK_FALSE(c.try_visit(tls, tagged("test")).has_value());
    }
}

TEST_CASE("a verify callback that comes to another verdict is asked before each offer")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        clients c{k};
        auto& tls = c.context([](SSL_CTX*) {});
        bool verdict = true;
        tls.set_verify_callback([&](bool ok, asio::ssl::verify_context&) { return ok && verdict; });
        c.visit(tls, tagged("test"));
        CHECK(c.visit(tls, tagged("test")).resumed());
        verdict = false;
        CHECK_FALSE(c.try_visit(tls, tagged("test")).has_value());
    }
}

TEST_CASE("what OpenSSL does not tell of the verification counts when policy_changed has said so")
{
    clients c{kinds[3]};
    auto& tls = c.context([](SSL_CTX*) {});
    c.visit(tls, {});
    CHECK(c.visit(tls, {}).resumed());
    REQUIRE(::SSL_CTX_set_purpose(tls.native_handle(), X509_PURPOSE_TIMESTAMP_SIGN) == 1); // not the server's
    reprise::policy_changed(tls);
    CHECK_FALSE(c.try_visit(tls, {}).has_value());
}

TEST_CASE("without a tag nothing crosses to another context, for what OpenSSL does not tell may differ")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        clients c{k};
        auto& first = c.context([](SSL_CTX*) {});
        auto& equal = c.context([](SSL_CTX*) {});
        c.visit(first, {});
        CHECK(c.visit(equal, {}).reason == full_handshake_reason::policy_differs);
        CHECK(c.visit(first, tagged("one")).reason == full_handshake_reason::policy_differs);
        CHECK(c.visit(first, tagged("two")).reason == full_handshake_reason::policy_differs);
        CHECK(c.visit(equal, tagged("one")).resumed());
    }
}

namespace {

// Servers that share their storage and their ticket keys, each with a context of its own.
struct servers
{
    explicit servers(kind const& k)
        : of(k), client_tls(client_context()), storage(reprise::memory_storage::make({})),
          tickets(k.tickets ? reprise::ticket_keys::from_callback([]() { return keys(); })
                            : reprise::ticket_keys{false})
    {
        set_versions(client_tls, k.version, k.version);
    }

    static asio::awaitable<reprise::ticket_key_set> keys()
    {
        reprise::ticket_key_set set;
        set.push_back(make_ticket_key(1));
        co_return set;
    }

    server& start(std::function<void(SSL_CTX*)> const& configure)
    {
        auto& tls = contexts.emplace_back(asio::ssl::context::tls_server);
        tls.use_certificate_chain(asio::buffer(own.certificate));
        tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
        set_versions(tls, of.version, of.version);
        configure(tls.native_handle());
        reprise::session_cache_options options;
        options.id_context = "test/v1";
        options.storage = storage;
        options.tickets = tickets;
        return running.emplace_back(io, reprise::session_cache{tls, std::move(options)});
    }

    /// Whatever becomes of it: the server tells.
    void visit(server& srv)
    {
        client_side stream{executor_of(io), client_tls, *store};
        io.restart();
        run(io, talk(stream, srv));
    }

    static asio::awaitable<void> talk(client_side& stream, server& srv)
    {
        auto const told = [&] { return srv.handshakes.size() + srv.failures.size(); };
        auto const before = told();
        std::string const port = srv.port();
        auto const no_throw = asio::as_tuple(asio::use_awaitable);
        auto const [ec, info] = co_await stream.async_connect("localhost", port, no_throw);
        std::array<char, 8> bytes;
        for (error_code ended = ec; !ended;)
            std::tie(ended, std::ignore) = co_await stream.async_read_some(asio::buffer(bytes), no_throw);
        co_await stream.async_shutdown();
        while (told() == before) // a client may be done before the server is
            co_await asio::post(asio::use_awaitable);
    }

    kind of;
    asio::io_context io;
    asio::ssl::context client_tls;
    std::shared_ptr<reprise::memory_storage> storage;
    reprise::ticket_keys tickets;
    reprise::testing::identity own = authority().issue({"localhost"});
    std::shared_ptr<any_key_store> store = any_key_store::make();
    std::deque<asio::ssl::context> contexts;
    std::deque<server> running;
};

} // namespace

TEST_CASE("a session crosses to a server that is configured alike, and to no other")
{
    for (auto const& k : kinds)
        for (auto const& change : policy_changes(tls_end::server))
        {
            if (!applies(change, k))
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(change.setting);
            servers s{k};
            auto& first = s.start(change.prepare);
            auto& equal = s.start(change.prepare);
            auto& other = s.start(
                [&](SSL_CTX* c)
                {
                    change.prepare(c);
                    change.apply(c);
                });
            s.visit(first);
            CHECK_FALSE(first.handshakes.back().resumed());
            s.store->repeats = k.version == TLS1_2_VERSION; // such a session is good for more than one use
            s.visit(equal);
            CHECK(equal.handshakes.back().resumption == k.on_server);
            s.visit(other);
            CHECK_FALSE(other.handshakes.back().resumed());
            CHECK(other.handshakes.back().reason == full_handshake_reason::policy_differs);
        }
}

TEST_CASE("a change of a server's context that is in use counts from then on")
{
    for (auto const& k : kinds)
        for (auto const& change : changes_in_use(tls_end::server))
        {
            if (!applies(change, k) || widens(change))
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(change.setting);
            servers s{k};
            s.store->repeats = false;
            auto& srv = s.start(change.prepare);
            auto* const tls = s.contexts.back().native_handle();
            s.visit(srv);
            s.store->repeats = k.version == TLS1_2_VERSION; // such a session is good for more than one use
            s.visit(srv);
            REQUIRE(srv.handshakes.size() == 2);
            CHECK(srv.handshakes.back().resumption == k.on_server);
            change.apply(tls);
            s.visit(srv);
            REQUIRE(srv.handshakes.size() == 3);
            CHECK(srv.handshakes.back().reason == full_handshake_reason::policy_differs);
        }
}

namespace {

// A server that lets clients of an authority in, and a client of that authority.
struct mutual
{
    explicit mutual(kind const& k) : s(k), srv(s.start(trust_first)), tls(s.contexts.back())
    {
        auto const alice = first().issue({"alice"});
        s.client_tls.use_certificate_chain(asio::buffer(alice.certificate));
        s.client_tls.use_private_key(asio::buffer(alice.key), asio::ssl::context::pem);
    }

    static reprise::testing::certificate_authority const& first()
    {
        static reprise::testing::certificate_authority const made{"of clients"};
        return made;
    }

    static void trust(SSL_CTX* c, std::string const& pem)
    {
        reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
        reprise::x509_ptr const anchor{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
        X509_STORE* const store = ::X509_STORE_new();
        REQUIRE(::X509_STORE_add_cert(store, anchor.get()) == 1);
        ::SSL_CTX_set_cert_store(c, store);
    }

    static void trust_first(SSL_CTX* c)
    {
        trust(c, first().pem());
        ::SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }

    servers s;
    server& srv;
    asio::ssl::context& tls;
};

int refuse_all(int, X509_STORE_CTX*)
{
    return 0;
}

} // namespace

TEST_CASE("a server lets in no client of an authority that it has removed, however the store was exchanged")
{
    reprise::testing::certificate_authority const other{"another authority"};
    for (auto const& k : kinds)
        for (int i = 0; i < 10; ++i)
        {
            CAPTURE(std::string{k.name});
            mutual m{k};
            m.s.visit(m.srv);
            REQUIRE(m.srv.handshakes.size() == 1);
            mutual::trust_first(m.tls.native_handle());
            mutual::trust(m.tls.native_handle(), other.pem());
            m.s.visit(m.srv);
            REQUIRE(m.srv.handshakes.size() == 1);
            REQUIRE(m.srv.failures.size() == 1);
        }
}

TEST_CASE("a server's verify callback that is exchanged in place judges the next connection")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        mutual m{k};
        m.s.visit(m.srv);
        m.s.store->repeats = k.version == TLS1_2_VERSION;
        m.s.visit(m.srv);
        REQUIRE(m.srv.handshakes.size() == 2);
        CHECK(m.srv.handshakes.back().resumed());
        m.tls.set_verify_callback([](bool ok, asio::ssl::verify_context&) { return ok; });
        m.s.store->repeats = false;
        m.s.visit(m.srv);
        REQUIRE(m.srv.handshakes.size() == 3);
        CHECK(m.srv.handshakes.back().reason == full_handshake_reason::policy_differs);
        ::SSL_CTX_set_verify(m.tls.native_handle(), ::SSL_CTX_get_verify_mode(m.tls.native_handle()), refuse_all);
        m.s.visit(m.srv);
        CHECK(m.srv.handshakes.size() == 3);
    }
}

namespace {

struct certificate_and_key
{
    reprise::x509_ptr certificate;
    std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key{nullptr, ::EVP_PKEY_free};

    explicit certificate_and_key(reprise::testing::identity const& own)
    {
        reprise::bio_ptr const in{::BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size()))};
        certificate.reset(::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
        reprise::bio_ptr const key_in{::BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()))};
        key.reset(::PEM_read_bio_PrivateKey(key_in.get(), nullptr, nullptr, nullptr));
    }
};

certificate_and_key const* chosen = nullptr;

int choose_client_certificate(SSL*, X509** certificate, EVP_PKEY** key)
{
    if (chosen == nullptr)
        return 0;
    *certificate = chosen->certificate.get();
    *key = chosen->key.get();
    ::X509_up_ref(*certificate);
    ::EVP_PKEY_up_ref(*key);
    return 1;
}

int choose_certificate(SSL* ssl, void*)
{
    return ::SSL_use_cert_and_key(ssl, chosen->certificate.get(), chosen->key.get(), nullptr, 1);
}

std::string name_of(SSL* ssl)
{
    reprise::x509_ptr const peer{::SSL_get1_peer_certificate(ssl)};
    char name[64] = "";
    if (peer)
        ::X509_NAME_get_text_by_NID(::X509_get_subject_name(peer.get()), NID_commonName, name, sizeof name);
    return name;
}

} // namespace

TEST_CASE("a client whose certificate a callback chooses resumes as nobody else, verifying or not")
{
    certificate_and_key const alice{authority().issue({"alice"})};
    certificate_and_key const bob{authority().issue({"bob"})};
    for (auto const& k : kinds)
        for (bool const seen : {true, false}) // by OpenSSL's getter
            for (bool const verifies : {true, false})
            {
                CAPTURE(std::string{k.name});
                CAPTURE(seen);
                CAPTURE(verifies);
                std::vector<std::string> names;
                auto const talk = [&](server_side& stream) -> asio::awaitable<void>
                {
                    names.push_back(name_of(stream.native_handle()));
                    co_await answer_and_shut_down(stream);
                };
                world w{{.of = k,
                         .talk = talk,
                         .configure = [](asio::ssl::context& tls)
                         {
                             tls.add_certificate_authority(asio::buffer(authority().pem()));
                             tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
                         }}};
                if (seen)
                    ::SSL_CTX_set_client_cert_cb(w.client_tls.native_handle(), choose_client_certificate);
                else
                    ::SSL_CTX_set_cert_cb(w.client_tls.native_handle(), choose_certificate, nullptr);
                w.client_tls.set_verify_mode(asio::ssl::verify_none);
                reprise::client_options options;
                options.verify_peer = verifies;
                for (auto const* const who : {&alice, &bob})
                {
                    chosen = who;
                    auto stream = w.stream(options);
                    w.io.restart();
                    w.run(
                        [&]() -> asio::awaitable<void>
                        {
                            auto const info = co_await w.visit(stream);
                            CHECK(info.reason == full_handshake_reason::unrepeatable);
                        });
                }
                CHECK(names == std::vector<std::string>{"alice", "bob"});
                CHECK(w.store->size() == 0);

                options.policy_tag = "alice"; // now it is the caller's word
                chosen = &alice;
                for (bool const resumes : {false, true})
                {
                    auto stream = w.stream(options);
                    w.io.restart();
                    w.run([&]() -> asio::awaitable<void> { CHECK((co_await w.visit(stream)).resumed() == resumes); });
                }
            }
}

TEST_CASE("a client that was nobody does not resume as nobody when a callback could make it somebody")
{
    certificate_and_key const bob{authority().issue({"bob"})};
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        std::vector<std::string> names;
        auto const talk = [&](server_side& stream) -> asio::awaitable<void>
        {
            names.push_back(name_of(stream.native_handle()));
            co_await answer_and_shut_down(stream);
        };
        world w{{.of = k,
                 .talk = talk,
                 .configure = [](asio::ssl::context& tls)
                 {
                     tls.add_certificate_authority(asio::buffer(authority().pem()));
                     tls.set_verify_mode(asio::ssl::verify_peer);
                 }}};
        ::SSL_CTX_set_client_cert_cb(w.client_tls.native_handle(), choose_client_certificate);
        w.client_tls.set_verify_mode(asio::ssl::verify_none);
        reprise::client_options options;
        options.verify_peer = false;
        for (auto const* const who : {static_cast<certificate_and_key const*>(nullptr), &bob})
        {
            chosen = who;
            auto stream = w.stream(options);
            w.io.restart();
            w.run([&]() -> asio::awaitable<void>
                  { CHECK((co_await w.visit(stream)).reason == full_handshake_reason::unrepeatable); });
        }
        CHECK(names == std::vector<std::string>{"", "bob"});
    }
}

TEST_SUITE_END();
