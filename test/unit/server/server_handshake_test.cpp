// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Server handshakes without a socket: each step that awaits an answer, failing in each way.
#include "support/engines.hpp"
#include "support/harness.hpp"
#include "support/ticket_keys.hpp"

#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/detail/server/server_handshake.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
using test::kind;
using test::kinds;

TEST_SUITE_BEGIN("server_handshake");

namespace {

/// How a step goes wrong.
enum class fault
{
    none,
    failed,    ///< the answer is a failure
    late,      ///< the timeout is over
    no_memory, ///< there is no memory for the question
    abandoned, ///< the connection is given up while the step awaits its answer
};

struct result
{
    std::vector<server_step> steps; ///< that awaited an answer
    bool is_done = false;           ///< both ends have completed the handshake
    handshake_info at_server{};
    handshake_info at_client{};

    [[nodiscard]] bool visited(server_step s) const { return std::ranges::count(steps, s) != 0; }
};

/// Client and server of connections, one connection after the other. Every step awaits its answer: hosts, keys, storage
/// and guard.
class two_ends
{
public:
    explicit two_ends(kind const& k, bool has_hosts = true)
        : kind_(k), has_hosts_(has_hosts), server_tls_(configured(test::server_context(), k)),
          client_tls_(configured(test::client_context(), k)), storage_(memory_storage::make()),
          cache_(server_tls_, options()), store_(memory_session_store::make()),
          client_(reprise::client{client_tls_, *store_})
    {
    }

    /// One connection. The step `at` goes wrong.
    result visit(server_step at = server_step::done, fault how = fault::none)
    {
        result r;
        tls_engine client{client_.begin("localhost", "443")};
        await(client_.choose_session(client.native_handle()));
        early_data const wanted{asio::buffer("early")};
        if (auto const early = client_.plan_early(client.native_handle(), wanted); !early.empty())
            if (client.send_early(early))
                client_.early_sent(early.size());
        server_handshake accept{cache_};
        tls_engine server{accept.make_ssl()};
        accept.begin(has_hosts_);
        bool server_done = false;
        bool client_done = false;
        bool is_over = false;
        while (!is_over && !(server_done && client_done))
        {
            if (!client_done)
            {
                auto const status = client.handshake().status;
                client_done = status == tls_status::done;
                is_over = status == tls_status::failed;
            }
            bool has_moved = false;
            for (bool is_paused = false; !is_over && (is_paused || test::deliver(client, server));)
            {
                has_moved = true;
                is_paused = false;
                auto const status =
                    server_done ? read_early(server) : accept.shake_hands(server, io_.get_executor()).status;
                if (status == tls_status::paused)
                {
                    r.steps.push_back(accept.step());
                    auto const now = accept.step() == at ? how : fault::none;
                    is_over = now == fault::abandoned;
                    is_paused = !is_over;
                    if (is_paused)
                        answer(accept, now);
                }
                server_done = server_done || accept.step() == server_step::done;
                is_over = is_over || status == tls_status::failed;
            }
            if (test::deliver(server, client))
                has_moved = true;
            is_over = is_over || !has_moved;
        }
        if (server_done && client_done && server.is_early())
            (void)read_early(server);
        r.is_done = server_done && client_done;
        if (r.is_done)
        {
            client_.handshake_done(client.native_handle());
            unsigned char byte = 0;
            (void)client.read({&byte, 1}); // the tickets that have come
            (void)server.write(as_bytes("!"));
            (void)test::deliver(server, client);
            CHECK(client.read({&byte, 1}).size == 1);
            accept.store_new_sessions(io_.get_executor());
            r.at_client = client_.info();
            r.at_server = accept.info();
        }
        else
            (void)client_.handshake_failed(client.has_sent());
        accept.end(r.is_done ? error_code{} : error_code{asio::error::operation_aborted});
        run();
        return r;
    }

    [[nodiscard]] session_cache_stats stats() const { return cache_.stats(); }

private:
    // Read what is early; afterwards the handshake goes on to its end.
    static tls_status read_early(tls_engine& server)
    {
        unsigned char bytes[16];
        auto status = tls_status::done;
        while (status == tls_status::done && server.is_early())
            status = server.read(bytes).status;
        return status;
    }

    static asio::ssl::context configured(asio::ssl::context tls, kind const& k)
    {
        test::set_versions(tls, k.version, k.version);
        return tls;
    }

    session_cache_options options()
    {
        auto o = test::cache_options(kind_, {.storage = testing::faulty_storage::make(storage_)});
        if (kind_.tickets)
            o.tickets = ticket_keys::from_callback(
                []() -> asio::awaitable<ticket_key_set>
                {
                    ticket_key_set set;
                    set.push_back(test::make_ticket_key(1));
                    co_return set;
                },
                {.refresh_every = 1h});
        if (kind_.version == TLS1_3_VERSION)
        {
            // The guard has been there for an hour, so it knows every flight of these tickets.
            auto age = std::make_shared<std::chrono::seconds>(1h);
            auto const clock = [age] { return time_point::clock::now() - *age; };
            o.early_data = {.max_bytes = 1000, .guard = replay_guard::in_memory({.one_process = true, .now = clock})};
            *age = 0s;
        }
        return o;
    }

    void run()
    {
        io_.restart();
        io_.run();
    }

    template <class T>
    T await(asio::awaitable<T> question)
    {
        std::optional<T> answer;
        asio::co_spawn(io_, std::move(question),
                       [&](std::exception_ptr e, T value)
                       {
                           REQUIRE(!e);
                           answer = std::move(value);
                       });
        run();
        return std::move(answer.value());
    }

    void await(asio::awaitable<void> question)
    {
        asio::co_spawn(io_, std::move(question), asio::detached);
        run();
    }

    void answer(server_handshake& accept, fault how)
    {
        if (how == fault::no_memory)
            return accept.skip_step();
        auto const wrong = how == fault::late ? timed_status::late : timed_status::failed;
        switch (accept.step())
        {
        case server_step::choose_host:
            accept.use_host(how == fault::none
                                ? timed_result<std::optional<session_cache>>{timed_status::answered, {cache_}}
                                : timed_result<std::optional<session_cache>>{wrong, {}});
            break;
        case server_step::fetch_keys:
            if (how == fault::none)
                (void)await(accept.fetch_keys());
            accept.keys_fetched();
            break;
        case server_step::look_up:
            if (how == fault::none)
                accept.found(await(accept.look_up()));
            else
                accept.found({wrong, {}});
            break;
        case server_step::strike:
            accept.struck(how == fault::none ? await(accept.strike_guard())
                                             : strike{how == fault::late ? early_data_reason::guard_late
                                                                         : early_data_reason::guard_failed});
            break;
        default: FAIL("paused where nothing is awaited");
        }
    }

    kind const kind_;
    bool const has_hosts_;
    asio::io_context io_;
    asio::ssl::context server_tls_;
    asio::ssl::context client_tls_;
    std::shared_ptr<memory_storage> storage_;
    session_cache cache_;
    std::shared_ptr<memory_session_store> store_;
    client_handshake client_;
};

constexpr fault all_faults[] = {fault::failed, fault::late, fault::no_memory, fault::abandoned};

bool is_stored(kind const& k)
{
    return !k.tickets;
}

} // namespace

TEST_CASE("each kind of handshake takes the steps that can help it, and no other")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        two_ends ends{k};
        auto const first = ends.visit();
        REQUIRE(first.is_done);
        CHECK(first.visited(server_step::choose_host));
        CHECK(first.visited(server_step::fetch_keys) == k.tickets); // there are none yet
        CHECK_FALSE(first.visited(server_step::look_up));
        CHECK_FALSE(first.visited(server_step::strike));
        CHECK_FALSE(first.at_server.resumed());

        auto const second = ends.visit();
        REQUIRE(second.is_done);
        CHECK(second.at_server.resumption == k.on_server);
        CHECK(second.at_client.resumption == k.on_client);
        CHECK_FALSE(second.visited(server_step::fetch_keys));
        CHECK(second.visited(server_step::look_up) == is_stored(k));
        CHECK(second.visited(server_step::strike) == (k.version == TLS1_3_VERSION));
        CHECK((second.at_server.early_data == early_data_status::accepted) == (k.version == TLS1_3_VERSION));
        CHECK(second.at_client.early_data == second.at_server.early_data);
    }
}

TEST_CASE("a stream without a host selector does not await one")
{
    for (auto const& k : kinds)
    {
        two_ends ends{k, false};
        auto const r = ends.visit();
        REQUIRE(r.is_done);
        CHECK_FALSE(r.visited(server_step::choose_host));
    }
}

TEST_CASE("a host that is not chosen ends the handshake, and the next one goes on")
{
    for (auto const& k : kinds)
        for (auto const how : all_faults)
        {
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(how));
            two_ends ends{k};
            auto const r = ends.visit(server_step::choose_host, how);
            CHECK(r.visited(server_step::choose_host));
            CHECK_FALSE(r.is_done);
            CHECK(ends.stats().failed == 1);
            CHECK(ends.visit().is_done);
        }
}

TEST_CASE("ticket keys that do not come cost the tickets, not the handshake")
{
    for (auto const& k : kinds)
        for (auto const how : all_faults)
        {
            if (!k.tickets)
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(how));
            two_ends ends{k};
            auto const r = ends.visit(server_step::fetch_keys, how);
            CHECK(r.visited(server_step::fetch_keys));
            CHECK(r.is_done == (how != fault::abandoned));
            if (r.is_done)
                CHECK_FALSE(r.at_server.resumed());
            CHECK(ends.visit().is_done);
            auto const later = ends.visit();
            REQUIRE(later.is_done);
            CHECK(later.at_server.resumed());
        }
}

TEST_CASE("a storage that fails costs the resumption, with the reason, and not the handshake")
{
    for (auto const& k : kinds)
        for (auto const how : all_faults)
        {
            if (!is_stored(k))
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(how));
            two_ends ends{k};
            REQUIRE(ends.visit().is_done);
            auto const errors = ends.stats().storage_errors;
            auto const r = ends.visit(server_step::look_up, how);
            CHECK(r.visited(server_step::look_up));
            if (how == fault::abandoned)
            {
                CHECK_FALSE(r.is_done);
                CHECK(ends.stats().failed == 1);
            }
            else
            {
                REQUIRE(r.is_done);
                CHECK_FALSE(r.at_server.resumed());
                CHECK_FALSE(r.at_client.resumed());
                CHECK(r.at_server.reason ==
                      (how == fault::late ? full_handshake_reason::lookup_late : full_handshake_reason::lookup_failed));
                CHECK(ends.stats().storage_errors == errors + (how == fault::late ? 0 : 1));
                CHECK(r.at_server.early_data != early_data_status::accepted);
            }
            CHECK(ends.visit().is_done);
        }
}

TEST_CASE("a replay guard that fails costs the early data, with the reason, and not the resumption")
{
    for (auto const& k : kinds)
        for (auto const how : all_faults)
        {
            if (k.version != TLS1_3_VERSION)
                continue;
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(how));
            two_ends ends{k};
            REQUIRE(ends.visit().is_done);
            auto const r = ends.visit(server_step::strike, how);
            CHECK(r.visited(server_step::strike));
            CHECK(r.is_done == (how != fault::abandoned));
            if (r.is_done)
            {
                CHECK(r.at_server.resumed());
                CHECK(r.at_server.early_data == early_data_status::rejected);
                CHECK(r.at_server.early_reason ==
                      (how == fault::late ? early_data_reason::guard_late : early_data_reason::guard_failed));
                CHECK(r.at_client.early_data == early_data_status::rejected);
            }
            CHECK(ends.visit().is_done);
        }
}

TEST_SUITE_END();
