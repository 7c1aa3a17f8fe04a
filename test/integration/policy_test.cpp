// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/any_key_store.hpp"
#include "support/harness.hpp"
#include "support/policy_changes.hpp"
#include "support/ticket_keys.hpp"
#include "tls/settings.hpp"

#include <reprise/client/policy_changed.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <algorithm>
#include <deque>

using namespace test;
using reprise::full_reason;
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
        client_side stream{executor_of(w.io), tls, *w.store, std::move(options)};
        reprise::handshake_info info;
        w.io.restart();
        w.run([&]() -> asio::awaitable<void> { info = co_await w.visit(stream); });
        return info;
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
            CHECK(c.visit(first, tagged("test")).reason == full_reason::nothing_stored);
            CHECK(c.visit(equal, tagged("test")).resumed());
            CHECK(c.w.srv.handshakes.back().resumption == k.on_server);
            auto const info = c.visit(other, tagged("test"));
            CHECK_FALSE(info.resumed());
            CHECK_FALSE(c.w.srv.handshakes.back().resumed());
            bool const is_identity = info.reason == full_reason::identity_differs;
            CHECK((is_identity || info.reason == full_reason::policy_differs));
        }
}

TEST_CASE("a change of a context that is in use counts from then on")
{
    for (auto const& change : policy_changes(tls_end::client))
    {
        auto const& k = kinds[3];
        // What only widens whom one trusts is no change; what cannot be seen has to be told.
        bool const widens = change.setting == "load_verify_locations" || change.setting == "load_verify_file";
        auto const row =
            std::ranges::find(reprise::detail::settings(), change.setting, &reprise::detail::setting::name);
        if (!applies(change, k) || widens)
            continue;
        CAPTURE(change.setting);
        clients c{k};
        auto& tls = c.context(change.prepare);
        c.visit(tls, {});
        CHECK(c.visit(tls, {}).resumed());
        change.apply(tls.native_handle());
        if (row->on_client == treatment::offered)
            reprise::policy_changed(tls);
        CHECK_FALSE(c.visit(tls, {}).resumed());
        CHECK_FALSE(c.w.srv.handshakes.back().resumed());
    }
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
        CHECK(c.visit(equal, {}).reason == full_reason::policy_differs);
        CHECK(c.visit(first, tagged("one")).reason == full_reason::policy_differs);
        CHECK(c.visit(first, tagged("two")).reason == full_reason::policy_differs);
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

    void visit(server& srv)
    {
        client_side stream{executor_of(io), client_tls, *store};
        io.restart();
        run(io, talk(stream, srv.port()));
    }

    static asio::awaitable<void> talk(client_side& stream, std::string port)
    {
        co_await stream.async_connect("localhost", port);
        co_await read_all(stream);
        co_await stream.async_shutdown();
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
            CHECK(other.handshakes.back().reason == full_reason::policy_differs);
        }
}

TEST_SUITE_END();
