// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <reprise/base/error.hpp>
#include <reprise/storage/memory_storage.hpp>

using namespace test;
using reprise::full_reason;

TEST_SUITE_BEGIN("a storage or store that fails");

namespace {

enum class fault
{
    none,
    throws,
    hangs,
};

template <class T>
asio::awaitable<T> with(fault f, asio::awaitable<T> otherwise)
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

struct remote_store : reprise::session_store
{
    fault reads = fault::none;
    std::shared_ptr<reprise::session_store> behind = reprise::memory_session_store::make();

    void capture(reprise::session_key const& key, reprise::session ticket) noexcept override
    {
        behind->capture(key, std::move(ticket));
    }
    asio::awaitable<std::optional<reprise::session>> take(reprise::session_key key) override
    {
        return with(reads, behind->take(std::move(key)));
    }
    asio::awaitable<std::size_t> remove(reprise::session_key key) override { return behind->remove(std::move(key)); }
    asio::awaitable<void> clear() override { return behind->clear(); }
    asio::awaitable<void> drain() override { return behind->drain(); }
    std::size_t size() const override { return behind->size(); }
};

} // namespace

TEST_CASE("a storage that throws or hangs costs a resumption, never a connection; then it resumes again")
{
    for (auto const& k : {kinds[0], kinds[3]})
        for (auto const f : {fault::throws, fault::hangs})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(f));
            auto const storage = std::make_shared<remote_storage>();
            world w{{.of = k, .cache = {.storage = storage, .lookup_deadline = 10ms}}};
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream();
                    co_await w.visit(stream);
                    storage->reads = f;
                    CHECK((co_await w.visit(stream)).reason == full_reason::declined);
                    storage->reads = fault::none;
                    CHECK((co_await w.visit(stream)).resumed());
                });
            auto const reason = f == fault::throws ? full_reason::lookup_failed : full_reason::lookup_late;
            CHECK(w.srv.handshakes.at(1).reason == reason);
            CHECK(w.srv.handshakes.at(2).resumption == k.on_server);
            CHECK(w.srv.failures.empty());
            auto const stats = w.cache.stats();
            CHECK(stats.full_by_reason[static_cast<std::size_t>(reason)] == 1);
            CHECK(stats.storage_errors == (f == fault::throws ? 1 : 0));
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

TEST_CASE("a session_store that throws or hangs costs a resumption, never a connection")
{
    for (auto const& k : kinds)
        for (auto const f : {fault::throws, fault::hangs})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(static_cast<int>(f));
            world w{{.of = k}};
            auto const store = std::make_shared<remote_store>();
            reprise::client_options options;
            options.lookup_deadline = 10ms;
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    client_side stream{w.io.get_executor(), w.client_tls, *store, options};
                    co_await w.visit(stream);
                    store->reads = f;
                    auto const info = co_await w.visit(stream);
                    CHECK(info.reason == (f == fault::throws ? full_reason::lookup_failed : full_reason::lookup_late));
                    store->reads = fault::none;
                    CHECK((co_await w.visit(stream)).resumed());
                });
            CHECK(w.srv.handshakes.at(1).reason == full_reason::not_offered);
            CHECK(w.srv.failures.empty());
        }
}

TEST_SUITE_END();
