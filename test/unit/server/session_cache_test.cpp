// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/handshake/server_context.hpp"
#include "support/child.hpp"
#include "support/keys.hpp"
#include "support/plain_storage.hpp"

#include <reprise/error.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/certificate.hpp>

#include <doctest/doctest.h>

#include <numeric>
#include <optional>
#include <string>
#include <vector>

using namespace reprise;
using namespace std::chrono_literals;
using mode = cache_mode;

TEST_SUITE_BEGIN("session_cache");

namespace {

asio::ssl::context context()
{
    static testing::certificate_authority const authority{"unit test authority"};
    static testing::identity const own = authority.issue({"localhost"});
    asio::ssl::context tls{asio::ssl::context::tls_server};
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    return tls;
}

struct refusal
{
    error_code code;
    std::string what;
};

// The error of attaching, or nothing.
std::optional<refusal> attach(asio::ssl::context& tls, session_cache_options options)
{
    try
    {
        session_cache const cache{tls, std::move(options)};
    }
    catch (system_error const& e)
    {
        return refusal{e.code(), e.what()};
    }
    return std::nullopt;
}

bool is_refused(session_cache_options options, errc why, std::string const& naming)
{
    auto tls = context();
    auto const before = SSL_CTX_get_session_cache_mode(tls.native_handle());
    auto const refused = attach(tls, std::move(options));
    CHECK(SSL_CTX_get_session_cache_mode(tls.native_handle()) == before);
    bool const has_callback = SSL_CTX_sess_get_get_cb(tls.native_handle()) != nullptr;
    CHECK_FALSE(has_callback);
    CHECK_FALSE(attach(tls, {.id_context = "x"}).has_value()); // and nothing is in the way of a second try
    return refused && refused->code == why && refused->what.find(naming) != std::string::npos;
}

} // namespace

TEST_CASE("an id context has 1 to 32 bytes, whatever they are")
{
    CHECK(is_refused({}, errc::id_context_missing, "id context is empty"));
    CHECK(is_refused({.id_context = std::string(33, 'x')}, errc::id_context_too_long, "33 bytes"));
    for (std::size_t const size : {1u, 32u})
    {
        auto tls = context();
        CHECK_FALSE(attach(tls, {.id_context = std::string(size, '\0')}).has_value());
    }
}

TEST_CASE("an option out of bounds is refused and named")
{
    auto const with = [](auto change)
    {
        session_cache_options options{.id_context = "x"};
        change(options);
        return options;
    };
    auto const refused = [&](auto change, char const* name)
    { return is_refused(with(change), errc::bad_option, name); };
    CHECK(refused([](auto& o) { o.session_lifetime = 0s; }, "session_lifetime"));
    CHECK(refused([](auto& o) { o.session_lifetime = 24h * 7 + 1s; }, "session_lifetime"));
    CHECK(refused([](auto& o) { o.max_session_age = 0s; }, "max_session_age"));
    CHECK(refused([](auto& o) { o.max_session_age = 24h * 8; }, "max_session_age"));
    CHECK(refused([](auto& o) { o.num_tickets = 17; }, "num_tickets"));
    CHECK(refused([](auto& o) { o.lookup_timeout = 0ms; }, "lookup_timeout"));
    CHECK(refused([](auto& o) { o.write_timeout = 0ms; }, "write_timeout"));
    CHECK(refused([](auto& o) { o.max_pending_writes = 0; }, "max_pending_writes"));
    CHECK(refused([](auto& o) { o.max_pending_bytes = 0; }, "max_pending_bytes"));
    CHECK(refused([](auto& o) { o.now = nullptr; }, "now"));
    CHECK(refused([](auto& o) { o.mode = mode::server | mode::openssl_internal; }, "mode"));
    CHECK(refused([](auto& o) { o.mode = mode::no_auto_flush; }, "mode"));
    CHECK(refused([](auto& o) { o.mode = mode::no_internal; }, "mode"));
    CHECK(refused(
        [](auto& o)
        {
            o.mode = mode::openssl_internal;
            o.storage = memory_storage::make();
        },
        "storage"));
    CHECK(refused(
        [](auto& o)
        {
            o.mode = mode::off;
            o.storage = memory_storage::make();
        },
        "storage"));
}

TEST_CASE("one context has one cache")
{
    auto tls = context();
    session_cache const first{tls, {.id_context = "x"}};
    auto const second = attach(tls, {.id_context = "y"});
    REQUIRE(second.has_value());
    CHECK(second->code == errc::already_attached);
    auto other = context();
    CHECK_FALSE(attach(other, {.id_context = "y"}).has_value());
}

TEST_CASE("a context with somebody else's get-session callback is refused")
{
    auto tls = context();
    SSL_CTX_sess_set_get_cb(tls.native_handle(),
                            [](SSL*, unsigned char const*, int, int*) -> SSL_SESSION* { return nullptr; });
    auto const refused = attach(tls, {.id_context = "x"});
    REQUIRE(refused.has_value());
    CHECK(refused->code == errc::callback_taken);
}

TEST_CASE("every mode sets exactly the OpenSSL bits that its name says")
{
    struct row
    {
        cache_mode ours;
        long openssl;
    };
    constexpr long external = SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR;
    constexpr long internal = SSL_SESS_CACHE_SERVER;
    for (auto const& [ours, openssl] : {
             row{mode::off, SSL_SESS_CACHE_OFF | SSL_SESS_CACHE_NO_INTERNAL},
             row{mode::server, external},
             row{mode::server | mode::no_auto_flush, external},
             row{mode::server | mode::no_internal, external},
             row{mode::server | mode::no_internal | mode::no_auto_flush, external},
             row{mode::openssl_internal, internal},
             row{mode::openssl_internal | mode::no_auto_flush, internal | SSL_SESS_CACHE_NO_AUTO_CLEAR},
             row{mode::openssl_internal | mode::no_internal_lookup, internal | SSL_SESS_CACHE_NO_INTERNAL_LOOKUP},
             row{mode::openssl_internal | mode::no_internal_store, internal | SSL_SESS_CACHE_NO_INTERNAL_STORE},
             row{mode::openssl_internal | mode::no_internal, internal | SSL_SESS_CACHE_NO_INTERNAL},
             row{mode::openssl_internal | mode::no_internal | mode::no_auto_flush,
                 internal | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR},
         })
    {
        CAPTURE(static_cast<unsigned>(ours));
        auto tls = context();
        session_cache const cache{tls, {.id_context = "x", .mode = ours}};
        CHECK(SSL_CTX_get_session_cache_mode(tls.native_handle()) == openssl);
    }
}

TEST_CASE("an option counts under the name that it had in 0.1")
{
    auto tls = context();
    session_cache_options options{.id_context = "x"};
    options.timeout = 77s;
    session_cache const cache{tls, options};
    CHECK(SSL_CTX_get_timeout(tls.native_handle()) == 77);

    auto const refused = [](auto change, char const* name)
    {
        session_cache_options bad{.id_context = "x"};
        change(bad);
        return is_refused(bad, errc::bad_option, name);
    };
    CHECK(refused([](auto& o) { o.lookup_deadline = 0ms; }, "lookup_timeout"));
    CHECK(refused([](auto& o) { o.write_deadline = 0ms; }, "write_timeout"));
}

TEST_CASE("lifetime and tickets reach the context")
{
    auto tls = context();
    session_cache const defaults{tls, {.id_context = "x"}};
    CHECK(SSL_CTX_get_timeout(tls.native_handle()) == 300);
    CHECK(SSL_CTX_get_num_tickets(tls.native_handle()) == 1);
    CHECK((SSL_CTX_get_options(tls.native_handle()) & SSL_OP_NO_TICKET) == 0);

    auto stateful = context();
    session_cache const other{stateful,
                              {.id_context = "x", .session_lifetime = 60s, .tickets = false, .num_tickets = 3}};
    CHECK(SSL_CTX_get_timeout(stateful.native_handle()) == 60);
    CHECK(SSL_CTX_get_num_tickets(stateful.native_handle()) == 3);
    CHECK((SSL_CTX_get_options(stateful.native_handle()) & SSL_OP_NO_TICKET) != 0);

    auto nothing = context();
    session_cache const off{nothing, {.id_context = "x", .mode = mode::off, .tickets = false}};
    CHECK(SSL_CTX_get_num_tickets(nothing.native_handle()) == 0); // a ticket that nothing could redeem
}

TEST_CASE("context, cache and storage may go in any order")
{
    auto storage = memory_storage::make();
    std::weak_ptr<memory_storage> const seen = storage;
    SUBCASE("the cache first")
    {
        auto tls = context();
        CHECK_FALSE(attach(tls, {.id_context = "x", .storage = std::move(storage)}).has_value());
        CHECK_FALSE(seen.expired()); // the callbacks need it
    }
    SUBCASE("the context first")
    {
        std::optional<asio::ssl::context> tls{context()};
        session_cache const cache{*tls, {.id_context = "x", .storage = std::move(storage)}};
        tls.reset();
        CHECK_FALSE(seen.expired());
        CHECK(SSL_CTX_get_timeout(cache.native_handle()) == 300);
        CHECK(cache.stats().full == 0);
    }
    storage.reset();
    CHECK(seen.expired());
}

TEST_CASE("a ticket is not issued in the second that OpenSSL's slower clock has yet to reach")
{
    auto const second = std::chrono::system_clock::from_time_t(1'800'000'000);
    CHECK(detail::issue_time(second, 1'799'999'999) == 1'799'999'999);
    CHECK(detail::issue_time(second, 1'800'000'000) == 1'800'000'000);
    CHECK(detail::issue_time(second + 1h, 1'800'000'000) == 1'800'003'600); // a test's clock
    CHECK(detail::issue_time(second - 1h, 1'800'000'000) == 1'799'996'400);
}

TEST_CASE("early data that could be replayed cannot be configured")
{
    auto const with = [](early_data_options early, session_cache_options o = {})
    {
        o.id_context = "x";
        o.early_data = std::move(early);
        return o;
    };
    auto const memory = replay_guard::in_memory();
    auto const single = replay_guard::single_use_tickets();
    CHECK(is_refused(with({.max_bytes = 1}), errc::bad_option, "early_data_options::guard"));
    CHECK(is_refused(with({.max_bytes = 1, .guard = single}), errc::bad_option, "single_use_tickets"));
    CHECK(is_refused(with({.max_bytes = 1, .guard = memory}, {.mode = mode::openssl_internal}), errc::bad_option,
                     "cache_mode::server"));
    CHECK(is_refused(with({.max_bytes = 1, .guard = memory}, {.mode = mode::off, .tickets = false}), errc::bad_option,
                     "with a storage or with ticket keys, and there is neither"));

    auto const is_accepted = [](session_cache_options o)
    {
        auto tls = context();
        return !attach(tls, std::move(o)).has_value();
    };
    CHECK(is_accepted(with({.max_bytes = 1, .guard = memory})));
    CHECK(is_accepted(with({.max_bytes = 1, .guard = memory}, {.mode = mode::off})));
    CHECK(is_accepted(with({.max_bytes = 1, .guard = memory}, {.tickets = false})));
    CHECK(is_accepted(with({.max_bytes = 1, .guard = single}, {.tickets = false})));
    CHECK(is_accepted(with({.guard = single}))); // early data is off
}

TEST_CASE("a guard in memory does not go with keys that other processes may have, unless there are none")
{
    struct keys_of_others
    {
        char const* name;
        ticket_keys keys;
    };
    test::temporary_directory const directory;
    std::string key(80, '\0');
    std::iota(key.begin(), key.end(), '\1');
    auto const callback = []() -> asio::awaitable<ticket_key_set> { co_return ticket_key_set{}; };
    std::vector<keys_of_others> const sources = {
        {"files", ticket_keys::from_files({.paths = {directory.write("ticket.key", key)}})},
        {"shared", ticket_keys::shared(memory_storage::make(), {.fleet_secret = test::key_of(1)})},
        {"callback", ticket_keys::from_callback(callback)}};
    auto const with = [](ticket_keys keys, replay_guard guard)
    {
        session_cache_options o;
        o.id_context = "x";
        o.tickets = std::move(keys);
        o.early_data = {.max_bytes = 1, .guard = std::move(guard)};
        return o;
    };
    auto const in_process = memory_storage::make();
    auto const elsewhere = std::make_shared<test::plain_storage>();
    for (auto const& source : sources)
    {
        CAPTURE(source.name);
        for (auto const& guard : {replay_guard::in_memory(), replay_guard::shared(in_process)})
            CHECK(is_refused(with(source.keys, guard), errc::bad_option, "one_process"));
        for (auto const& guard :
             {replay_guard::in_memory({.one_process = true}), replay_guard::shared(in_process, {.one_process = true}),
              replay_guard::shared(elsewhere)})
        {
            auto tls = context();
            CHECK_FALSE(attach(tls, with(source.keys, guard)).has_value());
        }
    }
    auto tls = context();
    CHECK_FALSE(attach(tls, with(ticket_keys::rotating({}), replay_guard::in_memory())).has_value());
}

TEST_CASE("a context that accepts early data by itself is refused: a storage goes around OpenSSL's protection")
{
    auto tls = context();
    SSL_CTX_set_max_early_data(tls.native_handle(), 16384);
    auto const refused = attach(tls, {.id_context = "x"});
    REQUIRE(refused.has_value());
    CHECK(refused->code == errc::bad_option);
    CHECK(refused->what.find("SSL_CTX_set_max_early_data") != std::string::npos);
}

TEST_CASE("a context that cannot serve is refused, and left as it was")
{
    struct attempt
    {
        char const* name;
        SSL_METHOD const* method;
        char const* says; // null: accepted
    };
    for (auto const& a : {attempt{"client", ::TLS_client_method(), "made for clients"},
                          attempt{"DTLS", ::DTLS_server_method(), "made for DTLS"},
                          attempt{"DTLS client", ::DTLS_client_method(), "made for DTLS"},
                          attempt{"server", ::TLS_server_method(), nullptr}, attempt{"both", ::TLS_method(), nullptr}})
    {
        CAPTURE(std::string{a.name});
        asio::ssl::context tls{::SSL_CTX_new(a.method)};
        auto const refused = attach(tls, {.id_context = "x", .needs_certificate = false});
        REQUIRE(refused.has_value() == (a.says != nullptr));
        bool const has_callback = SSL_CTX_sess_get_get_cb(tls.native_handle()) != nullptr;
        CHECK(has_callback == !refused);
        if (!refused)
            continue;
        CHECK(refused->code == errc::bad_option);
        CHECK(refused->what.find(a.says) != std::string::npos);
    }
}

TEST_CASE("a context without a certificate and its key is refused, unless the caller says where they come from")
{
    testing::certificate_authority const authority{"another"};
    auto const own = authority.issue({"localhost"});
    struct attempt
    {
        char const* name;
        void (*configure)(asio::ssl::context&, testing::identity const&);
        bool is_accepted;
    };
    for (auto const &a : {attempt{"nothing", [](auto&, auto&) {}, false},
                          attempt{"no key", [](auto& tls, auto& with)
                                  { tls.use_certificate_chain(asio::buffer(with.certificate)); }, false},
                          attempt{"no certificate", [](auto& tls, auto& with)
                                  { tls.use_private_key(asio::buffer(with.key), asio::ssl::context::pem); }, false},
                          attempt{"authorities alone", [](auto& tls, auto& with)
                                  { tls.add_certificate_authority(asio::buffer(with.certificate)); }, false},
                          attempt{"both",
                                  [](auto& tls, auto& with)
                                  {
                                      tls.use_certificate_chain(asio::buffer(with.certificate));
                                      tls.use_private_key(asio::buffer(with.key), asio::ssl::context::pem);
                                  },
                                  true}})
    {
        CAPTURE(std::string{a.name});
        asio::ssl::context tls{asio::ssl::context::tls_server};
        a.configure(tls, own);
        auto const refused = attach(tls, {.id_context = "x"});
        CHECK(refused.has_value() == !a.is_accepted);
        if (!refused)
            continue;
        CHECK(refused->code == errc::bad_option);
        CHECK(refused->what.find("needs_certificate") != std::string::npos);
        CHECK(refused->what.find("bounds") == std::string::npos);
        CHECK_FALSE(attach(tls, {.id_context = "x", .needs_certificate = false}).has_value());
    }
}

TEST_SUITE_END();
