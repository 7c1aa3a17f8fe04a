// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <new>

using namespace test;
using reprise::full_handshake_reason;

TEST_SUITE_BEGIN("a storage or store that fails");

namespace {

enum class fault
{
    none,
    throws,
    throws_at_once, // before there is anything to await, and not even a std::exception
    hangs,
};
constexpr fault faults[] = {fault::throws, fault::throws_at_once, fault::hangs};

template <class T>
asio::awaitable<T> later(fault f, asio::awaitable<T> otherwise)
{
    if (f == fault::throws)
        throw reprise::system_error{asio::error::connection_refused};
    if (f == fault::hangs)
    {
        asio::steady_timer forever{co_await asio::this_coro::executor, 1h};
        co_await forever.async_wait(asio::use_awaitable);
    }
    co_return co_await std::move(otherwise);
}

template <class T>
asio::awaitable<T> with(fault f, asio::awaitable<T> otherwise)
{
    if (f == fault::throws_at_once)
        throw std::string{"no exception that anybody expects"};
    return later(f, std::move(otherwise));
}

// A memory_storage behind a network that fails.
struct remote_storage : reprise::storage
{
    fault reads = fault::none;
    fault writes = fault::none;
    reprise::storage_ptr behind = reprise::memory_storage::make();

    asio::awaitable<std::optional<reprise::secret_bytes>> get(std::string name) override
    {
        return with(reads, behind->get(std::move(name)));
    }
    asio::awaitable<std::optional<reprise::secret_bytes>> take(std::string name) override
    {
        return with(reads, behind->take(std::move(name)));
    }
    asio::awaitable<void> put(std::string name, reprise::secret_bytes value, reprise::time_point expiry) override
    {
        if (writes != fault::none)
            throw reprise::system_error{asio::error::connection_refused};
        return behind->put(std::move(name), std::move(value), expiry);
    }
    asio::awaitable<bool> put_if_absent(std::string name, reprise::secret_bytes value,
                                        reprise::time_point expiry) override
    {
        return behind->put_if_absent(std::move(name), std::move(value), expiry);
    }
    asio::awaitable<bool> erase(std::string name) override { return behind->erase(std::move(name)); }
    asio::awaitable<std::size_t> flush() override { return behind->flush(); }
    reprise::storage_stats stats() const override { return behind->stats(); }
};

// One without room, in this process.
struct full_storage : reprise::immediate_storage
{
    bool reads_fail = false;
    bool writes_fail = false;
    std::shared_ptr<reprise::memory_storage> behind = reprise::memory_storage::make();

    bool read_now(std::string_view name, reader const& read) override
    {
        fail_if(reads_fail);
        return behind->read_now(name, read);
    }
    std::optional<reprise::secret_bytes> take_now(std::string_view name) override
    {
        fail_if(reads_fail);
        return behind->take_now(name);
    }
    void put_now(std::string_view name, reprise::byte_view value, reprise::time_point expiry) override
    {
        fail_if(writes_fail);
        behind->put_now(name, value, expiry);
    }
    bool put_if_absent_now(std::string_view name, reprise::byte_view value, reprise::time_point expiry) override
    {
        return behind->put_if_absent_now(name, value, expiry);
    }
    bool erase_now(std::string_view name) override { return behind->erase_now(name); }
    asio::awaitable<std::size_t> flush() override { return behind->flush(); }
    reprise::storage_stats stats() const override { return behind->stats(); }

private:
    static void fail_if(bool yes)
    {
        if (yes)
            throw std::bad_alloc{};
    }
};

struct remote_store : reprise::session_store
{
    fault reads = fault::none;
    fault removes = fault::none;
    int removals = 0;
    std::shared_ptr<reprise::session_store> behind = reprise::memory_session_store::make();

    void capture(reprise::session_scope const& key, reprise::session ticket) noexcept override
    {
        behind->capture(key, std::move(ticket));
    }
    asio::awaitable<reprise::take_result> take(reprise::session_scope key) override
    {
        return with(reads, behind->take(std::move(key)));
    }
    asio::awaitable<std::size_t> remove(reprise::session_scope key) override
    {
        ++removals;
        return with(removes, behind->remove(std::move(key)));
    }
    asio::awaitable<void> clear() override { return behind->clear(); }
    asio::awaitable<void> drain() override { return behind->drain(); }
    std::size_t size() const override { return behind->size(); }
};

} // namespace

TEST_CASE("a storage that throws or hangs costs a resumption, never a connection; then it resumes again")
{
    for (auto const& k : {kinds[0], kinds[3]})
        for (auto const f : faults)
        {
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(f));
            auto const storage = std::make_shared<remote_storage>();
            world w{{.of = k, .cache = {.storage = storage, .lookup_timeout = 10ms}}};
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream();
                    co_await w.visit(stream);
                    storage->reads = f;
                    CHECK((co_await w.visit(stream)).reason == full_handshake_reason::declined);
                    storage->reads = fault::none;
                    CHECK((co_await w.visit(stream)).resumed());
                });
            auto const reason =
                f == fault::hangs ? full_handshake_reason::lookup_late : full_handshake_reason::lookup_failed;
            CHECK(w.srv.handshakes.at(1).reason == reason);
            CHECK(w.srv.handshakes.at(2).resumption == k.on_server);
            CHECK(w.srv.failures.empty());
            auto const stats = w.cache.stats();
            CHECK(stats.full_by_reason[static_cast<std::size_t>(reason)] == 1);
            CHECK(stats.storage_errors == (f == fault::hangs ? 0 : 1));
        }
}

TEST_CASE("a storage that cannot write is counted, and the handshake does not notice")
{
    for (auto const& k : {kinds[0], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        auto const storage = std::make_shared<remote_storage>();
        storage->writes = fault::throws;
        world w{{.of = k, .cache = {.storage = storage}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                co_await w.cache.drain();
            });
        CHECK(w.srv.failures.empty());
        CHECK(w.cache.stats().storage_errors == 1);
        CHECK(w.cache.stats().stored == 0);
    }
}

TEST_CASE("an immediate storage that throws costs a resumption, never a connection; then it resumes again")
{
    for (auto const& k : {kinds[0], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        auto const storage = std::make_shared<full_storage>();
        storage->writes_fail = true;
        world w{{.of = k, .cache = {.storage = storage}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream); // is not stored
                storage->writes_fail = false;
                co_await w.visit(stream);
                storage->reads_fail = true;
                co_await w.visit(stream);
                storage->reads_fail = false;
                co_await w.visit(stream);
            });
        CHECK(w.srv.handshakes.at(1).reason == full_handshake_reason::unknown_session);
        CHECK(w.srv.handshakes.at(2).reason == full_handshake_reason::lookup_failed);
        CHECK(w.srv.handshakes.at(3).resumption == k.on_server);
        CHECK(w.srv.failures.empty());
        CHECK(w.cache.stats().storage_errors == 2);
    }
}

TEST_CASE("a session_store that throws or hangs costs a resumption, never a connection")
{
    for (auto const& k : kinds)
        for (auto const f : faults)
        {
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(f));
            world w{{.of = k}};
            auto const store = std::make_shared<remote_store>();
            reprise::client_options options;
            options.lookup_timeout = 10ms;
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    client_side stream{executor_of(w.io), w.client_tls, *store, options};
                    co_await w.visit(stream);
                    store->reads = f;
                    auto const info = co_await w.visit(stream);
                    CHECK(info.reason == (f == fault::hangs ? full_handshake_reason::lookup_late
                                                            : full_handshake_reason::lookup_failed));
                    store->reads = fault::none;
                    CHECK((co_await w.visit(stream)).resumed());
                });
            CHECK(w.srv.handshakes.at(1).reason == full_handshake_reason::not_offered);
            CHECK(w.srv.failures.empty());
        }
}

namespace {

// In the place of the server: whatever is sent to it, it is not TLS that comes back.
asio::awaitable<void> talk_nonsense_once(tcp::acceptor& acceptor)
{
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    std::array<char, 4096> hello;
    co_await socket.async_read_some(asio::buffer(hello), asio::use_awaitable);
    co_await asio::async_write(socket, asio::buffer("HTTP/1.0 400 Bad Request\r\n\r\n", 28), asio::use_awaitable);
}

} // namespace

TEST_CASE("a handshake that fails says why, although the store cannot forget the session that was offered")
{
    for (auto const f : faults)
    {
        CAPTURE(static_cast<int>(f));
        world w{{.of = kinds[0]}};
        auto const store = std::make_shared<remote_store>();
        store->removes = f;
        reprise::client_options options;
        options.lookup_timeout = 10ms;
        w.run(
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(w.io), w.client_tls, *store, options};
                co_await w.visit(stream);
                auto const at = w.srv.endpoint();
                w.srv.stop();
                tcp::acceptor other{executor_of(w.io), at};
                asio::co_spawn(executor_of(w.io), talk_nonsense_once(other), asio::detached);
                auto const [ec, info] = co_await stream.async_reconnect(asio::as_tuple(asio::use_awaitable));
                CHECK(ec.category() == asio::error::get_ssl_category());
                CHECK(store->removals == 1);
            });
    }
}

TEST_CASE("a session that was asked for exactly needs no store, not even to fail")
{
    world w{{.of = kinds[0]}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            auto const session = reprise::session::snapshot(SSL_get_session(stream.native_handle()), {});
            REQUIRE(session.has_value());
            auto const at = w.srv.endpoint();
            w.srv.stop();
            tcp::acceptor other{executor_of(w.io), at};
            asio::co_spawn(executor_of(w.io), talk_nonsense_once(other), asio::detached);
            client_side plain{executor_of(w.io), w.client_tls};
            auto const [ec, info] = co_await plain.async_connect(
                "localhost", std::to_string(at.port()), {.exactly = &*session}, asio::as_tuple(asio::use_awaitable));
            CHECK(ec.category() == asio::error::get_ssl_category());
        });
}

namespace {

// Answers when it is told to, whatever else happens.
struct deaf_store : reprise::session_store
{
    explicit deaf_store(asio::io_context& io) : gate(executor_of(io), asio::steady_timer::time_point::max()) {}

    asio::steady_timer gate;
    int answers = 0;

    void capture(reprise::session_scope const&, reprise::session) noexcept override {}
    asio::awaitable<reprise::take_result> take(reprise::session_scope) override
    {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
        ++answers; // touches the store, so it had better be there
        co_return reprise::take_result{};
    }
    asio::awaitable<std::size_t> remove(reprise::session_scope) override { co_return 0; }
    asio::awaitable<void> clear() override { co_return; }
    asio::awaitable<void> drain() override { co_return; }
    std::size_t size() const override { return 0; }
};

// The same for a server.
struct deaf_storage : remote_storage
{
    explicit deaf_storage(asio::io_context& io) : gate(executor_of(io), asio::steady_timer::time_point::max()) {}

    asio::steady_timer gate;
    int answers = 0;

    asio::awaitable<std::optional<reprise::secret_bytes>> get(std::string) override
    {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
        ++answers;
        co_return std::nullopt;
    }
};

} // namespace

TEST_CASE("a store that answers after its stream has gone is still there to answer")
{
    world w;
    auto store = std::make_shared<deaf_store>(w.io);
    std::weak_ptr<deaf_store> const seen = store;
    reprise::client_options options;
    options.lookup_timeout = 5ms;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(w.io), w.client_tls, *store, options};
            CHECK((co_await w.visit(stream)).reason == full_handshake_reason::lookup_late);
        });
    store.reset();
    REQUIRE_FALSE(seen.expired());
    seen.lock()->gate.cancel();
    w.io.restart();
    while (!seen.expired())
        REQUIRE(w.io.run_one_for(5s) == 1);
}

TEST_CASE("a storage that answers after its cache has gone is still there to answer")
{
    asio::io_context io;
    auto storage = std::make_shared<deaf_storage>(io);
    std::weak_ptr<deaf_storage> const seen = storage;
    auto const store = reprise::memory_session_store::make();
    auto tls = client_context();
    {
        auto server_tls = server_context();
        set_versions(server_tls, TLS1_2_VERSION, TLS1_2_VERSION);
        server srv{
            io, reprise::session_cache{
                    server_tls,
                    {.id_context = "test/v1", .tickets = false, .storage = std::move(storage), .lookup_timeout = 5ms}}};
        auto const visit_twice = [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(io), tls, *store};
            for (int i = 0; i < 2; ++i)
            {
                co_await stream.async_connect("localhost", srv.port());
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }
        };
        test::run(io, visit_twice());
        CHECK(srv.handshakes.at(1).reason == full_handshake_reason::lookup_late);
        srv.stop();
        io.restart();
        io.poll(); // the server's own coroutine ends
    }
    REQUIRE_FALSE(seen.expired());
    seen.lock()->gate.cancel();
    io.restart();
    while (!seen.expired())
        REQUIRE(io.run_one_for(5s) == 1);
}

TEST_SUITE_END();
