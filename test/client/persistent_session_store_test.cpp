// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/await.hpp"
#include "support/child.hpp"
#include "support/keys.hpp"
#include "support/sessions.hpp"

#include <reprise/base/error.hpp>
#include <reprise/client/memory_session_store.hpp>
#include <reprise/client/persistent_session_store.hpp>
#include <reprise/storage/lmdb_storage.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <thread>

using namespace reprise;
using namespace test;
using namespace std::chrono_literals;
using testing::storage_fault;
using testing::storage_operation;

TEST_SUITE_BEGIN("persistent_session_store");

namespace {

session_key to(std::string host)
{
    session_key key;
    key.host = std::move(host);
    key.service = "443";
    key.server_name = key.host;
    key.alpn = {"h2"};
    key.policy = "policy";
    return key;
}

std::string ticket_of(session const& s)
{
    unsigned char const* bytes = nullptr;
    std::size_t size = 0;
    ::SSL_SESSION_get0_ticket(s.native_handle(), &bytes, &size);
    if (size == 0)
    {
        unsigned length = 0;
        bytes = ::SSL_SESSION_get_id(s.native_handle(), &length);
        size = length;
    }
    return {reinterpret_cast<char const*>(bytes), size};
}

std::string ticket_of(lease const& l)
{
    return l.ticket ? ticket_of(*l.ticket) : "";
}

struct scene
{
    asio::io_context io;
    testing::manual_clock time;

    void run(asio::awaitable<void> what)
    {
        std::exception_ptr failure;
        io.restart();
        asio::co_spawn(io, std::move(what), [&](std::exception_ptr e) { failure = e; });
        io.run();
        if (failure)
            std::rethrow_exception(failure);
    }

    std::shared_ptr<persistent_session_store> open(storage_ptr storage,
                                                   std::function<void(persistent_session_store_options&)> change = {})
    {
        persistent_session_store_options o;
        o.storage = std::move(storage);
        o.keys = {key_of(1)};
        o.executor = io.get_executor();
        o.now = time;
        if (change)
            change(o);
        return persistent_session_store::make(std::move(o));
    }

    lease take(session_store& store, session_key const& key)
    {
        lease result;
        run([&]() -> asio::awaitable<void> { result = co_await store.take(key); }());
        return result;
    }

    void keep(session_store& store, session_key const& key, session const& s) { run(store.insert(key, s)); }

    session fresh(int version = TLS1_3_VERSION, std::chrono::seconds lifetime = 300s)
    {
        return make_session({.version = version, .lifetime = lifetime, .issued = time.now(), .origin = {time.now()}});
    }

    std::shared_ptr<testing::faulty_storage> far()
    {
        memory_storage_options o;
        o.now = time;
        return testing::faulty_storage::make(memory_storage::make(std::move(o)));
    }

    storage_ptr near()
    {
        memory_storage_options o;
        o.now = time;
        return memory_storage::make(std::move(o));
    }

    std::shared_ptr<lmdb_storage> disk(temporary_directory const& at)
    {
        lmdb_storage_options o;
        o.path = at / "store";
        o.now = time;
        return lmdb_storage::make(std::move(o));
    }
};

// Each kind of storage, one after the other.
void over_each(std::function<void(scene&, storage_ptr)> const& test)
{
    {
        scene s;
        CAPTURE("near");
        test(s, s.near());
    }
    {
        scene s;
        CAPTURE("far");
        test(s, s.far());
    }
    {
        temporary_directory const at;
        scene s;
        CAPTURE("disk");
        test(s, s.disk(at));
    }
}

} // namespace

TEST_CASE("tickets are handed out newest first, each once; a TLS 1.2 session stays")
{
    over_each(
        [](scene& s, storage_ptr const& storage)
        {
            auto const store = s.open(storage);
            auto const old = s.fresh();
            auto const young = s.fresh();
            s.keep(*store, to("a"), old);
            s.keep(*store, to("a"), young);
            CHECK(store->size() == 2);
            CHECK(ticket_of(s.take(*store, to("a"))) == ticket_of(young));
            CHECK(ticket_of(s.take(*store, to("a"))) == ticket_of(old));
            CHECK(s.take(*store, to("a")).reason == full_reason::tickets_in_use);
            CHECK(s.take(*store, to("b")).reason == full_reason::nothing_stored);

            auto const reusable = s.fresh(TLS1_2_VERSION);
            s.keep(*store, to("a"), reusable);
            for (int i = 0; i < 3; ++i)
                CHECK(ticket_of(s.take(*store, to("a"))) == ticket_of(reusable));
            CHECK(store->stats().stored == 3);
            CHECK(store->stats().storage_errors == 0);
            CHECK(store->stats().rejected == 0);
        });
}

TEST_CASE("what one process keeps the next one finds, and a ticket is used by one of them")
{
    over_each(
        [](scene& s, storage_ptr const& storage)
        {
            std::set<std::string> kept;
            {
                auto const store = s.open(storage);
                for (int i = 0; i < 4; ++i)
                {
                    auto const made = s.fresh();
                    kept.insert(ticket_of(made));
                    s.keep(*store, to("a"), made);
                }
                s.keep(*store, to("b"), s.fresh(TLS1_2_VERSION));
            }
            auto const one = s.open(storage);
            auto const two = s.open(storage);
            std::set<std::string> found;
            for (int i = 0; i < 4; ++i)
                found.insert(ticket_of(s.take(i % 2 == 0 ? *one : *two, to("a"))));
            CHECK(found == kept);
            CHECK_FALSE(s.take(*one, to("a")).ticket);
            CHECK_FALSE(s.take(*two, to("a")).ticket);
            CHECK(s.take(*one, to("b")).ticket);
            CHECK(s.take(*two, to("b")).ticket);
        });
}

TEST_CASE("two stores that take at once never share a ticket")
{
    temporary_directory const at;
    scene s;
    auto const disk = s.disk(at);
    auto const writer = s.open(disk, [](auto& o) { o.max_tickets_per_key = 16; });
    std::vector<std::thread> threads;
    std::atomic<int> found = 0;
    std::mutex mutex;
    std::set<std::string> tickets;
    for (int round = 0; round < 5; ++round)
    {
        for (int i = 0; i < 16; ++i)
            s.keep(*writer, to("a"), s.fresh());
        threads.clear();
        for (int t = 0; t < 4; ++t)
            threads.emplace_back(
                [&]
                {
                    scene own;
                    auto const store = own.open(disk, [](auto& o) { o.max_tickets_per_key = 16; });
                    for (int i = 0; i < 16; ++i)
                        if (auto const got = own.take(*store, to("a")); got.ticket)
                        {
                            ++found;
                            std::lock_guard const lock{mutex};
                            CHECK(tickets.insert(ticket_of(got)).second);
                        }
                });
        for (auto& thread : threads)
            thread.join();
    }
    CHECK(found == 5 * 16);
}

TEST_CASE("an expired session is not handed out")
{
    over_each(
        [](scene& s, storage_ptr const& storage)
        {
            for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
            {
                auto const store = s.open(storage);
                s.keep(*store, to("a"), s.fresh(version, 60s));
                s.time.advance(61s);
                CHECK(s.take(*store, to("a")).reason == full_reason::expired);
                auto const next = s.open(storage);
                CHECK_FALSE(s.take(*next, to("a")).ticket);
            }
        });
}

TEST_CASE("sessions never cross to a key that differs in anything")
{
    over_each(
        [](scene& s, storage_ptr const& storage)
        {
            auto const store = s.open(storage, [](auto& o) { o.persist_mutual_tls = true; });
            s.keep(*store, to("a"), s.fresh(TLS1_2_VERSION));
            auto const next = s.open(storage, [](auto& o) { o.persist_mutual_tls = true; });
            auto const changed = [](auto change)
            {
                auto key = to("a");
                change(key);
                return key;
            };
            for (auto const& other :
                 {changed([](auto& k) { k.host = "b"; }), changed([](auto& k) { k.service = "8443"; }),
                  changed([](auto& k) { k.server_name = ""; }), changed([](auto& k) { k.alpn = {}; }),
                  changed([](auto& k) { k.route = "proxy"; }), changed([](auto& k) { k.policy = "other"; }),
                  changed([](auto& k) { k.identity = "me"; }), changed([](auto& k) { k.partition = "me"; }),
                  changed([](auto& k) { k.alpn = {"h", "2"}; })})
            {
                CHECK_FALSE(s.take(*store, other).ticket);
                CHECK_FALSE(s.take(*next, other).ticket);
            }
            CHECK(s.take(*store, changed([](auto& k) { k.policy = "other"; })).reason == full_reason::policy_differs);
            CHECK(s.take(*next, to("a")).ticket);
        });
}

TEST_CASE("sessions of mutual TLS stay in memory, unless they are asked for")
{
    over_each(
        [](scene& s, storage_ptr const& storage)
        {
            auto mine = to("a");
            mine.identity = "me";
            for (bool const persists : {false, true})
            {
                auto const choose = [&](persistent_session_store_options& o) { o.persist_mutual_tls = persists; };
                auto const store = s.open(storage, choose);
                s.keep(*store, mine, s.fresh(TLS1_2_VERSION));
                CHECK(store->stats().stored == (persists ? 1u : 0u));
                CHECK(s.take(*store, mine).ticket);
                auto const next = s.open(storage, choose);
                CHECK(s.take(*next, mine).ticket.has_value() == persists);
            }
        });
}

TEST_CASE("a storage shows neither hosts nor tickets")
{
    temporary_directory const at;
    scene s;
    auto const made = s.fresh();
    auto const raw = s.fresh();
    {
        auto const disk = s.disk(at);
        auto const store = s.open(disk);
        s.keep(*store, to("secret-host.test"), made);
        // What would be seen, if it were not hidden.
        s.run(disk->put("seen-host.test", secret_bytes{as_bytes(ticket_of(raw))}, s.time.now() + 1h));
    }
    std::stringstream file;
    file << std::ifstream{at / "store/data.mdb", std::ios::binary}.rdbuf();
    auto const bytes = file.str();
    CHECK(bytes.find("seen-host") != std::string::npos);
    CHECK(bytes.find(ticket_of(raw).substr(0, 16)) != std::string::npos);
    CHECK(bytes.find("secret-host") == std::string::npos);
    CHECK(bytes.find(ticket_of(made).substr(0, 16)) == std::string::npos);
}

TEST_CASE("other keys find nothing; after a change of keys the sessions are there, if the names stay")
{
    scene s;
    auto const storage = s.far();
    auto const store = s.open(storage, [](auto& o) { o.name_key = key_of(9); });
    s.keep(*store, to("a"), s.fresh(TLS1_2_VERSION));
    auto const other = s.open(storage, [](auto& o) { o.keys = {key_of(2)}; });
    CHECK_FALSE(s.take(*other, to("a")).ticket);
    auto const changed = s.open(storage,
                                [](auto& o)
                                {
                                    o.keys = {key_of(2), key_of(1)};
                                    o.name_key = key_of(9);
                                });
    CHECK(s.take(*changed, to("a")).ticket);
    auto const foreign = s.open(storage,
                                [](auto& o)
                                {
                                    o.keys = {key_of(2)};
                                    o.name_key = key_of(9);
                                });
    CHECK(s.take(*foreign, to("a")).reason == full_reason::record_corrupt);
    CHECK(foreign->stats().rejected > 0);
}

TEST_CASE("a record that somebody has changed is a miss that is counted")
{
    scene s;
    auto const storage = s.far();
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        s.keep(*s.open(storage), to("a"), s.fresh(version));
        auto const store = s.open(storage);
        storage->set_plan([](storage_operation op, std::size_t)
                          { return op == storage_operation::put ? storage_fault::none : storage_fault::corrupt; });
        CHECK(s.take(*store, to("a")).reason == full_reason::record_corrupt);
        CHECK(store->stats().rejected > 0);
        storage->set_plan({});
        s.run([&]() -> asio::awaitable<void> { co_await store->remove(to("a")); }());
    }
}

TEST_CASE("a session is found from capture on, and one that is taken before it is written never is")
{
    scene s;
    auto const storage = s.far();
    auto const store = s.open(storage);
    auto const made = s.fresh();
    s.run(
        [&]() -> asio::awaitable<void>
        {
            store->capture(to("a"), made);
            auto const got = co_await store->take(to("a"));
            CHECK(ticket_of(got) == ticket_of(made));
            co_await store->drain();
        }());
    CHECK(store->stats().stored == 0);
    CHECK(s.take(*s.open(storage), to("a")).reason == full_reason::nothing_stored);
}

TEST_CASE("a ticket that is being written is waited for; cancelling that leaves the store as it was")
{
    scene s;
    auto const storage = s.far();
    auto const store = s.open(storage);
    auto const made = s.fresh();
    storage->set_plan(testing::each(storage_operation::put, storage_fault::hold));
    asio::cancellation_signal cancel;
    error_code ended;
    s.run(
        [&]() -> asio::awaitable<void>
        {
            store->capture(to("a"), made);
            for (int i = 0; i < 20; ++i)
                co_await asio::post(asio::use_awaitable);
            asio::co_spawn(s.io, store->take(to("a")),
                           asio::bind_cancellation_slot(cancel.slot(),
                                                        [&](std::exception_ptr e, lease const&)
                                                        {
                                                            try
                                                            {
                                                                if (e)
                                                                    std::rethrow_exception(e);
                                                            }
                                                            catch (system_error const& failed)
                                                            {
                                                                ended = failed.code();
                                                            }
                                                        }));
            for (int i = 0; i < 20; ++i)
                co_await asio::post(asio::use_awaitable);
            CHECK_FALSE(ended);
            cancel.emit(asio::cancellation_type::terminal);
            for (int i = 0; i < 20; ++i)
                co_await asio::post(asio::use_awaitable);
            CHECK(ended == asio::error::operation_aborted);
            storage->release();
            co_await store->drain();
            CHECK(ticket_of(co_await store->take(to("a"))) == ticket_of(made));
        }());
    CHECK(store->stats().stored == 1);
}

TEST_CASE("a storage that fails costs nothing within the process, and is counted")
{
    for (auto const fault : {storage_fault::fail, storage_fault::fail_after})
        for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
        {
            CAPTURE(version);
            scene s;
            auto const storage = s.far();
            auto const store = s.open(storage);
            storage->set_plan(testing::each(storage_operation::put, fault));
            auto const made = s.fresh(version);
            s.keep(*store, to("a"), made);
            CHECK(store->stats().storage_errors == 1);
            CHECK(store->stats().stored == 0);
            CHECK(ticket_of(s.take(*store, to("a"))) == ticket_of(made));
            if (version == TLS1_3_VERSION) // and nobody else has it
                CHECK_FALSE(s.take(*s.open(storage), to("a")).ticket);

            storage->set_plan({});
            s.keep(*store, to("b"), s.fresh(version));
            auto const next = s.open(storage);
            storage->set_plan([](storage_operation, std::size_t) { return storage_fault::fail; });
            CHECK(s.take(*next, to("b")).reason == full_reason::lookup_failed);
            CHECK(next->stats().storage_errors == 1);
            storage->set_plan({});
            CHECK(s.take(*next, to("b")).ticket);
        }
}

TEST_CASE("a write that hangs is given up in time, and a full queue drops and counts; both stay in memory")
{
    scene s;
    auto const storage = s.far();
    auto const store = s.open(storage,
                              [](auto& o)
                              {
                                  o.max_pending_writes = 2;
                                  o.write_deadline = 5ms;
                              });
    storage->set_plan(testing::each(storage_operation::put, storage_fault::hang));
    s.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const* host : {"a", "b", "c"})
                store->capture(to(host), s.fresh(TLS1_2_VERSION));
            co_await store->drain();
        }());
    CHECK(store->stats().dropped == 1);
    CHECK(store->stats().storage_errors == 2);
    for (auto const* host : {"a", "b", "c"})
        CHECK(s.take(*store, to(host)).ticket);
}

TEST_CASE("what is written when its context goes is not lost while the store is there")
{
    auto const storage = testing::faulty_storage::make(memory_storage::make({}));
    auto context = std::make_unique<asio::io_context>();
    persistent_session_store_options o;
    o.storage = storage;
    o.keys = {key_of(1)};
    o.executor = context->get_executor();
    auto const store = persistent_session_store::make(std::move(o));
    auto const made = make_session({.version = TLS1_2_VERSION});
    store->capture(to("a"), made);
    context.reset();
    scene s;
    CHECK(ticket_of(s.take(*store, to("a"))) == ticket_of(made));
}

TEST_CASE("the newest sessions of a key are kept, as many as it has slots")
{
    over_each(
        [](scene& s, storage_ptr const& storage)
        {
            auto const store = s.open(storage, [](auto& o) { o.max_tickets_per_key = 3; });
            std::vector<std::string> made;
            for (int i = 0; i < 5; ++i)
            {
                auto const one = s.fresh();
                made.push_back(ticket_of(one));
                s.keep(*store, to("a"), one);
            }
            for (std::size_t i = 5; i-- > 2;)
                CHECK(ticket_of(s.take(*store, to("a"))) == made[i]);
            CHECK_FALSE(s.take(*store, to("a")).ticket);
        });
}

TEST_CASE("remove and clear forget; a storage that fails is not taken for one that has forgotten")
{
    over_each(
        [](scene& s, storage_ptr const& storage)
        {
            auto const store = s.open(storage);
            for (auto const* host : {"a", "b"})
                s.keep(*store, to(host), s.fresh(TLS1_2_VERSION));
            std::size_t removed = 0;
            s.run([&]() -> asio::awaitable<void> { removed = co_await store->remove(to("a")); }());
            CHECK(removed == 1);
            CHECK_FALSE(s.take(*store, to("a")).ticket);
            CHECK_FALSE(s.take(*s.open(storage), to("a")).ticket);
            s.run(store->clear());
            CHECK(store->size() == 0);
            CHECK_FALSE(s.take(*s.open(storage), to("b")).ticket);
        });
    scene s;
    auto const storage = s.far();
    auto const store = s.open(storage);
    s.keep(*store, to("a"), s.fresh(TLS1_2_VERSION));
    storage->set_plan(testing::each(storage_operation::erase, storage_fault::fail));
    CHECK_THROWS_AS(s.run([&]() -> asio::awaitable<void> { co_await store->remove(to("a")); }()), system_error);
}

TEST_CASE("over a storage that never waits it never waits either")
{
    scene s;
    auto const store = s.open(s.near(), [](auto& o) { o.executor = {}; });
    CHECK(store->answers_at_once());
    CHECK_FALSE(s.open(s.far())->answers_at_once());
    store->capture(to("a"), s.fresh());
    CHECK(now(store->take(to("a"))).ticket);
}

TEST_CASE("options out of bounds are refused, by name")
{
    scene s;
    auto const refused =
        [&](std::string_view name, std::function<void(persistent_session_store_options&)> const& change)
    {
        try
        {
            (void)s.open(s.far(), change);
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option && std::string_view{e.what()}.find(name) != std::string_view::npos;
        }
        return false;
    };
    CHECK(refused("storage", [](auto& o) { o.storage.reset(); }));
    CHECK(refused("keys", [](auto& o) { o.keys.clear(); }));
    CHECK(refused("keys", [](auto& o) { o.keys = {secret_bytes(32)}; }));
    CHECK(refused("keys", [](auto& o) { o.keys = {key_of(1), key_of(1)}; }));
    CHECK(refused("name_key", [](auto& o) { o.name_key = secret_bytes(31); }));
    CHECK(refused("max_tickets_per_key", [](auto& o) { o.max_tickets_per_key = 0; }));
    CHECK(refused("max_tickets_per_key", [](auto& o) { o.max_tickets_per_key = 17; }));
    CHECK(refused("request_tickets", [](auto& o) { o.request_tickets = 5; }));
    CHECK(refused("max_keys", [](auto& o) { o.max_keys = 0; }));
    CHECK(refused("max_pending_writes", [](auto& o) { o.max_pending_writes = 0; }));
    CHECK(refused("write_deadline", [](auto& o) { o.write_deadline = 0ms; }));
    CHECK(refused("executor", [](auto& o) { o.executor = {}; }));
    CHECK(refused("now", [](auto& o) { o.now = nullptr; }));
}

TEST_SUITE_END();
