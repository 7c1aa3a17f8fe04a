// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/context_policy.hpp"

#include "support/harness.hpp"
#include "support/policy_changes.hpp"
#include "support/settings.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace test;
using reprise::ssl_ptr;
using reprise::x509_ptr;
using reprise::detail::context_policy;
using reprise::detail::policy_reader;
using reprise::detail::tls_end;

TEST_SUITE_BEGIN("context_policy");

namespace {

constexpr tls_end ends[] = {tls_end::client, tls_end::server};

asio::ssl::context context_of(tls_end end)
{
    return end == tls_end::client ? client_context() : server_context();
}

ssl_ptr connection_of(asio::ssl::context& tls)
{
    ssl_ptr ssl{::SSL_new(tls.native_handle())};
    REQUIRE(ssl != nullptr);
    return ssl;
}

using policy = std::shared_ptr<context_policy const>;

policy read(policy_reader& reader, asio::ssl::context& tls)
{
    return reader.read(connection_of(tls).get());
}

bool same(policy const& a, policy const& b)
{
    return a->verification == b->verification && a->identity == b->identity && a->offer == b->offer;
}

int accept_all(int, X509_STORE_CTX*)
{
    return 1;
}

int refuse_all(int, X509_STORE_CTX*)
{
    return 0;
}

using change = std::function<void(SSL_CTX*)>;

std::vector<policy_change> all_changes(tls_end end)
{
    auto result = parameter_changes();
    std::ranges::move(policy_changes(end), std::back_inserter(result));
    return result;
}

bool only_offered(std::string_view name)
{
    for (auto const& row : reprise::detail::settings())
        if (row.name == name)
            return row.on_client == reprise::detail::treatment::offered;
    return false;
}

} // namespace

TEST_CASE("contexts that are configured alike have one policy, and each change makes another")
{
    for (auto const end : ends)
        for (auto const& change : policy_changes(end))
        {
            CAPTURE(change.setting);
            policy read_of[3];
            auto const own = authority().issue({"localhost"});
            for (int i = 0; i < 3; ++i)
            {
                auto tls = client_context();
                if (end == tls_end::server)
                {
                    tls = asio::ssl::context{asio::ssl::context::tls_server};
                    tls.use_certificate_chain(asio::buffer(own.certificate));
                    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
                }
                set_versions(tls, TLS1_2_VERSION, TLS1_3_VERSION);
                change.prepare(tls.native_handle());
                if (i == 2)
                    change.apply(tls.native_handle());
                policy_reader reader{end};
                read_of[i] = read(reader, tls);
            }
            CHECK(same(read_of[0], read_of[1]));
            CHECK_FALSE(same(read_of[0], read_of[2]));
        }
}

TEST_CASE("each parameter of the verification makes another policy")
{
    auto const changes = parameter_changes();
    for (auto const end : ends)
    {
        std::vector<policy> seen;
        for (std::size_t i = 0; i <= changes.size(); ++i)
        {
            asio::ssl::context tls{asio::ssl::context::tls};
            tls.add_certificate_authority(asio::buffer(authority().pem()));
            if (i < changes.size())
                changes[i].apply(tls.native_handle());
            policy_reader reader{end};
            auto const found = read(reader, tls);
            CAPTURE(i);
            for (auto const& other : seen)
                CHECK(found->verification != other->verification);
            seen.push_back(found);
        }
    }
}

TEST_CASE("a change of a context in use is seen, whatever it is")
{
    for (auto const end : ends)
        for (auto const& change : all_changes(end))
        {
            // What only widens whom one trusts is no change; what cannot be seen has to be told.
            bool const widens = change.setting == "load_verify_locations" || change.setting == "load_verify_file";
            CAPTURE(change.setting);
            auto tls = context_of(end);
            set_versions(tls, TLS1_2_VERSION, TLS1_3_VERSION);
            change.prepare(tls.native_handle());
            policy_reader reader{end};
            auto const before = read(reader, tls);
            CHECK(read(reader, tls) == before);
            change.apply(tls.native_handle());
            if (only_offered(change.setting))
                reader.forget();
            auto const after = read(reader, tls);
            CHECK(same(before, after) == widens);
            CHECK(read(reader, tls) == after);
        }
}

TEST_CASE("hosts, addresses of e-mail and of machines are told apart, and counted")
{
    auto const with = [](std::vector<std::string> const& hosts, char const* email)
    {
        auto tls = client_context();
        X509_VERIFY_PARAM* const param = ::SSL_CTX_get0_param(tls.native_handle());
        for (auto const& host : hosts)
            ::X509_VERIFY_PARAM_add1_host(param, host.c_str(), 0);
        if (email != nullptr)
            ::X509_VERIFY_PARAM_set1_email(param, email, 0);
        policy_reader reader{tls_end::client};
        return read(reader, tls)->verification;
    };
    CHECK(with({"a"}, nullptr) != with({}, "a"));
    CHECK(with({"a", "b"}, nullptr) != with({"a"}, "b"));
    CHECK(with({"ab"}, nullptr) != with({"a", "b"}, nullptr));
}

TEST_CASE("what was exchanged twice is not taken for the first, wherever it lies")
{
    reprise::testing::certificate_authority const other{"another authority"};
    auto const store_of = [](std::string const& pem)
    {
        reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
        x509_ptr const anchor{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
        X509_STORE* const made = ::X509_STORE_new();
        ::X509_STORE_add_cert(made, anchor.get());
        return made;
    };
    auto const names_of = [](std::string const& pem)
    {
        reprise::bio_ptr const in{::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
        x509_ptr const anchor{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
        STACK_OF(X509_NAME)* const made = sk_X509_NAME_new_null();
        sk_X509_NAME_push(made, ::X509_NAME_dup(::X509_get_subject_name(anchor.get())));
        return made;
    };
    auto const one = authority().issue({"one"});
    auto const two = authority().issue({"two"});
    auto const use = [](SSL_CTX* c, reprise::testing::identity const& own)
    {
        reprise::bio_ptr const in{::BIO_new_mem_buf(own.certificate.data(), static_cast<int>(own.certificate.size()))};
        x509_ptr const certificate{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
        reprise::bio_ptr const key_in{::BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size()))};
        EVP_PKEY* const key = ::PEM_read_bio_PrivateKey(key_in.get(), nullptr, nullptr, nullptr);
        REQUIRE(::SSL_CTX_use_cert_and_key(c, certificate.get(), key, nullptr, 1) == 1);
        ::EVP_PKEY_free(key);
    };
    std::vector<std::pair<change, change>> const exchanges = {
        {[&](SSL_CTX* c) { ::SSL_CTX_set_cert_store(c, store_of(authority().pem())); },
         [&](SSL_CTX* c) { ::SSL_CTX_set_cert_store(c, store_of(other.pem())); }},
        {[&](SSL_CTX* c) { SSL_CTX_set0_verify_cert_store(c, store_of(authority().pem())); },
         [&](SSL_CTX* c) { SSL_CTX_set0_verify_cert_store(c, store_of(other.pem())); }},
        {[&](SSL_CTX* c) { ::SSL_CTX_set_client_CA_list(c, names_of(authority().pem())); },
         [&](SSL_CTX* c) { ::SSL_CTX_set_client_CA_list(c, names_of(other.pem())); }},
        {[&](SSL_CTX* c) { ::SSL_CTX_set0_CA_list(c, names_of(authority().pem())); },
         [&](SSL_CTX* c) { ::SSL_CTX_set0_CA_list(c, names_of(other.pem())); }},
        {[](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES128-GCM-SHA256") == 1); },
         [](SSL_CTX* c) { REQUIRE(::SSL_CTX_set_cipher_list(c, "ECDHE-ECDSA-AES256-GCM-SHA384") == 1); }},
        {[&](SSL_CTX* c) { use(c, one); }, [&](SSL_CTX* c) { use(c, two); }},
    };
    for (auto const end : ends)
        for (auto const& [first, second] : exchanges)
            for (int i = 0; i < 200; ++i)
            {
                CAPTURE(&first - &exchanges.front().first);
                auto tls = context_of(end);
                first(tls.native_handle());
                policy_reader reader{end};
                auto const before = read(reader, tls);
                first(tls.native_handle()); // what lay there is free
                second(tls.native_handle());
                REQUIRE_FALSE(same(before, read(reader, tls)));
            }
}

TEST_CASE("a callback that is exchanged gives a policy of this process alone, and the first one its own again")
{
    auto const with = [](SSL_CTX* c, SSL_verify_cb callback) { ::SSL_CTX_set_verify(c, SSL_VERIFY_PEER, callback); };
    for (auto const end : ends)
    {
        auto tls = context_of(end);
        with(tls.native_handle(), accept_all);
        policy_reader reader{end};
        auto const first = read(reader, tls);
        CHECK(first->judges_peer);

        auto elsewhere = context_of(end);
        if (end == tls_end::client) // of servers the certificates differ
        {
            with(elsewhere.native_handle(), refuse_all);
            policy_reader other{end};
            CHECK(read(other, elsewhere)->verification == first->verification);
        }
        with(tls.native_handle(), refuse_all);
        auto const second = read(reader, tls);
        CHECK(second->verification != first->verification);
        with(tls.native_handle(), accept_all);
        CHECK(read(reader, tls)->verification == first->verification);
        with(tls.native_handle(), refuse_all);
        CHECK(read(reader, tls)->verification == second->verification);
    }
}

TEST_CASE("Asio's verify callback is another after each exchange, wherever it lies")
{
    for (auto const end : ends)
    {
        auto tls = context_of(end);
        tls.set_verify_callback([](bool, asio::ssl::verify_context&) { return true; });
        policy_reader reader{end};
        std::vector<policy> seen{read(reader, tls)};
        for (int i = 0; i < 20; ++i)
        {
            tls.set_verify_callback([i](bool, asio::ssl::verify_context&) { return i != 0; });
            auto const next = read(reader, tls);
            for (auto const& other : seen)
                REQUIRE(next->verification != other->verification);
            seen.push_back(next);
        }
    }
}

TEST_CASE("what an SSL has got for itself is in its policy, and in no other's")
{
    auto const other = authority().issue({"other"});
    std::vector<std::pair<std::string_view, std::function<void(SSL*)>>> const settings = {
        {"verify mode", [](SSL* s) { ::SSL_set_verify(s, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, nullptr); }},
        {"callback", [](SSL* s) { ::SSL_set_verify(s, ::SSL_get_verify_mode(s), accept_all); }},
        {"flags", [](SSL* s) { ::X509_VERIFY_PARAM_set_flags(::SSL_get0_param(s), X509_V_FLAG_PARTIAL_CHAIN); }},
        {"depth", [](SSL* s) { ::SSL_set_verify_depth(s, 3); }},
        {"host", [](SSL* s) { REQUIRE(::SSL_set1_host(s, "a.test") == 1); }},
        {"host flags", [](SSL* s) { ::SSL_set_hostflags(s, X509_CHECK_FLAG_NO_WILDCARDS); }},
        {"email", [](SSL* s) { ::X509_VERIFY_PARAM_set1_email(::SSL_get0_param(s), "a@a.test", 0); }},
        {"address", [](SSL* s) { ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(s), "127.0.0.1"); }},
        {"store", [](SSL* s) { SSL_set0_verify_cert_store(s, ::X509_STORE_new()); }},
        {"lowest version", [](SSL* s) { SSL_set_min_proto_version(s, TLS1_3_VERSION); }},
        {"highest version", [](SSL* s) { SSL_set_max_proto_version(s, TLS1_2_VERSION); }},
        {"options", [](SSL* s) { ::SSL_set_options(s, SSL_OP_NO_ENCRYPT_THEN_MAC); }},
        {"security level", [](SSL* s) { ::SSL_set_security_level(s, 0); }},
        {"ciphers", [](SSL* s) { REQUIRE(::SSL_set_cipher_list(s, "ECDHE-ECDSA-AES128-GCM-SHA256") == 1); }},
        {"suites", [](SSL* s) { REQUIRE(::SSL_set_ciphersuites(s, "TLS_AES_256_GCM_SHA384") == 1); }},
        {"certificate",
         [&](SSL* s)
         {
             reprise::bio_ptr const in{
                 ::BIO_new_mem_buf(other.certificate.data(), static_cast<int>(other.certificate.size()))};
             x509_ptr const certificate{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
             reprise::bio_ptr const key_in{::BIO_new_mem_buf(other.key.data(), static_cast<int>(other.key.size()))};
             EVP_PKEY* const key = ::PEM_read_bio_PrivateKey(key_in.get(), nullptr, nullptr, nullptr);
             REQUIRE(::SSL_use_cert_and_key(s, certificate.get(), key, nullptr, 1) == 1);
             ::EVP_PKEY_free(key);
         }},
    };
    for (auto const end : ends)
    {
        auto tls = context_of(end);
        policy_reader reader{end};
        auto const of_context = read(reader, tls);
        for (auto const& [name, set] : settings)
        {
            CAPTURE(name);
            auto const ssl = connection_of(tls);
            if (end == tls_end::server)
                ::SSL_set_accept_state(ssl.get());
            set(ssl.get());
            auto const of_ssl = reader.read(ssl.get());
            CHECK_FALSE(same(of_ssl, of_context));
            CHECK(same(reader.read(ssl.get()), of_ssl));
            CHECK(same(read(reader, tls), of_context));
            CHECK(of_ssl->judges_peer == (name == "callback"));
        }
    }
}

TEST_CASE("the certificate that a client shows is its own, or somebody has chosen it")
{
    auto tls = client_context();
    auto const own = authority().issue({"own"});
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    policy_reader reader{tls_end::client};
    auto const ssl = connection_of(tls);
    auto const policy = reader.read(ssl.get());
    CHECK(shows_own_certificate(*policy, ssl.get()));

    auto const show = [&](reprise::testing::identity const& who)
    {
        reprise::bio_ptr const in{::BIO_new_mem_buf(who.certificate.data(), static_cast<int>(who.certificate.size()))};
        x509_ptr const certificate{::PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
        REQUIRE(::SSL_use_certificate(ssl.get(), certificate.get()) == 1);
    };
    show(own); // another object of the same content
    CHECK(shows_own_certificate(*policy, ssl.get()));
    show(authority().issue({"other"}));
    CHECK_FALSE(shows_own_certificate(*policy, ssl.get()));
    ::SSL_certs_clear(ssl.get());
    CHECK_FALSE(shows_own_certificate(*policy, ssl.get()));

    auto without = client_context();
    auto const anonymous = connection_of(without);
    policy_reader other{tls_end::client};
    CHECK(shows_own_certificate(*other.read(anonymous.get()), anonymous.get()));
}

TEST_CASE("a policy is read without calling anything of the caller's")
{
    static int calls = 0;
    calls = 0;
    auto tls = client_context();
    SSL_CTX* const c = tls.native_handle();
    ::SSL_CTX_set_info_callback(c, [](SSL const*, int, int) { ++calls; });
    ::SSL_CTX_set_msg_callback(c, [](int, int, int, void const*, std::size_t, SSL*, void*) { ++calls; });
    ::SSL_CTX_set_keylog_callback(c, [](SSL const*, char const*) { ++calls; });
    ::SSL_CTX_set_psk_client_callback(c, [](SSL*, char const*, char*, unsigned, unsigned char*, unsigned)
                                      { return static_cast<unsigned>(++calls); });
    ::SSL_CTX_set_psk_use_session_callback(c,
                                           [](SSL*, EVP_MD const*, unsigned char const**, std::size_t*, SSL_SESSION**)
                                           {
                                               ++calls;
                                               return 1;
                                           });
    ::SSL_CTX_set_cert_cb(
        c,
        [](SSL*, void*)
        {
            ++calls;
            return 1;
        },
        nullptr);
    ::SSL_CTX_set_client_cert_cb(c,
                                 [](SSL*, X509**, EVP_PKEY**)
                                 {
                                     ++calls;
                                     return 0;
                                 });
    ::SSL_CTX_set_next_proto_select_cb(
        c,
        [](SSL*, unsigned char**, unsigned char*, unsigned char const*, unsigned, void*)
        {
            ++calls;
            return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    ::SSL_CTX_sess_set_new_cb(c,
                              [](SSL*, SSL_SESSION*)
                              {
                                  ++calls;
                                  return 0;
                              });
    ::SSL_CTX_sess_set_remove_cb(c, [](SSL_CTX*, SSL_SESSION*) { ++calls; });
    policy_reader reader{tls_end::client};
    CHECK(read(reader, tls)->offer.has_value());
    CHECK(calls == 0);

    // These decide what is offered, so without them nothing is read of it.
    ::SSL_CTX_set_security_callback(c,
                                    [](SSL const*, SSL_CTX const*, int, int, int, void*, void*)
                                    {
                                        ++calls;
                                        return 1;
                                    });
    reader.forget();
    auto const ssl = connection_of(tls);
    calls = 0;
    CHECK_FALSE(reader.read(ssl.get())->offer.has_value());
    CHECK(calls == 0);
}

TEST_SUITE_END();
