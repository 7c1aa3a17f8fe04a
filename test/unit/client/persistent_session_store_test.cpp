// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/persistent_session_store.hpp>

#include "client/store/session_record.hpp"
#include "support/await.hpp"
#include "support/counted_executor.hpp"
#include "support/lmdb.hpp"
#include "support/session_scopes.hpp"
#include "support/sessions.hpp"
#include "support/stores.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/detached.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

using namespace reprise;
using namespace std::chrono_literals;
using test::key_of_host;
using test::make_session;
using test::same;
using test::ticket_of;
using testing::faulty_storage;
using testing::storage_fault;
using testing::storage_operation;

TEST_SUITE_BEGIN("persistent_session_store");

namespace {

// Not an immediate_storage: whoever runs it sees and changes everything.
struct open_storage final : storage
{
    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override
    {
        std::lock_guard const lock{mutex};
        auto const at = records.find(name);
        co_return at == records.end() ? std::nullopt : std::optional{at->second};
    }
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point) override
    {
        std::lock_guard const lock{mutex};
        records[name] = std::move(value);
        co_return;
    }
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override
    {
        std::lock_guard const lock{mutex};
        auto const node = records.extract(name);
        co_return node ? std::optional{std::move(node.mapped())} : std::nullopt;
    }
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point) override
    {
        std::lock_guard const lock{mutex};
        co_return records.try_emplace(name, std::move(value)).second;
    }
    asio::awaitable<bool> erase(std::string name) override
    {
        std::lock_guard const lock{mutex};
        co_return records.erase(name) > 0;
    }
    asio::awaitable<std::size_t> flush() override { co_return 0; }
    [[nodiscard]] storage_stats stats() const override { return {}; }

    std::mutex mutex;
    std::map<std::string, secret_bytes> records;
};

struct fixture : test::store_fixture
{
    std::shared_ptr<open_storage> inner = std::make_shared<open_storage>();
    std::shared_ptr<faulty_storage> faulty = faulty_storage::make(inner);
};

// The storages on which every store behaves alike.
struct on_memory : test::store_fixture
{
    storage_ptr storage = memory_storage::make({.now = time});
    static constexpr bool at_once = true;
};

struct on_another : test::store_fixture
{
    storage_ptr storage = faulty_storage::make(memory_storage::make({.now = time}));
    static constexpr bool at_once = false;
};

struct on_another_unsealed : on_another
{
    std::shared_ptr<persistent_session_store> store_on(storage_ptr s)
    {
        auto o = options(std::move(s));
        o.sealed = false;
        return persistent_session_store::make(std::move(o));
    }
};

bool contains(byte_view where, byte_view what)
{
    return !std::ranges::search(where, what).empty();
}

bool is_write(storage_operation operation)
{
    return operation == storage_operation::put || operation == storage_operation::put_if_absent;
}

testing::fault_plan each_write(storage_fault fault)
{
    return [fault](storage_operation operation, std::size_t)
    { return is_write(operation) ? fault : storage_fault::none; };
}

bool is_aborted(std::exception_ptr const& e)
{
    try
    {
        if (e)
            std::rethrow_exception(e);
    }
    catch (system_error const& error)
    {
        return error.code() == asio::error::operation_aborted;
    }
    return false;
}

session_scope mutual_tls_key(std::string host)
{
    auto key = key_of_host(std::move(host));
    key.identity = "client certificate";
    return key;
}

} // namespace

TEST_CASE_TEMPLATE("TLS 1.3 tickets are handed out newest first, each once, by this process and the next", On,
                   on_memory, on_another, on_another_unsealed)
{
    On f;
    auto const key = key_of_host("a");
    std::vector<session> made;
    {
        auto const store = f.store_on(f.storage);
        for (int i = 0; i < 4; ++i)
        {
            made.push_back(make_session());
            f.done(store->insert(key, made.back()));
        }
        CHECK(store->size() == 4);
        CHECK(same(f.done(store->take(key)).ticket, made[3]));
    }
    auto const next = f.store_on(f.storage);
    CHECK(next->size() == 0); // it has not looked yet
    CHECK(same(f.done(next->take(key)).ticket, made[2]));
    CHECK(next->size() == 2);
    auto const another = f.store_on(f.storage);
    CHECK(same(f.done(another->take(key)).ticket, made[1]));
    CHECK(same(f.done(next->take(key)).ticket, made[0]));
    for (auto const& store : {next, another})
        CHECK_FALSE(f.done(store->take(key)).ticket);
    CHECK(f.storage->stats().entries == 0);
}

TEST_CASE_TEMPLATE("a TLS 1.2 session may be used again, and the newest takes the place of the others", On, on_memory,
                   on_another)
{
    On f;
    auto const key = key_of_host("a");
    auto const old = make_session({.version = TLS1_2_VERSION});
    auto const fresh = make_session({.version = TLS1_2_VERSION, .ticket = false});
    auto const store = f.store_on(f.storage);
    f.done(store->insert(key, old));
    f.done(store->insert(key, fresh));
    CHECK(store->size() == 1);
    CHECK(f.storage->stats().entries == 1);
    auto const next = f.store_on(f.storage);
    for (auto const& s : {store, next, store, next})
        CHECK(same(f.done(s->take(key)).ticket, fresh));

    auto const ticket = make_session();
    f.done(store->insert(key, ticket)); // the peer speaks TLS 1.3 now
    CHECK(f.storage->stats().entries == 1);
    CHECK(same(f.done(next->take(key)).ticket, ticket)); // which took the place that it knew
    CHECK_FALSE(f.done(next->take(key)).ticket);
    CHECK_FALSE(f.done(store->take(key)).ticket);
}

TEST_CASE_TEMPLATE("no more tickets are kept under a key than there are slots, and the oldest go first", On, on_memory,
                   on_another)
{
    On f;
    auto options = f.options(f.storage);
    options.max_tickets_per_key = 2;
    auto const store = persistent_session_store::make(options);
    std::vector<session> made;
    for (int i = 0; i < 3; ++i)
    {
        made.push_back(make_session());
        f.done(store->insert(key_of_host("a"), made.back()));
    }
    CHECK(f.storage->stats().entries == 2);
    CHECK(same(f.done(store->take(key_of_host("a"))).ticket, made[2]));
    CHECK(same(f.done(store->take(key_of_host("a"))).ticket, made[1]));
    CHECK_FALSE(f.done(store->take(key_of_host("a"))).ticket);
}

TEST_CASE_TEMPLATE("sessions never cross to a key that differs in anything", On, on_memory, on_another)
{
    On f;
    auto options = f.options(f.storage);
    options.persist_mutual_tls = true;
    auto const store = persistent_session_store::make(options);
    auto const key = test::full_key();
    f.done(store->insert(key, make_session()));
    for (auto const& other : test::differing_keys())
    {
        CAPTURE(other.host);
        CHECK_FALSE(f.done(store->take(other)).ticket);
        CHECK(f.done(store->remove(other)) == 0);
    }
    CHECK(f.done(store->take(key)).ticket);
}

TEST_CASE_FIXTURE(fixture, "a record that was put under another key is refused by what it says, without a seal too")
{
    auto options = this->options(inner);
    options.sealed = false;
    options.max_tickets_per_key = 1;
    auto const store = persistent_session_store::make(options);
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        done(store->insert(key_of_host("a"), make_session({.version = version})));
        auto const of_a = inner->records.begin()->second;
        done(store->insert(key_of_host("b"), make_session({.version = version})));
        for (auto& [name, record] : inner->records)
            record = of_a;
        auto const before = store->stats().rejected;
        auto const got = done(store->take(key_of_host("b")));
        CHECK_FALSE(got.ticket);
        CHECK(got.reason == full_handshake_reason::record_corrupt);
        CHECK(store->stats().rejected > before);
        CHECK(done(store->take(key_of_host("a"))).ticket);
        inner->records.clear();
    }
}

TEST_CASE_TEMPLATE("an expired session is not handed out, neither by this process nor by the next", On, on_memory,
                   on_another)
{
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
        for (bool const by_next : {false, true})
        {
            On f;
            auto const key = key_of_host("a");
            auto const store = f.store_on(f.storage);
            f.done(store->insert(key, make_session({.version = version, .lifetime = 60s, .issued = f.time.now()})));
            auto const next = f.store_on(f.storage);
            auto const& asked = by_next ? next : store;
            f.time.advance(58s);
            auto got = f.done(asked->take(key));
            REQUIRE(got.ticket);
            f.done(asked->insert(key, *got.ticket));
            f.time.advance(3s);
            got = f.done(asked->take(key));
            CHECK_FALSE(got.ticket);
            CHECK(got.reason == full_handshake_reason::expired);
            CHECK_FALSE(f.done(asked->take(key)).ticket);
        }
}

TEST_CASE_FIXTURE(fixture, "an expired session that the storage has kept too long is not handed out")
{
    auto options = this->options(inner);
    options.sealed = false; // a seal knows the expiry, too
    auto const key = key_of_host("a");
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        auto const ticket = make_session({.version = version, .lifetime = 60s, .issued = time.now()});
        done(persistent_session_store::make(options)->insert(key, ticket));
        time.advance(61s);
        auto const got = done(persistent_session_store::make(options)->take(key));
        CHECK_FALSE(got.ticket);
        CHECK(got.reason == full_handshake_reason::expired);
        inner->records.clear();
    }
}

TEST_CASE_FIXTURE(fixture, "sessions on their way and in memory expire too")
{
    auto const store = store_on(faulty);
    auto const key = key_of_host("a");
    for (bool const fails : {true, false}) // which leaves it in memory
        for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
        {
            faulty->set_plan(each_write(fails ? storage_fault::fail : storage_fault::none));
            store->capture(key, make_session({.version = version, .lifetime = 60s, .issued = time.now()}));
            if (fails)
                done(store->drain());
            time.advance(61s);
            CHECK_FALSE(test::now(store->take(key)).ticket);
            faulty->set_plan({});
            done(store->drain());
            done(store->remove(key));
        }
}

TEST_CASE_FIXTURE(fixture, "nothing in the storage shows a host or a ticket, unless it is not to be sealed")
{
    for (bool const sealed : {true, false})
    {
        auto options = this->options(inner);
        options.sealed = sealed;
        auto const store = persistent_session_store::make(options);
        auto const key = key_of_host("secret.example");
        auto const ticket = make_session();
        auto const reusable = make_session({.version = TLS1_2_VERSION});
        done(store->insert(key, ticket));
        done(store->insert(key_of_host("other.secret.example"), reusable));
        REQUIRE(inner->records.size() == 2);
        bool found = false;
        for (auto const& [name, record] : inner->records)
        {
            CHECK(name.size() == 32);
            CHECK_FALSE(contains(as_bytes(name), as_bytes("secret")));
            found = found || contains(record, as_bytes("secret.example"));
            found = found || contains(record, ticket_of(ticket)) || contains(record, ticket_of(reusable));
        }
        CHECK(found == !sealed);
        inner->records.clear();
    }
}

TEST_CASE_FIXTURE(fixture, "another key opens nothing and finds nothing; with the same names it is counted")
{
    auto const key = key_of_host("a");
    auto mine = options(inner);
    mine.name_key = test::key_of(50);
    auto theirs = mine;
    theirs.keys = {test::key_of(2)};
    done(persistent_session_store::make(mine)->insert(key, make_session()));
    auto const stranger = persistent_session_store::make(theirs);
    auto const got = done(stranger->take(key));
    CHECK_FALSE(got.ticket);
    CHECK(got.reason == full_handshake_reason::record_corrupt);
    CHECK(stranger->stats().rejected == 1);

    theirs.name_key = {};
    auto const further = persistent_session_store::make(theirs);
    CHECK(done(further->take(key)).reason == full_handshake_reason::nothing_stored);
    CHECK(further->stats().rejected == 0);
    CHECK(done(persistent_session_store::make(mine)->take(key)).ticket); // nobody has harmed it
}

TEST_CASE_FIXTURE(fixture, "keys change while names stay: the first seals, all of them open")
{
    auto options = this->options(inner);
    options.name_key = test::key_of(50);
    auto const old = persistent_session_store::make(options);
    options.keys = {test::key_of(2), test::key_of(1)};
    auto const changed = persistent_session_store::make(options);
    options.keys = {test::key_of(2)};
    auto const after = persistent_session_store::make(options);
    done(old->insert(key_of_host("a"), make_session()));
    done(changed->insert(key_of_host("b"), make_session()));
    CHECK(done(changed->take(key_of_host("a"))).ticket);
    CHECK(done(after->take(key_of_host("b"))).ticket);
}

TEST_CASE_FIXTURE(fixture, "a record that was changed anywhere is a counted miss")
{
    auto const key = key_of_host("a");
    auto options = this->options(inner);
    options.max_tickets_per_key = 1;
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        done(persistent_session_store::make(options)->insert(key, make_session({.version = version})));
        auto const original = inner->records.begin()->second;
        auto const store = persistent_session_store::make(options);
        std::uint64_t rejected = 0;
        for (std::size_t at = 0; at < original.size(); at += 7)
        {
            auto& record = inner->records.begin()->second;
            record = original;
            record.data()[at] ^= 1;
            auto const got = done(store->take(key));
            CHECK_FALSE(got.ticket);
            CHECK(got.reason == full_handshake_reason::record_corrupt);
            CHECK(store->stats().rejected == ++rejected);
        }
        inner->records.begin()->second = original;
        CHECK(done(store->take(key)).ticket);
    }
}

TEST_CASE_FIXTURE(fixture, "a record that makes no sense is a counted miss, without a seal too")
{
    auto const key = key_of_host("a");
    auto options = this->options(inner);
    options.sealed = false;
    options.max_tickets_per_key = 1;
    auto const store = persistent_session_store::make(options);
    done(store->insert(key, make_session()));
    auto& record = inner->records.begin()->second;
    auto const original = record;
    SUBCASE("another version")
    {
        *record.data() = 2;
    }
    SUBCASE("cut")
    {
        record = secret_bytes{original.view().first(original.size() - 1)};
    }
    SUBCASE("empty")
    {
        record = {};
    }
    SUBCASE("no session")
    {
        auto const head = detail::session_record::read(original);
        REQUIRE(head);
        record = secret_bytes{original.view().first(original.size() - head->ticket.size())};
    }
    auto const next = persistent_session_store::make(options);
    for (auto const& asked : {next, store})
    {
        auto const got = done(asked->take(key));
        CHECK_FALSE(got.ticket);
        CHECK(asked->stats().rejected > 0);
        if (asked == next)
            CHECK(got.reason == full_handshake_reason::record_corrupt);
        if (inner->records.empty()) // it was taken
            break;
    }
}

TEST_CASE_FIXTURE(fixture, "sessions of mutual TLS stay in this process's memory, unless asked for")
{
    for (bool const asked_for : {false, true})
        for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
        {
            auto options = this->options(faulty);
            options.persist_mutual_tls = asked_for;
            auto const store = persistent_session_store::make(options);
            auto const key = mutual_tls_key("a");
            auto const ticket = make_session({.version = version});
            faulty->set_plan({}); // counts anew
            done(store->insert(key, ticket));
            CHECK(inner->records.size() == (asked_for ? 1 : 0));
            CHECK(done(persistent_session_store::make(options)->take(key)).ticket.has_value() == asked_for);
            bool const is_gone = asked_for && version == TLS1_3_VERSION; // to the other
            CHECK(same(done(store->take(key)).ticket, ticket) != is_gone);
            (void)done(store->take(key_of_host("a"))); // another identity
            done(store->remove(key));
            inner->records.clear();
        }
}

TEST_CASE_FIXTURE(fixture, "the storage is not even asked for sessions of mutual TLS")
{
    auto const store = store_on(faulty);
    auto const key = mutual_tls_key("a");
    store->capture(key, make_session());
    CHECK(done(store->take(key)).ticket);
    CHECK_FALSE(done(store->take(key)).ticket);
    done(store->remove(key));
    CHECK(faulty->operations() == 0);
}

TEST_CASE_FIXTURE(fixture, "a session that is taken before its write begins never reaches the storage")
{
    auto const store = store_on(faulty);
    auto const key = key_of_host("a");
    auto const ticket = make_session();
    store->capture(key, ticket);
    CHECK(store->size() == 1);
    CHECK(same(test::now(store->take(key)).ticket, ticket)); // at once: io does not run
    CHECK(store->size() == 0);
    done(store->drain());
    io.restart();
    io.run();
    CHECK(faulty->operations() == 0);
    CHECK(store->stats().stored == 0);
    CHECK_FALSE(done(store->take(key)).ticket);

    auto const reusable = make_session({.version = TLS1_2_VERSION});
    store->capture(key, reusable);
    CHECK(same(test::now(store->take(key)).ticket, reusable));
    done(store->drain());
    CHECK(inner->records.size() == 1); // it stays, and is written all the same
    CHECK(same(done(store->take(key)).ticket, reusable));
}

TEST_CASE_FIXTURE(fixture, "a ticket that is being written is waited for, and the storage says whose it is")
{
    auto const key = key_of_host("a");
    for (bool const stolen : {false, true})
    {
        auto const store = store_on(faulty);
        auto const ticket = make_session();
        faulty->set_plan(each_write(storage_fault::hold_after));
        store->capture(key, ticket);
        run_until([&] { return faulty->waiting() == 1; });
        std::optional<take_result> got;
        asio::co_spawn(io, store->take(key), [&](std::exception_ptr, take_result l) { got = std::move(l); });
        io.restart();
        io.run_for(20ms);
        CHECK_FALSE(got);
        if (stolen)
            CHECK(same(done(store_on(inner)->take(key)).ticket, ticket));
        faulty->release();
        run_until([&] { return got.has_value(); });
        CHECK(got->ticket.has_value() == !stolen);
        if (stolen)
            CHECK(got->reason == full_handshake_reason::tickets_in_use);
    }
}

TEST_CASE_FIXTURE(fixture, "a TLS 1.2 session that is being written is handed out at once")
{
    auto const store = store_on(faulty);
    faulty->set_plan(each_write(storage_fault::hold));
    store->capture(key_of_host("a"), make_session({.version = TLS1_2_VERSION}));
    run_until([&] { return faulty->waiting() == 1; });
    CHECK(test::now(store->take(key_of_host("a"))).ticket);
    faulty->release();
    done(store->drain());
}

TEST_CASE_FIXTURE(fixture, "a session that could not be written is counted, found, and nowhere else")
{
    auto const key = key_of_host("a");
    for (auto const fault : {storage_fault::fail, storage_fault::fail_after})
        for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
        {
            auto const store = store_on(faulty);
            auto const ticket = make_session({.version = version});
            faulty->set_plan(each_write(fault));
            done(store->insert(key, ticket));
            CHECK(store->stats().storage_errors == 1);
            CHECK(store->stats().stored == 0);
            CHECK(store->size() == 1);
            CHECK(inner->records.empty());
            CHECK_FALSE(done(store_on(inner)->take(key)).ticket);
            CHECK(same(done(store->take(key)).ticket, ticket));
        }
}

TEST_CASE_FIXTURE(fixture, "a ticket of which nobody knows whether it was written is left to the storage")
{
    auto const key = key_of_host("a");
    auto options = this->options(faulty);
    options.write_timeout = 10ms;
    auto const store = persistent_session_store::make(options);
    auto const ticket = make_session();
    auto const reusable = make_session({.version = TLS1_2_VERSION});
    SUBCASE("late")
    {
        faulty->set_plan(each_write(storage_fault::hang));
        done(store->insert(key, ticket));
        CHECK(store->stats().storage_errors == 1);
        CHECK_FALSE(done(store->take(key)).ticket);
        done(store->insert(key, reusable)); // this one may be in two places
        CHECK(same(done(store->take(key)).ticket, reusable));
    }
    SUBCASE("neither written nor erased, it seems")
    {
        faulty->set_plan(
            [](storage_operation operation, std::size_t)
            {
                return is_write(operation)                     ? storage_fault::fail_after
                       : operation == storage_operation::erase ? storage_fault::fail
                                                               : storage_fault::none;
            });
        done(store->insert(key, ticket));
        CHECK(inner->records.size() == 1);
        CHECK(same(done(store->take(key)).ticket, ticket)); // from there
        CHECK(inner->records.empty());
        CHECK_FALSE(done(store->take(key)).ticket);
    }
}

TEST_CASE_FIXTURE(fixture, "what was left in memory does not hide what was written later")
{
    auto const key = key_of_host("a");
    auto const store = store_on(faulty);
    faulty->set_plan(each_write(storage_fault::fail));
    done(store->insert(key, make_session({.version = TLS1_2_VERSION})));
    faulty->set_plan({});
    auto const fresh = make_session({.version = TLS1_2_VERSION});
    done(store->insert(key, fresh));
    CHECK(same(done(store->take(key)).ticket, fresh));
    auto const ticket = make_session();
    done(store->insert(key, ticket));
    CHECK(same(done(store->take(key)).ticket, ticket));
}

TEST_CASE_FIXTURE(fixture, "what was written before does not hide a newer session that could not be")
{
    auto const key = key_of_host("a");
    auto const store = store_on(faulty);
    done(store->insert(key, make_session({.version = TLS1_2_VERSION})));
    faulty->set_plan(each_write(storage_fault::fail));
    auto const fresh = make_session({.version = TLS1_2_VERSION});
    done(store->insert(key, fresh));
    CHECK(same(done(store->take(key)).ticket, fresh));
}

TEST_CASE_FIXTURE(fixture, "a full queue drops and counts, and what it drops is found")
{
    auto options = this->options(faulty);
    std::vector<session> made;
    for (int i = 0; i < 4; ++i)
        made.push_back(make_session());
    SUBCASE("in number")
    {
        options.max_pending_writes = 2;
    }
    SUBCASE("in bytes")
    {
        options.max_pending_bytes = 2 * made.front().size();
    }
    auto const store = persistent_session_store::make(options);
    faulty->set_plan(each_write(storage_fault::hold));
    for (std::size_t i = 0; i < 4; ++i)
    {
        store->capture(key_of_host(std::to_string(i)), made[i]);
    }
    CHECK(store->stats().dropped == 2);
    CHECK(store->size() == 4);
    run_until([&] { return faulty->waiting() == 2; });
    faulty->release();
    done(store->drain());
    CHECK(store->stats().stored == 2);
    CHECK(inner->records.size() == 2);
    for (int i = 0; i < 4; ++i)
        CHECK(same(done(store->take(key_of_host(std::to_string(i)))).ticket, made[static_cast<std::size_t>(i)]));
    store->capture(key_of_host("a"), made.front()); // there is room again
    CHECK(store->stats().dropped == 2);
    faulty->set_plan({});
    done(store->drain());
}

TEST_CASE_FIXTURE(fixture, "drain waits for all writes, also those that fail")
{
    auto const store = store_on(faulty);
    for (auto const fault : {storage_fault::hold, storage_fault::hold_after})
    {
        faulty->set_plan(each_write(fault));
        store->capture(key_of_host("a"), make_session());
        store->capture(key_of_host("b"), make_session());
        bool drained = false;
        asio::co_spawn(io, store->drain(), [&](std::exception_ptr) { drained = true; });
        run_until([&] { return faulty->waiting() == 2; });
        CHECK_FALSE(drained);
        faulty->release();
        run_until([&] { return drained; });
    }
    CHECK(store->stats().stored == 4);
    faulty->set_plan(each_write(storage_fault::fail));
    done(store->insert(key_of_host("c"), make_session()));
    CHECK(store->stats().storage_errors == 1); // counted when it is drained
    test::now(store->drain());
}

TEST_CASE_FIXTURE(fixture, "a storage that hangs obeys cancellation, whatever was asked")
{
    auto const store = store_on(faulty);
    auto const key = key_of_host("a");
    auto const all = [](session_scope const&) { return true; };
    auto const aborted = [&](auto operation)
    {
        asio::cancellation_signal cancel;
        std::exception_ptr failure;
        bool is_over = false;
        asio::co_spawn(io, std::move(operation),
                       asio::bind_cancellation_slot(cancel.slot(),
                                                    [&](std::exception_ptr e, auto&&...)
                                                    {
                                                        failure = e;
                                                        is_over = true;
                                                    }));
        io.restart();
        io.run_for(20ms);
        REQUIRE_FALSE(is_over);
        cancel.emit(asio::cancellation_type::terminal);
        run_until([&] { return is_over; });
        return is_aborted(failure);
    };
    done(store->insert(key, make_session()));
    auto const every = [](storage_operation, std::size_t) { return storage_fault::hang; };
    faulty->set_plan(every);
    CHECK(aborted(store->take(key)));              // a slot that it knows
    CHECK(aborted(store->take(key_of_host("b")))); // all slots
    CHECK(aborted(store->remove(key_of_host("b"))));
    store->capture(key, make_session());
    run_until([&] { return faulty->waiting() == 1; });
    CHECK(aborted(store->take(key))); // it is being written
    CHECK(aborted(store->drain()));
    CHECK(aborted(store->remove(key)));
    CHECK(aborted(store->release(all)));
    CHECK(aborted(store->clear()));
    CHECK(store->stats().storage_errors == 0); // they are the caller's
}

TEST_CASE_FIXTURE(fixture, "a storage that fails costs resumptions; forgetting says that it has failed")
{
    auto const store = store_on(faulty);
    auto const key = key_of_host("a");
    done(store->insert(key, make_session()));
    faulty->set_plan([](storage_operation, std::size_t) { return storage_fault::fail; });
    CHECK(done(store->take(key)).reason == full_handshake_reason::lookup_failed);
    CHECK(done(store->take(key_of_host("b"))).reason == full_handshake_reason::lookup_failed);
    CHECK(store->stats().storage_errors == 2);
    CHECK_THROWS_AS((void)done(store->remove(key)), system_error);
    done(store->insert(key, make_session())); // known again, in memory
    CHECK_THROWS_AS(done(store->clear()), system_error);
    CHECK(store->size() == 0);
}

TEST_CASE_FIXTURE(fixture, "remove forgets one key: on its way, in memory and in the storage")
{
    auto const store = store_on(faulty);
    auto const key = key_of_host("a");
    done(store->insert(key, make_session()));
    done(store->insert(key, make_session()));
    faulty->set_plan(each_write(storage_fault::fail));
    done(store->insert(key, make_session()));
    done(store->insert(key_of_host("b"), make_session()));
    faulty->set_plan({});
    store->capture(key, make_session());
    CHECK(test::now([&]() -> asio::awaitable<std::size_t> { co_return store->size(); }()) == 5);
    CHECK(test::now(store->remove(key)) == 4); // before io runs
    CHECK(inner->records.empty());
    CHECK_FALSE(done(store->take(key)).ticket);
    CHECK(inner->records.empty());
    CHECK(done(store->take(key_of_host("b"))).ticket);
    CHECK(done(store->remove(key)) == 0);
}

TEST_CASE_FIXTURE(fixture, "remove waits for a ticket that is being written")
{
    auto const store = store_on(faulty);
    auto const key = key_of_host("a");
    faulty->set_plan(each_write(storage_fault::hold));
    store->capture(key, make_session());
    run_until([&] { return faulty->waiting() == 1; });
    bool removed = false;
    asio::co_spawn(io, store->remove(key), [&](std::exception_ptr, std::size_t) { removed = true; });
    io.restart();
    io.run_for(20ms);
    CHECK_FALSE(removed);
    faulty->release();
    run_until([&] { return removed; });
    CHECK(inner->records.empty());
    CHECK(store->size() == 0);
}

TEST_CASE_TEMPLATE("clear forgets all that this process knows of", On, on_memory, on_another)
{
    On f;
    auto const store = f.store_on(f.storage);
    f.done(store->insert(key_of_host("a"), make_session()));
    f.done(store->insert(key_of_host("b"), make_session({.version = TLS1_2_VERSION})));
    f.done(store->insert(mutual_tls_key("c"), make_session()));
    store->capture(key_of_host("d"), make_session());
    f.done(store->clear());
    CHECK(store->size() == 0);
    CHECK(f.storage->stats().entries == 0);
    for (auto const* host : {"a", "b", "d"})
        CHECK_FALSE(f.done(store->take(key_of_host(host))).ticket);
    CHECK_FALSE(f.done(store->take(mutual_tls_key("c"))).ticket);
}

TEST_CASE_FIXTURE(fixture, "release hands out what is wanted, oldest first, and forgets the tickets")
{
    auto const store = store_on(faulty);
    auto const key = key_of_host("a");
    std::vector<session> made;
    for (int i = 0; i < 3; ++i)
        made.push_back(make_session());
    faulty->set_plan(each_write(storage_fault::fail));
    done(store->insert(key, made[0])); // in memory
    faulty->set_plan({});
    done(store->insert(key, made[1]));
    store->capture(key, made[2]); // on its way
    auto const reusable = make_session({.version = TLS1_2_VERSION});
    done(store->insert(key_of_host("b"), reusable));
    done(store->insert(key_of_host("c"), make_session()));
    auto const released = done(store->release([](session_scope const& k) { return k.host != "c"; }));
    REQUIRE(released.size() == 4);
    for (std::size_t i = 0; i < 3; ++i)
    {
        CHECK(released[i].key == key);
        CHECK(same(released[i].ticket, made[i]));
    }
    CHECK(same(released[3].ticket, reusable));
    CHECK(store->size() == 2);
    CHECK_FALSE(done(store->take(key)).ticket);
    CHECK(done(store->take(key_of_host("b"))).ticket);
    CHECK(done(store->take(key_of_host("c"))).ticket);
}

TEST_CASE_TEMPLATE("a store says why there is nothing", On, on_memory, on_another)
{
    On f;
    auto const store = f.store_on(f.storage);
    auto const key = key_of_host("a");
    CHECK(f.done(store->take(key)).reason == full_handshake_reason::nothing_stored);
    f.done(store->insert(key, make_session()));
    auto other = key;
    other.policy = "q";
    CHECK(f.done(store->take(other)).reason == full_handshake_reason::policy_differs);
    other = key;
    other.identity = "i";
    CHECK(f.done(store->take(other)).reason == full_handshake_reason::identity_differs);
    CHECK(f.done(store->take(key)).reason == full_handshake_reason::none);
    CHECK(f.done(store->take(key)).reason == full_handshake_reason::tickets_in_use);
    store->note(key, full_handshake_reason::alerted);
    CHECK(f.done(store->take(key)).reason == full_handshake_reason::alerted);
}

TEST_CASE_FIXTURE(fixture, "processes do not write over each other's tickets while there is room")
{
    auto options = this->options(inner);
    options.max_tickets_per_key = 8;
    auto const key = key_of_host("a");
    auto const one = persistent_session_store::make(options);
    auto const two = persistent_session_store::make(options);
    for (int i = 0; i < 8; ++i) // what each knows of the other's slots grows old
    {
        done(one->insert(key, make_session()));
        CHECK(done(two->take(key)).ticket);
        CHECK_FALSE(done(one->take(key)).ticket);
    }
    CHECK(inner->records.empty());
    for (int i = 0; i < 4; ++i)
    {
        done(one->insert(key, make_session()));
        done(two->insert(key, make_session()));
    }
    CHECK(inner->records.size() == 8);
    done(two->insert(key, make_session())); // there is no room any more
    CHECK(inner->records.size() == 8);
    CHECK(two->stats().stored == 5);
}

TEST_CASE_FIXTURE(fixture, "tickets that another process has taken are in use")
{
    auto const key = key_of_host("a");
    auto const store = store_on(inner);
    done(store->insert(key, make_session()));
    CHECK(done(store_on(inner)->take(key)).ticket);
    CHECK(done(store->take(key)).reason == full_handshake_reason::tickets_in_use);
}

TEST_CASE_FIXTURE(fixture, "a process that forgets where sessions are looks for them")
{
    auto options = this->options(inner);
    options.max_keys = 1;
    options.decoded_sessions = 0;
    auto const store = persistent_session_store::make(options);
    auto const ticket = make_session();
    done(store->insert(key_of_host("a"), ticket));
    done(store->insert(key_of_host("b"), make_session()));
    CHECK(store->size() == 1);
    CHECK(same(done(store->take(key_of_host("a"))).ticket, ticket));
}

TEST_CASE_FIXTURE(fixture, "a session that comes back decoded is verified again, unless this process has verified it")
{
    auto const key = key_of_host("a");
    auto ticket = make_session(
        {.origin = {.verified_at = time.now(), .verified_under = std::make_shared<std::string const>("here")}});
    auto const store = store_on(inner);
    done(store->insert(key, ticket));
    auto got = done(store->take(key));
    REQUIRE(got.ticket);
    CHECK(got.ticket->native_handle() == ticket.native_handle());
    done(store->insert(key, ticket));
    got = done(store_on(inner)->take(key));
    REQUIRE(got.ticket);
    CHECK(got.ticket->origin().verified_under == nullptr);
}

TEST_CASE_FIXTURE(fixture, "writes that go with their context have not happened: their sessions are found")
{
    auto const key = key_of_host("a");
    auto const ticket = make_session();
    std::shared_ptr<persistent_session_store> store;
    bool drained = false;
    {
        asio::io_context other;
        auto options = this->options(faulty);
        options.executor = other.get_executor();
        store = persistent_session_store::make(options);
        store->capture(key, ticket);
        asio::co_spawn(io, store->drain(), [&](std::exception_ptr) { drained = true; });
        io.poll();
        CHECK_FALSE(drained);
    }
    run_until([&] { return drained; });
    CHECK(faulty->operations() == 0);
    CHECK(same(test::now(store->take(key)).ticket, ticket));
}

TEST_CASE_FIXTURE(fixture, "a context may go while sessions are being written")
{
    std::shared_ptr<persistent_session_store> store;
    {
        asio::io_context other;
        auto options = this->options(faulty);
        options.executor = other.get_executor();
        store = persistent_session_store::make(options);
        faulty->set_plan(each_write(storage_fault::hang));
        store->capture(key_of_host("a"), make_session());
        while (faulty->waiting() == 0)
            other.run_one_for(10ms);
    }
    done(store->drain());
    faulty->set_plan({});
    CHECK_FALSE(done(store->take(key_of_host("a"))).ticket);
}

TEST_CASE_FIXTURE(fixture, "a store may outlive the context of its executor, of which it keeps nothing then")
{
    auto const key = key_of_host("a");
    auto const ticket = make_session();
    std::weak_ptr<int> copies;
    std::shared_ptr<persistent_session_store> store;
    std::shared_ptr<persistent_session_store> in_strand;
    {
        asio::io_context other;
        test::counted_executor const executor{other};
        copies = executor.copies();
        auto options = this->options(faulty);
        options.executor = executor;
        store = persistent_session_store::make(options);
        options.executor = asio::make_strand(other);
        in_strand = persistent_session_store::make(options);
        faulty->set_plan(each_write(storage_fault::hang));
        store->capture(key_of_host("b"), make_session());
        in_strand->capture(key_of_host("b"), make_session());
        while (faulty->waiting() < 2)
            other.run_one_for(10ms);
    }
    CHECK(copies.use_count() == 0);
    faulty->set_plan({});
    for (auto const& s : {store, in_strand})
    {
        s->capture(key, ticket);
        done(s->drain());
        CHECK(s->stats().dropped == 1);
        CHECK(same(done(s->take(key)).ticket, ticket));
    }
}

TEST_CASE("a store answers at once where its storage does, and needs no executor there")
{
    on_memory f;
    auto options = f.options(f.storage);
    options.executor = {};
    auto const store = persistent_session_store::make(options);
    CHECK(store->is_immediate());
    test::now(store->insert(key_of_host("a"), make_session()));
    CHECK(store->stats().stored == 1);
    CHECK(test::now(store->take(key_of_host("a"))).ticket);
    on_another g;
    CHECK_FALSE(g.store_on(g.storage)->is_immediate());
}

TEST_CASE_FIXTURE(fixture, "what is sealed already is not sealed twice")
{
    auto const seal = sealed_storage::make({.inner = inner, .keys = {test::key_of(3)}, .name_key = test::key_of(4)});
    auto const ticket = make_session();
    auto const record = detail::write_record(key_of_host("a"), ticket, 0);
    for (storage_ptr const& storage : {storage_ptr{seal}, storage_ptr{inner}})
    {
        done(store_on(storage)->insert(key_of_host("a"), ticket));
        REQUIRE(inner->records.size() == 1);
        CHECK(inner->records.begin()->second.size() == record.size() + 49);
        inner->records.clear();
    }
}

TEST_CASE_FIXTURE(fixture, "tickets are asked for as long as there are few")
{
    auto options = this->options(inner);
    auto const key = key_of_host("a");
    CHECK(persistent_session_store::make(options)->tickets_wanted(key) == 0);
    options.request_tickets = 3;
    auto const store = persistent_session_store::make(options);
    CHECK(store->tickets_wanted(key) == 3);
    store->capture(key, make_session());
    CHECK(store->tickets_wanted(key) == 2);
    done(store->drain());
    CHECK(store->tickets_wanted(key) == 2);
    done(store->insert(key, make_session()));
    done(store->insert(key, make_session()));
    done(store->insert(key, make_session()));
    CHECK(store->tickets_wanted(key) == 1);
}

TEST_CASE("two stores on one storage, and many threads, never hand out a ticket twice")
{
    constexpr int hosts = 8;
    constexpr std::size_t each_host = 16;
    auto const shared = std::make_shared<open_storage>();
    asio::io_context writing;
    std::vector<std::shared_ptr<persistent_session_store>> stores;
    for (int i = 0; i < 2; ++i)
    {
        persistent_session_store_options options;
        options.storage = shared;
        options.keys = {test::key_of(1)};
        options.executor = writing.get_executor();
        options.max_tickets_per_key = each_host;
        stores.push_back(persistent_session_store::make(options));
    }
    std::vector<session> made;
    for (std::size_t i = 0; i < each_host; ++i)
        made.push_back(make_session());
    std::mutex mutex;
    std::map<std::pair<int, std::vector<unsigned char>>, int> taken;
    auto const take_all = [&](std::shared_ptr<persistent_session_store> store) -> asio::awaitable<void>
    {
        for (int host = 0; host < hosts; ++host)
            for (std::size_t i = 0; i < each_host; ++i)
            {
                auto const got = co_await store->take(key_of_host(std::to_string(host)));
                if (!got.ticket)
                    continue;
                auto const bytes = got.ticket->serialize();
                std::lock_guard const lock{mutex};
                ++taken[{host, {bytes.view().begin(), bytes.view().end()}}];
            }
    };
    auto work = asio::make_work_guard(writing);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&] { writing.run(); });
    for (std::size_t t = 0; t < 4; ++t)
        threads.emplace_back(
            [&, t]
            {
                asio::io_context io;
                for (std::size_t i = 0; i < each_host && t < 2; ++i) // each ticket comes once
                    if (i % 2 == t)
                        for (int host = 0; host < hosts; ++host)
                            stores[t]->capture(key_of_host(std::to_string(host)), made[i]);
                for (int i = 0; i < 3; ++i)
                    asio::co_spawn(io, take_all(stores[t % 2]), asio::detached);
                io.run();
            });
    for (std::size_t t = 2; t < threads.size(); ++t)
        threads[t].join();
    for (auto const& store : stores) // what was written last
        test::completed(take_all(store));
    work.reset();
    threads[0].join();
    threads[1].join();
    CHECK(taken.size() > 0);
    for (auto const& [what, times] : taken)
        CHECK(times == 1);
}

TEST_CASE_FIXTURE(fixture, "an option out of bounds is refused and named")
{
    auto const refused =
        [&](std::function<void(persistent_session_store_options&)> const& change, std::string const& naming)
    {
        auto o = options(inner);
        change(o);
        try
        {
            (void)persistent_session_store::make(o);
        }
        catch (system_error const& e)
        {
            return e.code() == errc::bad_option && std::string{e.what()}.find(naming) != std::string::npos;
        }
        return false;
    };
    CHECK_FALSE(refused([](auto&) {}, ""));
    CHECK(refused([](auto& o) { o.storage = nullptr; }, "storage"));
    CHECK(refused([](auto& o) { o.keys.clear(); }, "keys"));
    CHECK(refused([](auto& o) { o.keys.push_back(o.keys.front()); }, "different"));
    CHECK(refused([](auto& o) { o.keys.emplace_back(std::size_t{32}); }, "keys"));
    CHECK(refused(
        [](auto& o)
        {
            for (unsigned char i = 2; i < 18; ++i)
                o.keys.push_back(test::key_of(i));
        },
        "keys"));
    CHECK(refused([](auto& o) { o.name_key = secret_bytes{std::size_t{32}}; }, "name_key"));
    CHECK(refused([](auto& o) { o.max_tickets_per_key = 0; }, "max_tickets_per_key"));
    CHECK(refused([](auto& o) { o.max_tickets_per_key = 17; }, "max_tickets_per_key"));
    CHECK(refused([](auto& o) { o.request_tickets = 5; }, "request_tickets"));
    CHECK(refused([](auto& o) { o.max_keys = 0; }, "max_keys"));
    CHECK(refused([](auto& o) { o.max_pending_writes = 0; }, "max_pending_writes"));
    CHECK(refused([](auto& o) { o.max_pending_bytes = 0; }, "max_pending_bytes"));
    CHECK(refused([](auto& o) { o.write_timeout = 0ms; }, "write_timeout"));
    CHECK(refused([](auto& o) { o.executor = {}; }, "executor"));
    CHECK(refused([](auto& o) { o.now = nullptr; }, "now"));
}

TEST_SUITE_END();
