// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <atomic>
#include <thread>

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("leases");

namespace {

constexpr std::size_t many = 20;

// All of them at once, each on a stream of its own. None reads, and so gets a ticket, before all are connected.
std::vector<reprise::handshake_info> visit_at_once(world& w, std::size_t count)
{
    std::vector<reprise::handshake_info> infos;
    w.io.restart();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            asio::steady_timer all{executor_of(w.io), asio::steady_timer::time_point::max()};
            asio::steady_timer connected{executor_of(w.io), asio::steady_timer::time_point::max()};
            std::size_t waiting = 0;
            for (std::size_t i = 0; i < count; ++i)
                asio::co_spawn(
                    executor_of(w.io),
                    [&]() -> asio::awaitable<void>
                    {
                        auto stream = w.stream();
                        auto const info = co_await stream.async_connect("localhost", w.srv.port());
                        if (++waiting == count)
                            connected.cancel();
                        else
                            (void)co_await connected.async_wait(asio::as_tuple(asio::use_awaitable));
                        co_await read_all(stream);
                        co_await stream.async_shutdown();
                        infos.push_back(info);
                        if (infos.size() == count)
                            all.cancel();
                    },
                    [](std::exception_ptr e)
                    {
                        if (e)
                            std::rethrow_exception(e);
                    });
            (void)co_await all.async_wait(asio::as_tuple(asio::use_awaitable));
        });
    return infos;
}

std::size_t resumed(std::vector<reprise::handshake_info> const& infos)
{
    return static_cast<std::size_t>(std::ranges::count_if(infos, &reprise::handshake_info::resumed));
}

// Answers when it is told to.
struct slow_check
{
    asio::steady_timer asked;
    asio::steady_timer until;
    bool revoked = false;

    explicit slow_check(asio::io_context& io)
        : asked(executor_of(io), asio::steady_timer::time_point::max()),
          until(executor_of(io), asio::steady_timer::time_point::max())
    {
    }

    reprise::revocation_check check()
    {
        return [this](std::shared_ptr<reprise::certificate_chain const> chain) -> asio::awaitable<bool>
        {
            CHECK(chain);
            asked.cancel();
            (void)co_await until.async_wait(asio::as_tuple(asio::use_awaitable));
            co_return revoked;
        };
    }
};

} // namespace

TEST_CASE("twenty connections at once use twenty tickets, or run in full; none is shared")
{
    for (auto const& k : {kinds[2], kinds[3]})
        for (unsigned const held : {0u, 5u, 20u})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(held);
            world w{{.of = k, .cache = {.num_tickets = 10}}};
            w.store = reprise::memory_session_store::make({.max_tickets_per_key = many});
            for (int i = 0; i < 2 && held > 0; ++i)
                visit_at_once(w, 1); // ten tickets each, less the one that the second one uses, and one more for it
            if (held == 20)
                visit_at_once(w, 2);
            std::size_t const before = w.store->size();
            auto const first_of_all = w.srv.handshakes.size();
            auto const infos = visit_at_once(w, many);
            CHECK(resumed(infos) == std::min(before, many));
            // A server that takes each ticket once (stateful) has refused none.
            for (std::size_t i = first_of_all; i < w.srv.handshakes.size(); ++i)
                CHECK(w.srv.handshakes.at(i).resumed() ==
                      (w.srv.handshakes.at(i).reason == full_handshake_reason::none));
            CHECK(w.cache.stats().full_by_reason.at(static_cast<std::size_t>(full_handshake_reason::unknown_session)) ==
                  0);
            for (auto const& info : infos)
                if (!info.resumed())
                    CHECK(info.reason ==
                          (held == 0 ? full_handshake_reason::nothing_stored : full_handshake_reason::tickets_in_use));
        }
}

TEST_CASE("a store that wants tickets for as many connections as are opened at once gets them")
{
    for (auto const& k : {kinds[2], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k, .cache = {.max_requested_tickets = 6}}};
        w.store = reprise::memory_session_store::make({.max_tickets_per_key = 8, .request_tickets = 4});
        visit_at_once(w, 1);
        CHECK(w.store->size() == 4);
        CHECK(resumed(visit_at_once(w, 4)) == 4);
        CHECK(w.store->size() == 4); // each was renewed

        w.store = reprise::memory_session_store::make({.max_tickets_per_key = 8, .request_tickets = 8});
        visit_at_once(w, 1);
        CHECK(w.store->size() == 6); // the server's bound
        CHECK(w.srv.failures.empty());
    }
}

TEST_CASE("a server that does not hear requests sends what it always does, and so does one for TLS 1.2")
{
    world w{{.of = kinds[2], .cache = {.max_requested_tickets = 0}}};
    w.store = reprise::memory_session_store::make({.request_tickets = 4});
    visit_at_once(w, 1);
    CHECK(w.store->size() == 1);
    world old{{.of = kinds[1]}};
    old.store = reprise::memory_session_store::make({.request_tickets = 4});
    CHECK(resumed(visit_at_once(old, 1)) == 0);
    CHECK(resumed(visit_at_once(old, 1)) == 1);
}

TEST_CASE("a ticket of which nothing has reached the wire goes back; one that has been shown is gone")
{
    for (auto const& k : {kinds[2], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        visit_at_once(w, 1);
        REQUIRE(w.store->size() == 1);
        slow_check slow{w.io};
        asio::cancellation_signal cancel;
        reprise::client_options options;
        options.is_revoked = slow.check();
        options.lookup_timeout = 10s;
        w.io.restart();
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream(options);
                error_code ended;
                stream.async_connect(
                    "localhost", w.srv.port(),
                    asio::bind_cancellation_slot(cancel.slot(), [&](error_code ec, auto const&) { ended = ec; }));
                (void)co_await slow.asked.async_wait(asio::as_tuple(asio::use_awaitable));
                CHECK(w.store->size() == 0);
                cancel.emit(asio::cancellation_type::terminal);
                while (!ended)
                    co_await asio::post(asio::use_awaitable);
                CHECK(ended == asio::error::operation_aborted);
                CHECK(w.store->size() == 1);
                slow.until.cancel();

                // The stream is as good as new.
                auto again = w.stream();
                CHECK((co_await w.visit(again)).resumed());
            });
    }
}

TEST_CASE("a revocation check is asked before an offer: revoked, late and failed cost a full handshake")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        struct row
        {
            reprise::revocation_check check;
            full_handshake_reason reason;
        };
        auto const yes = [](auto) -> asio::awaitable<bool> { co_return true; };
        auto const no = [](auto) -> asio::awaitable<bool> { co_return false; };
        auto const throws = [](auto) -> asio::awaitable<bool>
        {
            throw std::runtime_error{"no responder"};
            co_return false;
        };
        auto const hangs = [](auto) -> asio::awaitable<bool>
        {
            asio::steady_timer never{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
            co_await never.async_wait(asio::use_awaitable);
            co_return false;
        };
        for (auto const& r :
             {row{yes, full_handshake_reason::revoked}, row{no, full_handshake_reason::none},
              row{throws, full_handshake_reason::lookup_failed}, row{hangs, full_handshake_reason::lookup_late}})
        {
            world w{{.of = k}};
            visit_at_once(w, 1);
            reprise::client_options options;
            options.is_revoked = r.check;
            options.lookup_timeout = 5ms;
            w.io.restart();
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream(options);
                    auto const info = co_await w.visit(stream);
                    CHECK(info.reason == r.reason);
                    CHECK(info.resumed() == (r.reason == full_handshake_reason::none));
                });
            CHECK(w.srv.handshakes.back().resumed() == (r.reason == full_handshake_reason::none));
        }
    }
}

TEST_CASE("a TLS 1.2 session is forgotten after a fatal alert, and the next handshake says so")
{
    for (auto const& k : {kinds[0], kinds[1]})
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                set_versions(w.server_tls, TLS1_3_VERSION, TLS1_3_VERSION); // the server speaks no TLS 1.2 any more
                auto const [ec, info] = co_await stream.async_reconnect(asio::as_tuple(asio::use_awaitable));
                CHECK(ec.category() == asio::error::get_ssl_category());
                set_versions(w.server_tls, TLS1_2_VERSION, TLS1_2_VERSION);
                CHECK((co_await w.visit(stream)).reason == full_handshake_reason::alerted);
                CHECK((co_await w.visit(stream)).resumed());
            });
    }
}

TEST_CASE("one store serves eight threads with a thousand connections")
{
    // One server for each thread, all of one context and one cache, so that only what is meant to be shared is shared.
    constexpr int threads = 8;
    constexpr int visits = 125;
    for (auto const& k : {kinds[1], kinds[2], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        auto server_tls = server_context();
        set_versions(server_tls, k.version, k.version);
        reprise::session_cache_options cache_options;
        cache_options.id_context = "test/v1";
        cache_options.tickets = k.tickets;
        reprise::session_cache const cache{server_tls, cache_options};
        auto client_tls = client_context();
        auto const store = reprise::memory_session_store::make({.max_tickets_per_key = 16});
        std::atomic<int> resumed = 0;
        std::atomic<int> done = 0;
        std::vector<std::thread> running;
        for (int t = 0; t < threads; ++t)
            running.emplace_back(
                [&]
                {
                    asio::io_context io;
                    server srv{io, cache};
                    reprise::client_options options;
                    options.policy_tag = "shared";
                    auto const visit_all = [&]() -> asio::awaitable<void>
                    {
                        for (int i = 0; i < visits; ++i)
                        {
                            client_side stream{executor_of(io), client_tls, *store, options};
                            co_await stream.async_connect("localhost", std::to_string(srv.endpoint().port()));
                            co_await read_all(stream);
                            resumed += stream.handshake().resumed() ? 1 : 0;
                            ++done;
                            co_await stream.async_shutdown();
                        }
                    };
                    run(io, visit_all());
                });
        for (auto& thread : running)
            thread.join();
        CHECK(done == threads * visits);
        CHECK(resumed == threads * (visits - 1)); // each thread's server has a port, and so a key, of its own
    }
}

TEST_SUITE_END();
