// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/session_file.hpp>

#include "client/archive/session_archive.hpp"
#include "client/store/session_record.hpp"
#include "support/await.hpp"
#include "support/child.hpp"
#include "support/counted_executor.hpp"
#include "support/session_scopes.hpp"
#include "support/sessions.hpp"
#include "support/stores.hpp"

#include <reprise/error.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/storage/memory_storage.hpp>
#include <reprise/testing/faulty_storage.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

using namespace reprise;
using namespace std::chrono_literals;
using test::key_of_host;
using test::make_session;
using test::same;

TEST_SUITE_BEGIN("session_file");

namespace {

// How long the head of a file and the frame of an entry are.
constexpr std::size_t head = 16 + 1 + 16 + 16;
constexpr std::size_t frame = 1 + 4;

struct fixture : test::store_fixture
{
    static std::shared_ptr<memory_session_store> make_store() { return memory_session_store::make(); }

    // A file with three tickets of a and a TLS 1.2 session of b.
    std::vector<session> write()
    {
        auto const store = make_store();
        std::vector<session> made;
        for (int i = 0; i < 3; ++i)
        {
            made.push_back(make_session());
            store->capture(key_of_host("a"), made.back());
        }
        made.push_back(make_session({.version = TLS1_2_VERSION}));
        store->capture(key_of_host("b"), made.back());
        CHECK(done(export_sessions(*store, path, key)) == 4);
        return made;
    }

    [[nodiscard]] std::string contents() const
    {
        std::ifstream in{path, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    void set_contents(std::string_view bytes) const
    {
        std::ofstream{path, std::ios::binary | std::ios::trunc} << bytes;
        ::chmod(path.c_str(), 0600);
    }

    // A file as an exporter with other ideas would write it.
    void write_records(std::vector<secret_bytes> const& records) const
    {
        detail::archive_writer archive{key, 1 << 20};
        for (auto const& record : records)
            CHECK(archive.add(record));
        auto const bytes = std::move(archive).finish();
        set_contents({reinterpret_cast<char const*>(bytes.data()), bytes.size()});
    }

    // What an import threw, which has to leave the store and the file alone.
    error_code refusal(secret_bytes const& with, import_policy policy = {})
    {
        auto const store = make_store();
        auto const before = std::filesystem::symlink_status(path).type();
        try
        {
            (void)done(import_sessions(*store, path, with, std::move(policy)));
        }
        catch (system_error const& e)
        {
            CHECK(store->size() == 0);
            CHECK(std::filesystem::symlink_status(path).type() == before);
            if (e.code() != errc::bad_option)
                CHECK(std::string{e.what()}.find(path) != std::string::npos);
            return e.code();
        }
        return {};
    }

    // Why the only entry of a file is skipped; `none` if it is not.
    full_handshake_reason judged(session const& ticket, import_policy policy,
                                 session_scope const& owner = key_of_host("a"))
    {
        write_records({detail::write_record(owner, ticket, 0)});
        policy.now = time;
        auto const store = make_store();
        auto const report = done(import_sessions(*store, path, key, std::move(policy)));
        CHECK(report.is_whole);
        CHECK(report.imported + report.skipped == 1);
        CHECK(store->size() == report.imported);
        CHECK(report.first_skipped.size() == report.skipped);
        return report.skipped == 0 ? full_handshake_reason::none : report.first_skipped.front().reason;
    }

    test::temporary_directory const directory;
    std::string const path = directory / "sessions";
    secret_bytes const key = test::key_of(9);
};

std::size_t files_in(std::string const& directory)
{
    auto const end = std::filesystem::directory_iterator{};
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{directory}, end));
}

} // namespace

TEST_CASE_FIXTURE(fixture, "what is exported is imported, in order, once")
{
    auto const made = write();
    auto const store = make_store();
    auto const report = done(import_sessions(*store, path, key));
    CHECK(report.imported == 4);
    CHECK(report.skipped == 0);
    CHECK(report.first_skipped.empty());
    CHECK(report.is_whole);
    for (std::size_t const i : {2u, 1u, 0u}) // the newest first
        CHECK(same(done(store->take(key_of_host("a"))).ticket, made[i]));
    CHECK(same(done(store->take(key_of_host("b"))).ticket, made[3]));
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(refusal(key) == boost::system::errc::no_such_file_or_directory);
}

TEST_CASE_FIXTURE(fixture, "tickets leave the store that is exported; TLS 1.2 sessions stay")
{
    auto const store = make_store();
    store->capture(key_of_host("a"), make_session());
    store->capture(key_of_host("b"), make_session({.version = TLS1_2_VERSION}));
    CHECK(done(export_sessions(*store, path, key)) == 2);
    CHECK(store->size() == 1);
    auto const got = done(store->take(key_of_host("a")));
    CHECK_FALSE(got.ticket);
    CHECK(got.reason == full_handshake_reason::tickets_in_use);
}

TEST_CASE_FIXTURE(fixture, "a persistent store gives and takes as well, more than it can write at a time")
{
    auto const inner = memory_storage::make();
    auto const storage = testing::faulty_storage::make(inner);
    auto o = options(storage);
    o.max_pending_writes = 64;
    auto const from = persistent_session_store::make(o);
    auto const ticket = make_session();
    constexpr std::size_t count = 200;
    for (std::size_t i = 0; i < count; ++i)
        done(from->insert(key_of_host(std::to_string(i)), ticket));
    CHECK(done(export_sessions(*from, path, key)) == count);
    CHECK(inner->stats().entries == 0);
    auto const into = persistent_session_store::make(o);
    CHECK(done(import_sessions(*into, path, key)).imported == count);
    CHECK(inner->stats().entries == count);
    CHECK(into->stats().dropped == 0);
}

TEST_CASE_FIXTURE(fixture, "a store without sessions makes a file without sessions")
{
    CHECK(done(export_sessions(*make_store(), path, key)) == 0);
    auto const report = done(import_sessions(*make_store(), path, key));
    CHECK(report.imported == 0);
    CHECK(report.is_whole);
}

TEST_CASE_FIXTURE(fixture, "the file is its owner's alone, replaces what was there, and shows nothing")
{
    auto const mask = ::umask(0);
    set_contents("what was there");
    ::chmod(path.c_str(), 0666);
    auto const made = write();
    ::umask(mask);
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    CHECK(files_in(directory / "") == 1);
    auto const bytes = contents();
    CHECK(bytes.starts_with("reprise sessions\x01"));
    CHECK(bytes.find("localhost") == std::string::npos);
    for (auto const& s : made)
    {
        auto const ticket = test::ticket_of(s).first(16);
        CHECK(bytes.find(std::string{ticket.begin(), ticket.end()}) == std::string::npos);
    }
    write();
    CHECK(contents() != bytes); // equal sessions do not look equal, nor files
}

TEST_CASE_FIXTURE(fixture, "a file that cannot be written leaves the sessions in the store, and nothing behind")
{
    auto const store = make_store();
    auto const ticket = make_session();
    store->capture(key_of_host("a"), ticket);
    auto const failure = [&](std::string const& to)
    {
        try
        {
            (void)done(export_sessions(*store, to, key));
        }
        catch (system_error const& e)
        {
            CHECK(std::string{e.what()}.find(to) != std::string::npos);
            return e.code();
        }
        return error_code{};
    };
    CHECK(failure(directory / "missing/sessions") == boost::system::errc::no_such_file_or_directory);
    std::filesystem::create_directory(path);
    CHECK(failure(path) == boost::system::errc::is_a_directory);
    CHECK(files_in(directory / "") == 1);
    CHECK(store->size() == 1);
    CHECK(same(done(store->take(key_of_host("a"))).ticket, ticket));
}

TEST_CASE_FIXTURE(fixture, "a file that was cut gives what is whole before, and says that it was cut")
{
    auto const made = write();
    auto const whole = contents();
    std::size_t most = 0;
    for (std::size_t size = 0; size < whole.size(); ++size)
    {
        set_contents(std::string_view{whole}.substr(0, size));
        if (size < head)
        {
            CHECK(refusal(key) == errc::session_file_foreign);
            continue;
        }
        auto const store = make_store();
        auto const report = done(import_sessions(*store, path, key));
        CHECK_FALSE(report.is_whole);
        CHECK(report.skipped == 0);
        CHECK(report.imported == store->size());
        CHECK(report.imported >= most);
        most = report.imported;
    }
    CHECK(most == made.size());
}

TEST_CASE_FIXTURE(fixture, "a byte that was changed costs the entry that it is in, or what follows, and is reported")
{
    write();
    auto const whole = contents();
    for (std::size_t at = 0; at < whole.size(); ++at)
    {
        CAPTURE(at);
        auto bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
        set_contents(bytes);
        if (at < head)
        {
            auto const expected = at < 16    ? errc::session_file_foreign
                                  : at == 16 ? errc::session_file_version
                                             : errc::session_file_key;
            CHECK(refusal(key) == expected);
            continue;
        }
        auto const store = make_store();
        auto const report = done(import_sessions(*store, path, key));
        CHECK((report.skipped != 0 || !report.is_whole));
        CHECK(report.imported < 5);
        CHECK(report.imported == store->size());
        for (auto const& skipped : report.first_skipped)
            CHECK(skipped.reason == full_handshake_reason::record_corrupt);
    }
}

TEST_CASE_FIXTURE(fixture, "one damaged entry costs itself alone")
{
    auto const made = write();
    auto bytes = contents();
    bytes[head + frame + 40] ^= 1;
    set_contents(bytes);
    auto const store = make_store();
    auto const report = done(import_sessions(*store, path, key));
    CHECK(report.is_whole);
    CHECK(report.imported == 3);
    REQUIRE(report.skipped == 1);
    CHECK(report.first_skipped[0].index == 0);
    CHECK(report.first_skipped[0].reason == full_handshake_reason::record_corrupt);
    CHECK(same(done(store->take(key_of_host("a"))).ticket, made[2]));
    CHECK(same(done(store->take(key_of_host("a"))).ticket, made[1]));
    CHECK_FALSE(done(store->take(key_of_host("a"))).ticket);
}

TEST_CASE_FIXTURE(fixture, "entries that were moved, repeated or come from another file do not open")
{
    auto const size_at = [](std::string const& bytes, std::size_t at)
    {
        std::size_t size = 0;
        for (std::size_t i = 1; i < frame; ++i)
            size = size << 8 | static_cast<unsigned char>(bytes[at + i]);
        return frame + size;
    };
    write();
    auto const one = contents();
    write();
    auto const two = contents();
    auto const first = one.substr(head, size_at(one, head));
    auto const second = one.substr(head + first.size(), size_at(one, head + first.size()));
    auto const rest = one.substr(head + first.size() + second.size());
    auto const imported = [&](std::string const& bytes)
    {
        set_contents(bytes);
        auto const report = done(import_sessions(*make_store(), path, key));
        return std::pair{report.imported, report.skipped};
    };
    using counts = std::pair<std::size_t, std::size_t>;
    CHECK(imported(one.substr(0, head) + first + second + rest) == counts{4, 0});
    CHECK(imported(one.substr(0, head) + second + first + rest) == counts{2, 2});
    CHECK(imported(one.substr(0, head) + first + first + rest) == counts{3, 1});
    CHECK(imported(one.substr(0, head) + second + rest) == counts{0, 4}); // all have moved, the end too
    CHECK(imported(two.substr(0, head) + first + two.substr(head + size_at(two, head))) == counts{3, 1});
}

TEST_CASE_FIXTURE(fixture, "what follows the end is reported, and an end within is none")
{
    write();
    auto const whole = contents();
    set_contents(whole + "x");
    auto report = done(import_sessions(*make_store(), path, key));
    CHECK(report.imported == 4);
    CHECK_FALSE(report.is_whole);
    auto bytes = whole;
    bytes[head] = 2; // the first session says that it is the end
    set_contents(bytes);
    report = done(import_sessions(*make_store(), path, key));
    CHECK(report.imported == 3);
    CHECK(report.skipped == 1);
}

TEST_CASE_FIXTURE(fixture, "hostile lengths are refused and take no memory")
{
    write();
    auto const whole = contents();
    for (std::string const& length : {std::string{"\xff\xff\xff\xff"}, std::string{"\x7f\xff\xff\xff"},
                                      std::string("\0\0\0\0", 4), std::string("\0\0\0\1", 4)})
    {
        auto bytes = whole;
        bytes.replace(head + 1, 4, length);
        set_contents(bytes);
        auto const report = done(import_sessions(*make_store(), path, key));
        CHECK(report.imported == 0);
        CHECK_FALSE(report.is_whole);
    }
}

TEST_CASE_FIXTURE(fixture, "a foreign file, another version and another key are told apart")
{
    write();
    auto const whole = contents();
    CHECK(refusal(test::key_of(10)) == errc::session_file_key);
    auto bytes = whole;
    bytes[16] = 2;
    set_contents(bytes);
    CHECK(refusal(key) == errc::session_file_version);
    for (std::string const& foreign : {std::string{}, std::string{"{}"}, std::string(1000, 'x')})
    {
        set_contents(foreign);
        CHECK(refusal(key) == errc::session_file_foreign);
    }
    set_contents(whole);
    CHECK(refusal(key) == error_code{});
}

TEST_CASE_FIXTURE(fixture, "entries that are no sessions, or of another version, are skipped")
{
    auto const good = detail::write_record(key_of_host("a"), make_session(), 0);
    auto older = good;
    *older.data() = 0;
    auto cut = secret_bytes{good.view().first(good.size() - 1)};
    write_records({older, good, cut, secret_bytes{}, secret_bytes{as_bytes("junk")}});
    auto const report = done(import_sessions(*make_store(), path, key));
    CHECK(report.is_whole);
    CHECK(report.imported == 1);
    REQUIRE(report.first_skipped.size() == 4);
    for (std::size_t i = 0; i < 4; ++i)
    {
        CHECK(report.first_skipped[i].index == (i == 0 ? 0 : i + 1));
        CHECK(report.first_skipped[i].reason == full_handshake_reason::record_corrupt);
    }
}

TEST_CASE_FIXTURE(fixture, "skipped entries are counted, and the first are named")
{
    write_records(std::vector<secret_bytes>(100, secret_bytes{as_bytes("junk")}));
    auto const report = done(import_sessions(*make_store(), path, key));
    CHECK(report.skipped == 100);
    REQUIRE(report.first_skipped.size() == import_report::most_named);
    CHECK(report.first_skipped.back().index == import_report::most_named - 1);
}

TEST_CASE_FIXTURE(fixture, "the importer refuses what its policy would not have accepted, and says why")
{
    auto const at = [&](auto change)
    {
        test::session_recipe recipe;
        recipe.lifetime = 2h;
        recipe.issued = time.now() - 1h;
        recipe.origin = {time.now() - 1h};
        change(recipe);
        return make_session(recipe);
    };
    auto const good = at([](auto&) {});
    CHECK(judged(good, {}) == full_handshake_reason::none);
    CHECK(judged(good, {.max_session_age = 59min}) == full_handshake_reason::age_cap);
    CHECK(judged(at([&](auto& r) { r.lifetime = 59min; }), {}) == full_handshake_reason::expired);
    CHECK(judged(at([&](auto& r) { r.issued = time.now() + 1h; }), {}) == full_handshake_reason::expired);
    CHECK(judged(at([&](auto& r) { r.origin.chain_expiry = time.now() - 1s; }), {}) ==
          full_handshake_reason::chain_expired);

    auto const unverified = at([](auto& r) { r.origin.verify_result = X509_V_ERR_CERT_UNTRUSTED; });
    CHECK(judged(unverified, {}) == full_handshake_reason::unverified);
    CHECK(judged(unverified, {.verify_peer = false}) == full_handshake_reason::none);

    auto mutual = key_of_host("a");
    mutual.identity = "client certificate";
    CHECK(judged(good, {}, mutual) == full_handshake_reason::disabled);
    CHECK(judged(good, {.mutual_tls = true}, mutual) == full_handshake_reason::none);

    int asked = 0;
    import_policy own;
    own.accepts = [&](session_scope const& k, session const& s)
    {
        ++asked;
        return k.host == "a" && s.protocol() == tls_version::tls13 ? full_handshake_reason::none
                                                                   : full_handshake_reason::policy_differs;
    };
    CHECK(judged(good, own) == full_handshake_reason::none);
    CHECK(judged(good, own, key_of_host("b")) == full_handshake_reason::policy_differs);
    CHECK(asked == 2);
    CHECK(judged(unverified, own) == full_handshake_reason::unverified);
    CHECK(asked == 2); // after all others
}

TEST_CASE_FIXTURE(fixture, "sessions of mutual TLS are not exported unless asked for")
{
    auto mutual = key_of_host("a");
    mutual.identity = "client certificate";
    auto const store = make_store();
    store->capture(mutual, make_session());
    CHECK(done(export_sessions(*store, path, key)) == 0);
    CHECK(store->size() == 1);
    CHECK(done(export_sessions(*store, path, key, {.mutual_tls = true})) == 1);
    CHECK(store->size() == 0);
}

TEST_CASE_FIXTURE(fixture, "what the caller's judgement throws leaves file and store as they were")
{
    write();
    import_policy policy;
    policy.accepts = [](session_scope const&, session const&) -> full_handshake_reason
    { throw std::runtime_error{"no"}; };
    auto const store = make_store();
    CHECK_THROWS_AS((void)done(import_sessions(*store, path, key, policy)), std::runtime_error);
    CHECK(store->size() == 0);
    CHECK(done(import_sessions(*store, path, key)).imported == 4);
}

TEST_CASE_FIXTURE(fixture, "a file that others may use, or that is no file, is not read")
{
    write();
    for (mode_t const mode : {0640, 0604, 0620, 0602, 0610, 0601})
    {
        ::chmod(path.c_str(), mode);
        CHECK(refusal(key) == errc::session_file_not_private);
    }
    ::chmod(path.c_str(), 0600);
    if (::geteuid() == 0)
    {
        REQUIRE(::chown(path.c_str(), 65534, 65534) == 0);
        CHECK(refusal(key) == errc::session_file_not_private);
        REQUIRE(::chown(path.c_str(), 0, 0) == 0);
    }
    auto const target = directory / "target";
    std::filesystem::rename(path, target);
    std::filesystem::create_symlink(target, path);
    CHECK(refusal(key) == errc::session_file_not_private);
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    CHECK(refusal(key) == errc::session_file_not_private);
    std::filesystem::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(refusal(key) == errc::session_file_not_private); // and nobody waits for a writer
    std::filesystem::remove(path);
    CHECK(refusal(key) == boost::system::errc::no_such_file_or_directory);
}

TEST_CASE_FIXTURE(fixture, "a file that is too long is not read")
{
    set_contents("");
    REQUIRE(::truncate(path.c_str(), static_cast<off_t>(session_file_max_bytes) + 1) == 0);
    CHECK(refusal(key) == errc::session_file_too_large);
    REQUIRE(::truncate(path.c_str(), static_cast<off_t>(session_file_max_bytes)) == 0);
    CHECK(refusal(key) == errc::session_file_foreign);
}

TEST_CASE("an archive takes no more than it may, and has room for its end")
{
    secret_bytes const record{as_bytes("0123456789")};
    auto const entry = frame + detail::aead::overhead + record.size();
    auto const end = frame + detail::aead::overhead;
    for (std::size_t const spare : {0u, 1u})
    {
        detail::archive_writer archive{test::key_of(9), head + 2 * entry + end - spare};
        CHECK(archive.add(record));
        CHECK(archive.add(record) == (spare == 0));
        auto const bytes = std::move(archive).finish();
        CHECK(bytes.size() == head + (2 - spare) * entry + end);
        detail::archive_reader reader{bytes, test::key_of(9)};
        std::size_t count = 0;
        while (auto const e = reader.next())
            count += e->record == record ? 1u : 0u;
        CHECK(count == 2 - spare);
        CHECK(reader.is_whole());
    }
}

TEST_CASE_FIXTURE(fixture, "a file that is kept can be imported again")
{
    write();
    for (int i = 0; i < 2; ++i)
        CHECK(done(import_sessions(*make_store(), path, key, {.keep_file = true})).imported == 4);
    CHECK(std::filesystem::exists(path));
}

TEST_CASE_FIXTURE(fixture, "of many that import a file at once, one gets the sessions")
{
    for (int round = 0; round < 5; ++round)
    {
        write();
        std::atomic<std::size_t> imported = 0;
        std::atomic<int> missed = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back(
                [&]
                {
                    test::store_fixture own;
                    try
                    {
                        imported += own.done(import_sessions(*make_store(), path, key)).imported;
                    }
                    catch (system_error const& e)
                    {
                        missed += e.code() == boost::system::errc::no_such_file_or_directory ? 1 : 0;
                    }
                });
        for (auto& thread : threads)
            thread.join();
        CHECK(imported == 4);
        CHECK(missed == 3);
    }
}

TEST_CASE_FIXTURE(fixture, "the work on the file is not the io_context's, and a cancellation comes after it")
{
    write();
    std::set<std::thread::id> threads;
    asio::cancellation_signal cancel;
    import_policy policy;
    policy.accepts = [&](session_scope const&, session const&)
    {
        threads.insert(std::this_thread::get_id());
        asio::post(io, [&] { cancel.emit(asio::cancellation_type::terminal); }); // io runs meanwhile
        std::this_thread::sleep_for(10ms);
        return full_handshake_reason::none;
    };
    auto const storage = testing::faulty_storage::make(memory_storage::make());
    storage->set_plan([](testing::storage_operation, std::size_t) { return testing::storage_fault::hang; });
    auto const store = store_on(storage);
    std::exception_ptr failure;
    bool is_over = false;
    asio::co_spawn(io, import_sessions(*store, path, key, policy),
                   asio::bind_cancellation_slot(cancel.slot(),
                                                [&](std::exception_ptr e, import_report)
                                                {
                                                    failure = e;
                                                    is_over = true;
                                                }));
    run_until([&] { return is_over; });
    CHECK(threads.size() == 1);
    CHECK(threads.count(std::this_thread::get_id()) == 0);
    REQUIRE(failure);
    CHECK_THROWS_AS(std::rethrow_exception(failure), system_error);
    CHECK(store->size() == 4); // what was read is there
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE_FIXTURE(fixture, "a context may go while a thread is at work")
{
    write();
    std::atomic<bool> begun = false;
    import_policy policy;
    policy.accepts = [&](session_scope const&, session const&)
    {
        begun = true;
        std::this_thread::sleep_for(5ms);
        return full_handshake_reason::none;
    };
    std::weak_ptr<int> copies;
    for (bool const in_strand : {false, true})
    {
        write();
        begun = false;
        asio::io_context other;
        test::counted_executor const executor{other};
        copies = executor.copies();
        auto const ex = in_strand ? asio::any_io_executor{asio::make_strand(executor)} : executor;
        asio::co_spawn(ex, import_sessions(*make_store(), path, key, policy),
                       [](std::exception_ptr, import_report) { CHECK(false); });
        while (!begun)
            other.poll_one();
    }
    CHECK(copies.use_count() == 0);
    CHECK_FALSE(std::filesystem::exists(path)); // it has ended
}

TEST_CASE_FIXTURE(fixture, "an option out of bounds is refused, and nothing happens")
{
    write();
    auto const policy = [](auto change)
    {
        import_policy result;
        change(result);
        return result;
    };
    CHECK(refusal(secret_bytes{}) == errc::bad_option);
    CHECK(refusal(secret_bytes{std::size_t{32}}) == errc::bad_option);
    CHECK(refusal(key, policy([](auto& p) { p.max_session_age = 0s; })) == errc::bad_option);
    CHECK(refusal(key, policy([](auto& p) { p.max_session_age = 24h * 7 + 1s; })) == errc::bad_option);
    CHECK(refusal(key, policy([](auto& p) { p.now = nullptr; })) == errc::bad_option);
    auto const store = make_store();
    store->capture(key_of_host("a"), make_session());
    CHECK_THROWS_AS((void)done(import_sessions(*store, "", key)), system_error);
    CHECK_THROWS_AS((void)done(export_sessions(*store, "", key)), system_error);
    CHECK_THROWS_AS((void)done(export_sessions(*store, path, secret_bytes{std::size_t{32}})), system_error);
    CHECK(store->size() == 1);
}

TEST_SUITE_END();
