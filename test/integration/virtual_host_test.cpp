// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/any_key_store.hpp"
#include "support/harness.hpp"
#include "support/ticket_keys.hpp"

#include <reprise/storage/memory_storage.hpp>

#include <boost/asio/post.hpp>

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("virtual hosts");

namespace {

// Two tenants behind one port; the selector awaits before it answers, as one that loads certificates would.
struct tenants
{
    explicit tenants(kind const& k)
        : a_tls(versioned({"a.test"}, k)), b_tls(versioned({"b.test"}, k)),
          a(a_tls, {.id_context = "a/v1", .tickets = k.tickets}),
          b(b_tls, {.id_context = "b/v1", .tickets = k.tickets}), front(versioned({"front.test"}, k)),
          cache(front, {.id_context = "front/v1", .tickets = k.tickets})
    {
    }

    reprise::virtual_host_selector selector()
    {
        return [this](reprise::client_hello const& hello) -> asio::awaitable<std::optional<reprise::session_cache>>
        {
            auto const name = hello.server_name;
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            ++asked;
            if (name == "throws.test")
                throw std::runtime_error{"no certificate"};
            if (name == "a.test")
                co_return a;
            if (name == "b.test")
                co_return b;
            co_return std::nullopt;
        };
    }

    static asio::ssl::context versioned(std::vector<std::string> const& names, kind const& k)
    {
        auto tls = server_context(names);
        set_versions(tls, k.version, k.version);
        return tls;
    }

    asio::ssl::context a_tls;
    asio::ssl::context b_tls;
    reprise::session_cache a;
    reprise::session_cache b;
    asio::ssl::context front;
    reprise::session_cache cache;
    int asked = 0;
};

// It ignores cancellation, as a call into another library may.
asio::awaitable<std::optional<reprise::session_cache>> answer_late(std::shared_ptr<asio::steady_timer> until,
                                                                   std::shared_ptr<bool> answered,
                                                                   reprise::session_cache host,
                                                                   reprise::client_hello const& hello)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await until->async_wait(asio::as_tuple(asio::use_awaitable));
    *answered = hello.server_name == "a.test"; // still there to be read
    co_return host;
}

} // namespace

TEST_CASE("each tenant shows its own certificate and resumes its own sessions")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        tenants hosts{k};
        server srv{io, hosts.cache, {.select_host = hosts.selector()}};
        auto client_tls = client_context();
        auto const store = reprise::memory_session_store::make();
        run(io,
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), client_tls, *store};
                std::vector const endpoints{srv.endpoint()};
                for (bool const resumed : {false, true})
                    for (std::string const host : {"a.test", "b.test"})
                    {
                        auto const info =
                            co_await stream.async_connect(host, port_of(endpoints), {.endpoints = endpoints});
                        CHECK(info.resumed() == resumed);
                        co_await read_all(stream);
                        co_await stream.async_shutdown();
                    }
            }());
        CHECK(hosts.asked == 4);
        CHECK(srv.handshakes.at(2).resumption == k.on_server);
        CHECK(srv.handshakes.at(3).resumption == k.on_server);
        CHECK(hosts.a.stats().resumed == 1);
        CHECK(hosts.b.stats().resumed == 1);
        CHECK(hosts.cache.stats().full + hosts.cache.stats().resumed == 0);
    }
}

TEST_CASE("a session of one tenant, offered to another, is a full handshake with the other's certificate")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        tenants hosts{k};
        server srv{io, hosts.cache, {.select_host = hosts.selector()}};
        auto client_tls = client_context();
        auto const store = reprise::memory_session_store::make();
        run(io,
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), client_tls, *store};
                std::vector const endpoints{srv.endpoint()};
                (void)co_await stream.async_connect("a.test", port_of(endpoints), {.endpoints = endpoints});
                co_await read_all(stream);
                auto const taken =
                    reprise::session::snapshot(::SSL_get_session(stream.native_handle()),
                                               reprise::session_origin::of_full_handshake(
                                                   stream.native_handle(), std::chrono::system_clock::now()));
                co_await stream.async_shutdown();
                REQUIRE(taken);

                // An attacker's client: it says b.test and brings the session of a.test.
                auto attacker = client_context();
                reprise::client_options options;
                options.server_name = "b.test";
                options.verify_peer = false; // else it would see that the session was made with another name
                attacker.set_verify_mode(asio::ssl::verify_none);
                client_side other{executor_of(io), attacker, *store, options};
                auto const info = co_await other.async_connect("127.0.0.1", srv.port(), {.exactly = &*taken});
                CHECK_FALSE(info.resumed());
                CHECK(info.reason == full_handshake_reason::declined);
                co_await read_all(other);
                co_await other.async_shutdown();
            }());
        CHECK_FALSE(srv.handshakes.at(1).resumed());
        CHECK(hosts.b.stats().resumed == 0);
        CHECK(hosts.b.stats().full == 1);
    }
}

TEST_CASE(
    "tenants with their own client CAs, but one storage and the same ticket keys, never take each other's sessions")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        reprise::testing::certificate_authority const clients_of_a{"clients of a"};
        reprise::testing::certificate_authority const clients_of_b{"clients of b"};
        auto const both = authority().issue({"a.test", "b.test"}); // even the certificate is the same
        auto const storage = reprise::memory_storage::make({});
        auto const keys = k.tickets ? reprise::ticket_keys::from_callback(
                                          []() -> asio::awaitable<reprise::ticket_key_set>
                                          {
                                              reprise::ticket_key_set set;
                                              set.push_back(make_ticket_key(1));
                                              co_return set;
                                          })
                                    : reprise::ticket_keys{false};
        auto const tenant_context = [&](reprise::testing::certificate_authority const& clients)
        {
            asio::ssl::context tls{asio::ssl::context::tls_server};
            tls.use_certificate_chain(asio::buffer(both.certificate));
            tls.use_private_key(asio::buffer(both.key), asio::ssl::context::pem);
            tls.add_certificate_authority(asio::buffer(clients.pem()));
            tls.set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
            set_versions(tls, k.version, k.version);
            return tls;
        };
        auto const options = [&]
        {
            reprise::session_cache_options o;
            o.id_context = "same/v1";
            o.storage = storage;
            o.tickets = keys;
            return o;
        };
        auto a_tls = tenant_context(clients_of_a);
        auto b_tls = tenant_context(clients_of_b);
        auto front_tls = tenants::versioned({"front.test"}, k);
        reprise::session_cache const a{a_tls, options()};
        reprise::session_cache const b{b_tls, options()};
        reprise::session_cache const front{front_tls, options()};
        reprise::server_options server_options;
        server_options.select_host =
            [&](reprise::client_hello const& hello) -> asio::awaitable<std::optional<reprise::session_cache>>
        { co_return hello.server_name == "a.test" ? a : b; };

        asio::io_context io;
        server srv{io, front, server_options};
        auto const tickets = any_key_store::make(); // offers to anybody what anybody gave
        auto const client_of = [&](reprise::testing::certificate_authority const& issuer)
        {
            auto tls = client_context();
            auto const me = issuer.issue({"me"});
            tls.use_certificate_chain(asio::buffer(me.certificate));
            tls.use_private_key(asio::buffer(me.key), asio::ssl::context::pem);
            set_versions(tls, k.version, k.version);
            return tls;
        };
        auto of_a = client_of(clients_of_a);
        auto of_b = client_of(clients_of_b);
        std::vector const endpoints{srv.endpoint()};
        // What came of the handshake, and whether there was an answer: in TLS 1.3 a client hears later that it is not
        // wanted.
        auto const visit = [&](asio::ssl::context& tls, char const* host)
        {
            client_side stream{executor_of(io), tls, *tickets};
            bool answered = false;
            io.restart();
            run(io,
                [&]() -> asio::awaitable<void>
                {
                    auto const quiet = asio::as_tuple(asio::use_awaitable);
                    auto const [ec, info] =
                        co_await stream.async_connect(host, port_of(endpoints), {.endpoints = endpoints}, quiet);
                    std::string data;
                    (void)co_await asio::async_read(stream, asio::dynamic_buffer(data), asio::transfer_all(), quiet);
                    answered = !ec && data == "!";
                    (void)co_await stream.async_shutdown(quiet);
                }());
            return answered;
        };
        CHECK(visit(of_a, "a.test"));
        REQUIRE(!tickets->sessions.empty());
        tickets->repeats = k.version == TLS1_2_VERSION; // such a session is good for more than one use
        CHECK(visit(of_a, "a.test"));
        CHECK(srv.handshakes.back().resumption == k.on_server);

        auto const before = srv.handshakes.size();
        CHECK_FALSE(visit(of_a, "b.test")); // whose clients it does not belong to
        CHECK(srv.handshakes.size() == before);
        CHECK(b.stats().resumed == 0);
        tickets->repeats = false;
        tickets->sessions.clear();
        CHECK(visit(of_a, "a.test"));
        CHECK(visit(of_b, "b.test")); // who does, and brings a session of a.test
        CHECK(b.stats().resumed == 0);
        CHECK(srv.handshakes.back().reason == full_handshake_reason::policy_differs);
    }
}

TEST_CASE("an unknown name, and a selector that throws, refuse the connection with an alert; others are served")
{
    asio::io_context io;
    tenants hosts{kinds[2]};
    server srv{io, hosts.cache, {.select_host = hosts.selector()}};
    auto client_tls = client_context();
    auto const store = reprise::memory_session_store::make();
    run(io,
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), client_tls, *store};
            std::vector const endpoints{srv.endpoint()};
            for (std::string const host : {"c.test", "throws.test"})
            {
                auto const [ec, info] = co_await stream.async_connect(
                    host, port_of(endpoints), {.endpoints = endpoints}, asio::as_tuple(asio::use_awaitable));
                CHECK(ec.category() == asio::error::get_ssl_category());
                CHECK(ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_TLSV1_UNRECOGNIZED_NAME);
            }
            (void)co_await stream.async_connect("a.test", port_of(endpoints), {.endpoints = endpoints});
            co_await read_all(stream);
            co_await stream.async_shutdown();
        }());
    REQUIRE(srv.failures.size() == 2);
    CHECK(srv.failures[0] == reprise::errc::unknown_host);
    CHECK(srv.failures[1] == reprise::errc::unknown_host);
    CHECK(srv.handshakes.size() == 1);
}

TEST_CASE("a selector that hangs is ended by the handshake timeout, and may answer after the stream has gone")
{
    asio::io_context io;
    tenants hosts{kinds[2]};
    auto const answered = std::make_shared<bool>(false);
    auto const slow = std::make_shared<asio::steady_timer>(executor_of(io), asio::steady_timer::time_point::max());
    reprise::virtual_host_selector const hang = [&](reprise::client_hello const& hello)
    { return answer_late(slow, answered, hosts.a, hello); };
    server srv{io, hosts.cache, {.handshake_timeout = 20ms, .select_host = hang}};
    auto client_tls = client_context();
    run(io,
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), client_tls};
            std::vector const endpoints{srv.endpoint()};
            auto const [ec, info] = co_await stream.async_connect(
                "a.test", port_of(endpoints), {.endpoints = endpoints}, asio::as_tuple(asio::use_awaitable));
            CHECK(ec);
            while (srv.failures.empty())
                co_await asio::post(executor_of(io), asio::use_awaitable);
            CHECK(srv.failures.at(0) == asio::error::timed_out);
            slow->cancel();
            while (!*answered)
                co_await asio::post(executor_of(io), asio::use_awaitable);
        }());
    CHECK(*answered);
    CHECK(hosts.cache.stats().failed == 1);
}

TEST_SUITE_END();
