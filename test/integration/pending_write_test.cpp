// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>

using namespace test;
using reprise::full_handshake_reason;
using reprise::testing::each;
using reprise::testing::faulty_storage;
using operation = reprise::testing::storage_operation;
using fault = reprise::testing::storage_fault;

TEST_SUITE_BEGIN("a session that is still being written");

namespace {

struct slow_storage
{
    std::shared_ptr<faulty_storage> inner = faulty_storage::make(reprise::memory_storage::make());
    std::shared_ptr<faulty_storage> storage = faulty_storage::make(inner, each(operation::put, fault::hold));
};

setup with(kind const& k, slow_storage const& slow)
{
    return {.of = k, .cache = {.storage = slow.storage, .lookup_timeout = 5s, .write_timeout = 10s}};
}

asio::awaitable<void> until(std::function<bool()> condition)
{
    asio::steady_timer pause{co_await asio::this_coro::executor};
    while (!condition()) // the test's own limit ends it
    {
        pause.expires_after(1ms);
        co_await pause.async_wait(asio::use_awaitable);
    }
}

// Of a client that offers its first ticket again and again, as none should (RFC 8446, C.4).
struct shameless_store : reprise::session_store
{
    std::optional<reprise::session> first;

    void capture(reprise::session_scope const&, reprise::session ticket) noexcept override
    {
        if (!first)
            first = std::move(ticket);
    }
    asio::awaitable<reprise::take_result> take(reprise::session_scope) override
    {
        reprise::take_result result;
        result.ticket = first;
        co_return result;
    }
    asio::awaitable<std::size_t> remove(reprise::session_scope) override { co_return 0; }
    asio::awaitable<void> clear() override { co_return; }
    asio::awaitable<void> drain() override { co_return; }
    std::size_t size() const override { return first ? 1 : 0; }
};

} // namespace

TEST_CASE("a TLS 1.2 session id is found at once")
{
    slow_storage slow;
    world w{with(kinds[0], slow)};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            CHECK((co_await w.visit(stream)).resumed());
            CHECK((co_await w.visit(stream)).resumed()); // such a session may be used again
            CHECK(slow.storage->waiting() == 1);
            CHECK(slow.storage->operations() == 1); // the put: nobody asked
            slow.storage->release();
            co_await w.cache.drain();
            CHECK((co_await w.visit(stream)).resumed());
            CHECK(slow.storage->operations() == 2);
        });
    CHECK(w.cache.stats().stored == 1);
}

TEST_CASE("a TLS 1.3 ticket is found when it has been written, and taken once")
{
    slow_storage slow;
    world w{with(kinds[3], slow)};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto const store = std::make_shared<shameless_store>();
            client_side first{executor_of(w.io), w.client_tls, *store};
            client_side second{executor_of(w.io), w.client_tls, *store};
            co_await w.visit(first);
            REQUIRE(store->first.has_value());

            int resumed = 0;
            auto const visit = [&](client_side& stream) -> asio::awaitable<void>
            { resumed += (co_await w.visit(stream)).resumed() ? 1 : 0; };
            auto const release = [&]() -> asio::awaitable<void>
            {
                co_await until([&] { return w.cache.stats().lookups == 2; });
                CHECK(slow.storage->operations() == 1); // the put: both wait for it
                slow.storage->set_plan({});
                slow.storage->release();
            };
            using namespace asio::experimental::awaitable_operators;
            co_await (visit(first) && visit(second) && release());
            CHECK(resumed == 1);
        });
    CHECK(w.srv.failures.empty());
}

TEST_CASE("a TLS 1.3 ticket whose write takes longer than a lookup may is late, and no handshake waits for it")
{
    slow_storage slow;
    auto s = with(kinds[3], slow);
    s.cache.lookup_timeout = 10ms;
    world w{s};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            CHECK_FALSE((co_await w.visit(stream)).resumed());
            slow.storage->release();
            co_await w.cache.drain();
        });
    CHECK(w.srv.handshakes.at(1).reason == full_handshake_reason::lookup_late);
    CHECK(w.srv.failures.empty());
}

TEST_CASE("a session whose write fails is unknown, and counted")
{
    slow_storage slow;
    slow.inner->set_plan(each(operation::put, fault::fail));
    world w{with(kinds[3], slow)};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            auto const release = [&]() -> asio::awaitable<void>
            {
                co_await until([&] { return w.cache.stats().lookups == 1; });
                slow.storage->set_plan({});
                slow.storage->release();
            };
            using namespace asio::experimental::awaitable_operators;
            auto const visit = [&]() -> asio::awaitable<void> { CHECK_FALSE((co_await w.visit(stream)).resumed()); };
            co_await (visit() && release());
        });
    CHECK(w.srv.handshakes.at(1).reason == full_handshake_reason::unknown_session);
    CHECK(w.srv.failures.empty());
    CHECK(w.cache.stats().storage_errors == 2); // the second session could not be written either
    CHECK(w.cache.stats().stored == 0);
}

TEST_CASE("a write that hangs gives its place back after the deadline, and is counted")
{
    for (auto const& k : {kinds[0], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        slow_storage slow;
        slow.storage->set_plan(nth_operation(0, fault::hang));
        auto s = with(k, slow);
        s.cache.write_timeout = 10ms;
        s.cache.max_pending_writes = 1;
        world w{s};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                CHECK(slow.storage->waiting() == 1);
                co_await w.cache.drain();
                co_await until([&] { return slow.storage->waiting() == 0; });
                CHECK(w.cache.stats().storage_errors == 1);
                CHECK_FALSE((co_await w.visit(stream)).resumed());
                co_await w.cache.drain();
                CHECK((co_await w.visit(stream)).resumed());
            });
        auto const stats = w.cache.stats();
        CHECK(stats.dropped == 0);
        CHECK(stats.storage_errors == 1);
        CHECK(w.srv.failures.empty());
    }
}

TEST_CASE("more sessions than may wait are dropped and counted")
{
    slow_storage slow;
    auto s = with(kinds[0], slow);
    s.cache.max_pending_writes = 2;
    world w{s};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            for (int i = 0; i < 3; ++i)
            {
                auto const store = reprise::memory_session_store::make(); // another client
                client_side stream{executor_of(w.io), w.client_tls, *store};
                co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).resumed() == (i < 2));
            }
            slow.storage->release();
            co_await w.cache.drain();
        });
    // The third client is given a session twice.
    CHECK(w.cache.stats().dropped == 2);
    CHECK(w.cache.stats().stored == 2);
}

TEST_CASE("writes that go with their io_context are not waited for")
{
    slow_storage slow;
    std::optional<world> w{std::in_place, with(kinds[0], slow)};
    w->run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w->stream();
            co_await w->visit(stream);
        });
    auto cache = w->cache;
    CHECK(slow.storage->waiting() == 1);
    w.reset();
    CHECK(slow.storage->waiting() == 0);
    asio::io_context io;
    test::run(io, cache.drain());
}

TEST_SUITE_END();
