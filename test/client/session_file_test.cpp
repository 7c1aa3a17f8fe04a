// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/child.hpp"
#include "support/keys.hpp"
#include "support/lmdb.hpp"
#include "support/sessions.hpp"

#include <reprise/base/error.hpp>
#include <reprise/client/memory_session_store.hpp>
#include <reprise/client/session_file.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <sys/stat.h>

using namespace reprise;
using namespace test;
using namespace std::chrono_literals;

TEST_SUITE_BEGIN("session file");

namespace {

namespace fs = std::filesystem;

session_key to(std::string host)
{
    session_key key;
    key.host = std::move(host);
    key.service = "443";
    return key;
}

std::string read(std::string const& path)
{
    std::stringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

void write(std::string const& path, std::string const& bytes)
{
    std::ofstream{path, std::ios::binary} << bytes;
    fs::permissions(path, fs::perms{0600});
}

struct scene
{
    testing::manual_clock time;
    temporary_directory directory;
    std::string path = directory / "sessions";

    std::shared_ptr<memory_session_store> store() { return memory_session_store::make({.now = time}); }

    session fresh(int version = TLS1_3_VERSION, long verify_result = X509_V_OK)
    {
        return make_session(
            {.version = version, .issued = time.now(), .origin = {time.now(), time_point::max(), verify_result}});
    }

    // Some sessions in a file.
    std::shared_ptr<memory_session_store> exported(std::size_t count, export_options options = {})
    {
        auto const from = store();
        for (std::size_t i = 0; i < count; ++i)
            completed(from->insert(to("host" + std::to_string(i)), fresh()));
        CHECK(completed(export_sessions(*from, path, key_of(1), options)) == count);
        return from;
    }

    import_report import(session_store& into, std::function<void(import_policy&)> const& change = {},
                         unsigned char key = 1)
    {
        import_policy policy;
        policy.now = time;
        if (change)
            change(policy);
        return completed(import_sessions(into, path, key_of(key), policy));
    }

    error_code why_not(std::function<void(import_policy&)> const& change = {}, unsigned char key = 1)
    {
        auto const into = store();
        try
        {
            import(*into, change, key);
        }
        catch (system_error const& e)
        {
            CHECK(into->size() == 0);
            return e.code();
        }
        return {};
    }
};

} // namespace

TEST_CASE("sessions move to the next process: tickets once, TLS 1.2 sessions stay; the file is its owner's, and goes")
{
    scene s;
    auto const from = s.store();
    completed(from->insert(to("a"), s.fresh()));
    completed(from->insert(to("a"), s.fresh()));
    completed(from->insert(to("b"), s.fresh(TLS1_2_VERSION)));
    CHECK(completed(export_sessions(*from, s.path, key_of(1))) == 3);
    CHECK(from->size() == 1);
    CHECK(completed(from->take(to("a"))).reason == full_reason::tickets_in_use);
    struct ::stat status{};
    REQUIRE(::stat(s.path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(read(s.path).find("reprise sessions") == 0);
    CHECK(std::distance(fs::directory_iterator{s.directory / ""}, {}) == 1); // nothing else is left

    auto const into = s.store();
    auto const report = s.import(*into);
    CHECK(report.imported == 3);
    CHECK(report.skipped == 0);
    CHECK(report.is_whole);
    CHECK(into->size() == 3);
    CHECK(completed(into->take(to("a"))).ticket);
    CHECK(completed(into->take(to("b"))).ticket);
    CHECK_FALSE(fs::exists(s.path));
    CHECK(s.why_not() == boost::system::errc::no_such_file_or_directory);
}

TEST_CASE("the newest session stays the newest")
{
    scene s;
    auto const from = s.store();
    std::vector<SSL_SESSION const*> made;
    for (int i = 0; i < 3; ++i)
    {
        auto const one = s.fresh();
        completed(from->insert(to("a"), one));
        made.push_back(one.native_handle());
    }
    auto const newest = make_session({.issued = s.time.now(), .origin = {s.time.now() - 7s}});
    completed(from->insert(to("a"), newest));
    completed(export_sessions(*from, s.path, key_of(1)));
    auto const into = s.store();
    s.import(*into);
    auto const got = completed(into->take(to("a")));
    REQUIRE(got.ticket);
    CHECK(got.ticket->origin().verified_at == std::chrono::floor<std::chrono::seconds>(s.time.now() - 7s));
}

TEST_CASE("a file of no use is refused with its reason, and stays")
{
    scene s;
    s.exported(2);
    auto const good = read(s.path);
    CHECK(s.why_not({}, 2) == errc::session_file_key);
    auto changed = good;
    changed[0] ^= 1;
    write(s.path, changed);
    CHECK(s.why_not() == errc::session_file_foreign);
    changed = good;
    changed[16] = 2;
    write(s.path, changed);
    CHECK(s.why_not() == errc::session_file_version);
    write(s.path, good.substr(0, 40));
    CHECK(s.why_not() == errc::session_file_foreign);
    write(s.path, "");
    CHECK(s.why_not() == errc::session_file_foreign);
    write(s.path, good);
    for (auto const mode : {0640u, 0604u, 0620u, 0660u, 0666u})
    {
        fs::permissions(s.path, fs::perms{mode});
        CHECK(s.why_not() == errc::session_file_not_private);
    }
    fs::permissions(s.path, fs::perms{0600});
    fs::create_symlink(s.path, s.directory / "link");
    auto const real = std::exchange(s.path, s.directory / "link");
    CHECK(s.why_not().failed());
    s.path = s.directory / "";
    CHECK(s.why_not() == errc::session_file_not_private);
    s.path = real;
    CHECK(s.import(*s.store()).imported == 2);
}

TEST_CASE("a file that was cut gives what is whole before the cut, and says that it was cut")
{
    scene s;
    s.exported(3);
    auto const good = read(s.path);
    std::size_t most = 0;
    for (std::size_t size = 49; size < good.size(); ++size)
    {
        write(s.path, good.substr(0, size));
        auto const into = s.store();
        auto const report = s.import(*into);
        CHECK_FALSE(report.is_whole);
        CHECK(report.imported == into->size());
        CHECK(report.imported >= most);
        CHECK(report.imported <= 3);
        most = report.imported;
    }
    CHECK(most == 3); // the end alone was missing
}

TEST_CASE("one changed byte spoils one entry at most in its place, and never gives another session")
{
    scene s;
    s.exported(3);
    auto const good = read(s.path);
    for (std::size_t at = 49; at < good.size(); at += 1 + at % 7)
    {
        CAPTURE(at);
        auto changed = good;
        changed[at] = static_cast<char>(changed[at] ^ 0x41);
        write(s.path, changed);
        auto const into = s.store();
        auto const report = s.import(*into);
        CHECK(report.imported < 4);
        CHECK((report.skipped > 0 || !report.is_whole));
        CHECK(into->size() == report.imported);
        for (auto const& skipped : report.first_skipped)
            CHECK(skipped.reason == full_reason::record_corrupt);
    }
}

TEST_CASE("entries that change places are refused")
{
    scene s;
    s.exported(2);
    auto const good = read(s.path);
    constexpr std::size_t head = 16 + 1 + 16 + 16;
    auto const size_at = [&](std::size_t at)
    {
        std::size_t size = 0;
        for (std::size_t i = 1; i < 5; ++i)
            size = size << 8 | static_cast<unsigned char>(good[at + i]);
        return size + 5;
    };
    auto const first = size_at(head);
    auto const second = size_at(head + first);
    write(s.path, good.substr(0, head) + good.substr(head + first, second) + good.substr(head, first) +
                      good.substr(head + first + second));
    auto const report = s.import(*s.store());
    CHECK(report.imported == 0);
    CHECK(report.skipped == 2);
}

TEST_CASE("what the policy would not have accepted is skipped with its reason")
{
    scene s;
    auto const policy_says =
        [&](std::function<void(import_policy&)> const& change, std::function<void()> const& meanwhile)
    {
        s.exported(1);
        auto const now = s.time;
        meanwhile();
        auto const report = s.import(*s.store(), change);
        CHECK(report.imported + report.skipped == 1);
        return report.skipped == 0 ? full_reason::none : report.first_skipped.at(0).reason;
    };
    auto const nothing = [] {};
    CHECK(policy_says({}, nothing) == full_reason::none);
    CHECK(policy_says({}, [&] { s.time.advance(301s); }) == full_reason::expired);
    CHECK(policy_says([](auto& p) { p.max_session_age = 10s; }, [&] { s.time.advance(11s); }) == full_reason::age_cap);
    CHECK(policy_says([](auto& p) { p.accepts = [](auto&, auto&) { return full_reason::untrusted; }; }, nothing) ==
          full_reason::untrusted);

    auto const from = s.store();
    completed(from->insert(to("a"), s.fresh(TLS1_3_VERSION, X509_V_ERR_CERT_HAS_EXPIRED)));
    completed(export_sessions(*from, s.path, key_of(1)));
    CHECK(s.import(*s.store(), [](auto& p) { p.keep_file = true; }).first_skipped.at(0).reason ==
          full_reason::unverified);
    CHECK(s.import(*s.store(), [](auto& p) { p.verify_peer = false; }).imported == 1);
}

TEST_CASE("sessions of mutual TLS neither leave nor enter, unless they are asked for")
{
    scene s;
    auto mine = to("a");
    mine.identity = "me";
    auto const from = s.store();
    completed(from->insert(mine, s.fresh()));
    CHECK(completed(export_sessions(*from, s.path, key_of(1))) == 0);
    CHECK(from->size() == 1);
    CHECK(completed(export_sessions(*from, s.path, key_of(1), export_options{.mutual_tls = true})) == 1);
    auto const refused = s.import(*s.store(), [](auto& p) { p.keep_file = true; });
    CHECK(refused.first_skipped.at(0).reason == full_reason::disabled);
    CHECK(s.import(*s.store(), [](auto& p) { p.mutual_tls = true; }).imported == 1);
}

TEST_CASE("a file that cannot be written leaves the sessions where they are")
{
    scene s;
    auto const from = s.store();
    completed(from->insert(to("a"), s.fresh()));
    for (auto const& bad : {s.directory / "none/sessions", s.directory / ""})
    {
        CHECK_THROWS_AS(completed(export_sessions(*from, bad, key_of(1))), system_error);
        CHECK(from->size() == 1);
    }
    CHECK_THROWS_AS(completed(export_sessions(*from, s.path, secret_bytes(32))), system_error);
    CHECK_THROWS_AS(completed(export_sessions(*from, "", key_of(1))), system_error);
    CHECK(completed(from->take(to("a"))).ticket);
}

TEST_CASE("keep_file keeps it")
{
    scene s;
    s.exported(1);
    CHECK(s.import(*s.store(), [](auto& p) { p.keep_file = true; }).imported == 1);
    CHECK(fs::exists(s.path));
    CHECK(s.import(*s.store()).imported == 1);
    CHECK_FALSE(fs::exists(s.path));
}

TEST_SUITE_END();
