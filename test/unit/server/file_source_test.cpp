// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/key_source.hpp"
#include "server/tickets/ticket_ring.hpp"
#include "support/child.hpp"
#include "support/counted_executor.hpp"
#include "support/forked.hpp"

#include <reprise/error.hpp>
#include <reprise/testing/manual_clock.hpp>
#include <reprise/ticket_key_file.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace reprise;
using namespace std::chrono_literals;
using detail::check_set;
using detail::check_step;
using format = ticket_key_file_format;

TEST_SUITE_BEGIN("file_source");

namespace {

constexpr auto ticket_life = 300s;
constexpr auto patience = 20s;

std::string text_of(byte_view bytes)
{
    return {bytes.begin(), bytes.end()};
}

std::string nginx(ticket_key const& key)
{
    return text_of(write_ticket_key_file({.format = format::nginx, .keys = {key}}));
}

std::string haproxy(ticket_key_set keys)
{
    return text_of(write_ticket_key_file({.format = format::haproxy, .keys = std::move(keys)}));
}

bool contains(std::string const& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

// One fetch on an io_context that others use too.
struct fetching
{
    fetching(asio::io_context& io, detail::key_source& source, ticket_key_set current = {})
    {
        asio::co_spawn(io, source.fetch(std::move(current)),
                       asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr e, ticket_key_set keys)
                                                    { ended(e, std::move(keys)); }));
    }

    void ended(std::exception_ptr e, ticket_key_set keys)
    {
        is_done = true;
        failure = e;
        try
        {
            if (e)
                std::rethrow_exception(e);
            result = std::move(keys);
        }
        catch (system_error const& error)
        {
            code = error.code();
            said = error.what();
        }
    }

    asio::cancellation_signal cancel;
    bool is_done = false;
    ticket_key_set result;
    std::exception_ptr failure;
    error_code code;
    std::string said;
};

// Files in a directory of their own, their source, and what a keeper of the keys would hold.
struct fixture
{
    explicit fixture(std::vector<std::string> const& files, bool may_orphan_tickets = false)
    {
        file_keys_options options{.may_orphan_tickets = may_orphan_tickets};
        for (auto const& name : files)
            options.paths.emplace_back(directory / name);
        source = detail::make_file_source(options, {.ticket_life = ticket_life, .now = clock});
    }

    /// As an administrator does it: another file, and then rename.
    void put(std::string const& name, std::string const& contents) const
    {
        std::filesystem::rename(directory.write("new", contents), directory / name);
    }

    void put(std::vector<ticket_key> const& in_order) const
    {
        for (std::size_t i = 0; i < in_order.size(); ++i)
            put(std::to_string(i), nginx(in_order[i]));
    }

    /// What is fetched next to `current`. A failed one is thrown.
    ticket_key_set fetch(ticket_key_set current)
    {
        fetching f{io, *source, std::move(current)};
        io.restart();
        io.run_for(patience);
        REQUIRE(f.is_done);
        if (f.failure)
            std::rethrow_exception(f.failure);
        return f.result;
    }

    /// What the error of a fetch says; empty if there is none.
    std::string complaint()
    {
        try
        {
            (void)fetch(keys);
        }
        catch (system_error const& e)
        {
            return e.what();
        }
        return {};
    }

    /// Take what is fetched, with the same care as a keeper.
    void step()
    {
        auto next = fetch(keys);
        check_set(next);
        if (!source->may_orphan_tickets())
            check_step(keys, next, clock.now(), ticket_life);
        keys = std::move(next);
    }

    /// The error of such a step.
    error_code refusal()
    {
        try
        {
            step();
        }
        catch (system_error const& e)
        {
            return e.code();
        }
        return {};
    }

    /// The name of the key that issues now.
    [[nodiscard]] std::string issuer() const
    {
        detail::ticket_ring const ring{keys};
        auto const* const at = ring.issuer(clock.now());
        return at != nullptr ? at->key.name : std::string{};
    }

    /// How many keys could issue now.
    [[nodiscard]] auto issuers() const
    {
        return std::ranges::count_if(keys, [&](auto const& key)
                                     { return detail::role_at(key, clock.now()) == detail::key_role::issuing; });
    }

    [[nodiscard]] ticket_key const& key(ticket_key const& like) const
    {
        auto const at = std::ranges::find(keys, like.name, &ticket_key::name);
        REQUIRE(at != keys.end());
        CHECK(at->secret == like.secret);
        return *at;
    }

    [[nodiscard]] bool opens(ticket_key const& like) const
    {
        return std::ranges::any_of(keys, [&](auto const& key)
                                   { return key.name == like.name && clock.now() < key.accept_until; });
    }

    test::temporary_directory directory;
    testing::manual_clock clock;
    asio::io_context io;
    std::unique_ptr<detail::key_source> source;
    ticket_key_set keys{};
};

std::string refused_option(file_keys_options const& options)
{
    try
    {
        (void)detail::make_file_source(options, {.ticket_life = ticket_life, .now = system_clock()});
    }
    catch (system_error const& e)
    {
        CHECK(e.code() == errc::bad_option);
        return e.what();
    }
    return {};
}

bool are_same(ticket_key_set const& a, ticket_key_set const& b)
{
    return std::ranges::equal(a, b,
                              [](auto const& x, auto const& y)
                              {
                                  return x.secret == y.secret && x.name == y.name && x.not_before == y.not_before &&
                                         x.issue_until == y.issue_until && x.accept_until == y.accept_until;
                              });
}

std::ptrdiff_t threads()
{
    return std::distance(std::filesystem::directory_iterator{"/proc/self/task"}, std::filesystem::directory_iterator{});
}

// A file that is there and does not answer, as on a disk that is gone: a FIFO that nobody writes to.
struct stalled_file
{
    explicit stalled_file(std::string where) : path(std::move(where)) { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }

    /// Begin to write to it: a descriptor, or -1 if nobody reads it.
    [[nodiscard]] int answer() const { return ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC); }

    std::string path;
};

// Run until it is so, or fail.
void run_until(asio::io_context& io, std::function<bool()> const& is_so)
{
    auto const deadline = std::chrono::steady_clock::now() + patience;
    while (!is_so())
    {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        io.restart();
        io.poll();
        std::this_thread::sleep_for(1ms);
    }
}

} // namespace

TEST_CASE("an option out of bounds is refused and named")
{
    CHECK(contains(refused_option({}), "file_keys_options::paths"));
    CHECK(contains(refused_option({.paths = {""}}), "file_keys_options::paths"));
    CHECK(contains(refused_option({.paths = std::vector<std::filesystem::path>(65, "x")}), "file_keys_options::paths"));
    CHECK(contains(refused_option({.paths = {"x"}, .check_every = 9ms}), "file_keys_options::check_every"));
    CHECK(refused_option({.paths = {"x"}, .check_every = 10ms}).empty());
}

TEST_CASE("what is asked of a source is what its options say")
{
    auto const source = detail::make_file_source({.paths = {"x"}, .check_every = 70ms, .may_orphan_tickets = true},
                                                 {.ticket_life = ticket_life, .now = system_clock()});
    CHECK(source->refresh_every() == 70ms);
    CHECK(source->may_orphan_tickets());
    CHECK(source->fetch_timeout() > 0ms);
    CHECK_FALSE(source->is_immediate());
    CHECK_FALSE(detail::make_file_source({.paths = {"x"}}, {.ticket_life = ticket_life, .now = system_clock()})
                    ->may_orphan_tickets());
}

TEST_CASE("one file of nginx is one key, which issues from when it was first seen")
{
    fixture f{{"0"}};
    auto const key = make_file_ticket_key(48);
    f.put({key});
    f.step();
    REQUIRE(f.keys.size() == 1);
    CHECK(f.keys[0].name == key.name);
    CHECK(f.keys[0].secret == key.secret);
    CHECK(f.keys[0].not_before == f.clock.now());
    CHECK(f.keys[0].issue_until == time_point::max());
    CHECK(f.keys[0].accept_until == time_point::max());
    CHECK(f.issuer() == key.name);
}

TEST_CASE("of several files of nginx the first issues, and the others open what was issued before")
{
    fixture f{{"0", "1", "2"}};
    auto const a = make_file_ticket_key(80);
    auto const b = make_file_ticket_key(48);
    auto const c = make_file_ticket_key(80);
    f.put({a, b, c});
    f.step();
    CHECK(f.keys.size() == 3);
    CHECK(f.issuer() == a.name);
    CHECK(f.issuers() == 1);
    for (auto const& old : {b, c})
    {
        CHECK(f.key(old).not_before == f.clock.now());
        CHECK(f.key(old).issue_until == f.clock.now());
        CHECK(f.opens(old));
    }
}

TEST_CASE("files that have not changed give the same set, however late")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    auto const b = make_file_ticket_key();
    f.put({a, b});
    f.step();
    f.clock.advance(1000h);
    CHECK(are_same(f.fetch(f.keys), f.keys));
    f.put({a, b}); // another file of the same contents
    CHECK(are_same(f.fetch(f.keys), f.keys));
    CHECK(are_same(f.fetch({f.keys[1], f.keys[0]}), f.keys)); // whatever their order was
}

TEST_CASE("a new first file issues at once; the one before it, now second, opens")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    auto const b = make_file_ticket_key();
    auto const c = make_file_ticket_key();
    f.put({b, a});
    f.step();
    auto const began = f.clock.now();
    f.clock.advance(ticket_life);
    f.put({c, b}); // a may go: it was last seen to be able to issue one ticket_life ago
    f.step();
    CHECK(f.keys.size() == 2);
    CHECK(f.issuer() == c.name);
    CHECK(f.issuers() == 1);
    CHECK(f.key(c).not_before == f.clock.now());
    CHECK(f.key(b).not_before == began);
    CHECK(f.key(b).issue_until == f.clock.now());
    CHECK(f.key(b).accept_until == time_point::max());
}

TEST_CASE("files that change places change roles, back and forth")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    auto const b = make_file_ticket_key();
    for (int i = 0; i < 3; ++i)
        for (auto const& order : {std::vector{a, b}, std::vector{b, a}})
        {
            f.put(order);
            f.step();
            CHECK(f.issuer() == order[0].name);
            CHECK(f.issuers() == 1);
            CHECK(f.key(order[0]).not_before == f.clock.now());
            CHECK(f.key(order[1]).issue_until == f.clock.now());
            f.clock.advance(10s);
            CHECK(f.issuer() == order[0].name);
            CHECK(are_same(f.fetch(f.keys), f.keys));
        }
}

TEST_CASE("a file that is replaced by another key is refused for as long as tickets of the old one are alive")
{
    fixture f{{"0"}};
    auto const a = make_file_ticket_key();
    auto const b = make_file_ticket_key();
    f.put({a});
    f.step();
    f.put({b});
    f.clock.advance(24h); // it has issued all the time, and goes on
    CHECK(f.refusal() == errc::tickets_orphaned);
    CHECK(f.issuer() == a.name);
    f.put({a}); // repaired
    CHECK_FALSE(f.refusal());
}

TEST_CASE("an old key may go once its tickets are dead, one ticket_life after it has ceased to issue")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    auto const b = make_file_ticket_key();
    auto const c = make_file_ticket_key();
    f.put({a, b});
    f.step();
    f.clock.advance(24h);
    f.put({b, a});
    f.step();
    f.put({b, c});
    CHECK(f.refusal() == errc::tickets_orphaned);
    f.clock.advance(ticket_life - 1s);
    CHECK(f.refusal() == errc::tickets_orphaned);
    f.clock.advance(1s);
    CHECK_FALSE(f.refusal());
    CHECK_FALSE(f.opens(a));
    CHECK(f.opens(c));
}

TEST_CASE("a key that only opens may have issued elsewhere until it was first seen, and is kept for so long")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    f.put({a, make_file_ticket_key()});
    f.step();
    f.put({a, make_file_ticket_key()});
    f.clock.advance(ticket_life - 1s);
    CHECK(f.refusal() == errc::tickets_orphaned);
    f.clock.advance(1s);
    CHECK_FALSE(f.refusal());
}

TEST_CASE("after a theft all keys may be replaced at once, if the options say so")
{
    fixture f{{"0"}, true};
    f.put({make_file_ticket_key()});
    f.step();
    auto const b = make_file_ticket_key();
    f.put({b});
    f.step();
    CHECK(f.keys.size() == 1);
    CHECK(f.issuer() == b.name);
}

TEST_CASE("of a file of HAProxy the last key but one issues, the last and the earlier ones open")
{
    fixture f{{"keys"}};
    ticket_key_set keys;
    for (int i = 0; i < 5; ++i)
        keys.push_back(make_file_ticket_key());
    f.put("keys", haproxy(keys));
    f.step();
    CHECK(f.keys.size() == 5);
    CHECK(f.issuer() == keys[3].name);
    CHECK(f.issuers() == 1);
    for (auto const& key : keys)
        CHECK(f.opens(key));
    for (std::size_t const i : {0u, 1u, 2u, 4u})
        CHECK(f.key(keys[i]).issue_until == f.clock.now());
}

TEST_CASE("a file of HAProxy is rotated by a line at its end, and another one at its start may go")
{
    for (bool const keeps_all : {false, true})
    {
        CAPTURE(keeps_all);
        fixture f{{"keys"}};
        ticket_key_set lines;
        for (int i = 0; i < 3; ++i)
            lines.push_back(make_file_ticket_key(48));
        f.put("keys", haproxy(lines));
        f.step();
        for (int round = 0; round < 5; ++round)
        {
            CAPTURE(round);
            f.clock.advance(ticket_life);
            auto const old = lines[lines.size() - 2];
            auto const next = lines.back();
            CHECK(f.opens(next)); // before it issues, for servers that are ahead
            lines.push_back(make_file_ticket_key(48));
            if (!keeps_all)
                lines.erase(lines.begin());
            f.put("keys", haproxy(lines));
            f.step();
            CHECK(f.keys.size() == lines.size());
            CHECK(f.issuer() == next.name);
            CHECK(f.issuers() == 1);
            CHECK(f.key(next).not_before == f.clock.now());
            CHECK(f.key(next).issue_until == time_point::max());
            CHECK(f.key(old).issue_until == f.clock.now());
            CHECK(f.opens(old));
            CHECK(f.opens(lines.back()));
        }
    }
}

TEST_CASE("a rotation of HAProxy's file that comes too early is taken as soon as it may")
{
    fixture f{{"keys"}};
    ticket_key_set const keys{make_file_ticket_key(), make_file_ticket_key(), make_file_ticket_key(),
                              make_file_ticket_key()};
    f.put("keys", haproxy({keys[0], keys[1], keys[2]}));
    f.step();
    f.clock.advance(10s);
    f.put("keys", haproxy({keys[1], keys[2], keys[3]}));
    CHECK(f.refusal() == errc::tickets_orphaned); // keys[0] may have issued 10 s ago, on another server
    CHECK(f.issuer() == keys[1].name);
    f.clock.advance(ticket_life - 10s);
    CHECK_FALSE(f.refusal());
    CHECK(f.issuer() == keys[2].name);
}

TEST_CASE("the format may change, and roles go on")
{
    fixture f{{"keys"}};
    auto const a = make_file_ticket_key();
    f.put("keys", nginx(a));
    f.step();
    f.clock.advance(10s);
    f.put("keys", haproxy({make_file_ticket_key(), a, make_file_ticket_key()}));
    auto const before = f.key(a).not_before;
    f.step();
    CHECK(f.keys.size() == 3);
    CHECK(f.issuer() == a.name);
    CHECK(f.key(a).not_before == before);
}

TEST_CASE("a clock that is set back leaves one key that issues, and times that do not run backwards")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    auto const b = make_file_ticket_key();
    f.put({a, b});
    f.step();
    f.clock.advance(-1h);
    f.step();
    CHECK(f.issuer() == a.name);
    f.clock.advance(1h);
    f.put({b, a});
    f.step();
    f.clock.advance(-1h);
    f.step();
    CHECK(f.issuer() == b.name);
    CHECK(f.issuers() == 1);
    f.put({a, b});
    f.clock.advance(-1h);
    f.step();
    CHECK(f.issuer() == a.name);
    CHECK(f.issuers() == 1);
}

TEST_CASE("a key that is in a file twice, or weak, is found by the check of the set")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    f.put({a, a});
    CHECK(f.refusal() == errc::bad_ticket_keys);
    auto weak = make_file_ticket_key();
    weak.secret = locked_bytes{64};
    f.put({a, weak});
    CHECK(f.refusal() == errc::weak_ticket_key);
    auto renamed = make_file_ticket_key();
    renamed.name = a.name;
    f.put({renamed, make_file_ticket_key()});
    f.step();
    f.put({a, make_file_ticket_key()});
    CHECK(f.refusal() == errc::bad_ticket_keys); // one name, another secret
}

TEST_CASE("a bad file is an error that says which, where and why, and the next good one is read")
{
    fixture f{{"0", "1"}};
    auto const a = make_file_ticket_key();
    auto const b = make_file_ticket_key();
    f.put({a, b});
    f.step();
    auto const says = [&](std::string const& contents, std::string_view why)
    {
        f.put("1", contents);
        auto const said = f.complaint();
        CAPTURE(said);
        CHECK(said.starts_with((f.directory / "1") + ": "));
        return contains(said, why);
    };
    CHECK(says("", "the file is empty"));
    CHECK(says(std::string(49, '\xee'), "49 bytes"));
    CHECK(says(std::string(1 << 20, '\xee'), "more than 65536 bytes"));
    CHECK(says("what?\n", "line 1 is not base64"));
    CHECK(says(haproxy({a, b, make_file_ticket_key()}), "must be the only file"));
    f.put("1", nginx(b));
    CHECK(f.complaint().empty());
    CHECK(are_same(f.fetch(f.keys), f.keys));
}

TEST_CASE("a file that cannot be read is an error that names it and says what the system says")
{
    fixture f{{"0", "1"}};
    f.put("0", nginx(make_file_ticket_key()));
    auto const said = [&](int expected)
    {
        fetching fetch{f.io, *f.source};
        f.io.restart();
        f.io.run_for(patience);
        CHECK(fetch.code == error_code{expected, boost::system::generic_category()});
        return fetch.said;
    };
    CHECK(contains(said(ENOENT), (f.directory / "1") + ": No such file or directory"));
    std::filesystem::create_directory(f.directory / "1");
    CHECK(contains(said(EISDIR), (f.directory / "1") + ": Is a directory"));
    std::filesystem::remove(f.directory / "1");
    std::filesystem::create_symlink(f.directory / "1", f.directory / "1");
    CHECK(contains(said(ELOOP), (f.directory / "1") + ": "));
    std::filesystem::remove(f.directory / "1");
    f.put("1", nginx(make_file_ticket_key()));
    CHECK_NOTHROW(f.step());
}

TEST_CASE("a file without an end is not read to it")
{
    auto const source =
        detail::make_file_source({.paths = {"/dev/zero"}}, {.ticket_life = ticket_life, .now = system_clock()});
    asio::io_context io;
    fetching f{io, *source};
    io.run_for(patience);
    CHECK(f.code == errc::bad_ticket_key_file);
    CHECK(contains(f.said, "/dev/zero: more than 65536 bytes"));
}

TEST_CASE("a disk that does not answer stops neither the thread that asks nor anything on it, and costs one thread")
{
    fixture f{{"0", "1"}};
    f.put("0", nginx(make_file_ticket_key()));
    stalled_file const stalled{f.directory / "1"};
    fetching first{f.io, *f.source};
    f.io.poll();
    CHECK_FALSE(first.is_done);
    bool others_go_on = false;
    asio::post(f.io, [&] { others_go_on = true; });
    f.io.poll();
    CHECK(others_go_on);

    // The thread has come to the second file when a further fetch says so.
    auto const refused = [&]
    {
        fetching again{f.io, *f.source};
        f.io.restart();
        f.io.poll();
        REQUIRE(again.is_done);
        CHECK(again.code == boost::system::errc::device_or_resource_busy);
        return again.said;
    };
    run_until(f.io, [&] { return contains(refused(), (f.directory / "1") + ": an earlier read of this file"); });
    auto const before = threads();
    for (int i = 0; i < 100; ++i)
        (void)refused();
    CHECK(threads() <= before);

    // Abandoned, it is still being read.
    first.cancel.emit(asio::cancellation_type::terminal);
    run_until(f.io, [&] { return first.is_done; });
    CHECK(first.code == asio::error::operation_aborted);
    CHECK(contains(refused(), "check its disk"));

    // Once the disk answers, the next fetch reads again.
    int const file = stalled.answer();
    REQUIRE(file >= 0);
    f.put("1", nginx(make_file_ticket_key()));
    ::close(file);
    run_until(f.io, [&] { return f.complaint().empty(); });
}

#ifndef REPRISE_TEST_NO_FORK
TEST_CASE("a child that is forked off while a file is read reads it itself")
{
    fixture f{{"0"}};
    stalled_file stalled{f.directory / "0"};
    fetching first{f.io, *f.source};
    f.io.poll();
    int const status = test::in_child(
        [&]
        {
            std::filesystem::rename(stalled.path, f.directory / "stalled");
            f.put("0", nginx(make_file_ticket_key()));
            asio::io_context io; // the other one is the parent's
            fetching own{io, *f.source};
            run_until(io, [&] { return own.is_done; });
            return own.code || !own.said.empty() ? 1 : 0;
        });
    CHECK(status == 0);
    stalled.path = f.directory / "stalled";
    run_until(f.io, // with an end of the file the thread ends
              [&]
              {
                  if (int const file = stalled.answer(); file >= 0)
                      ::close(file);
                  return first.is_done;
              });
}
#endif

TEST_CASE("when a disk answers again, so does the source")
{
    fixture f{{"0"}};
    stalled_file const stalled{f.directory / "0"};
    fetching first{f.io, *f.source};
    f.io.poll();
    std::string const contents = nginx(make_file_ticket_key());
    int file = -1;
    run_until(f.io, [&] { return (file = stalled.answer()) >= 0; });
    // In two parts, as a disk that is slow
    REQUIRE(::write(file, contents.data(), 30) == 30);
    f.io.poll();
    CHECK_FALSE(first.is_done);
    REQUIRE(::write(file, contents.data() + 30, contents.size() - 30) == 50);
    ::close(file);
    run_until(f.io, [&] { return first.is_done; });
    REQUIRE(first.result.size() == 1);
    f.put("0", contents);
    CHECK_NOTHROW(f.step());
}

TEST_CASE("a source and its io_context may go while a file is being read")
{
    test::temporary_directory const directory;
    stalled_file const stalled{directory / "0"};
    std::weak_ptr<int> copies;
    for (bool const in_strand : {false, true}) // the second one finds the first at it
    {
        asio::io_context io;
        test::counted_executor const executor{io};
        copies = executor.copies();
        auto source =
            detail::make_file_source({.paths = {stalled.path}}, {.ticket_life = ticket_life, .now = system_clock()});
        auto const ex = in_strand ? asio::any_io_executor{asio::make_strand(executor)} : executor;
        bool is_done = false;
        asio::co_spawn(ex, source->fetch({}), [&](std::exception_ptr, ticket_key_set) { is_done = true; });
        io.poll();
        source.reset();
        io.restart();
        io.poll();
        CHECK_FALSE(is_done);
    }
    CHECK(copies.use_count() == 0);
    asio::io_context io;
    int file = -1;
    run_until(io, [&] { return (file = stalled.answer()) >= 0; });
    ::close(file);
    run_until(io, // until nobody reads any more
              [&]
              {
                  file = stalled.answer();
                  if (file >= 0)
                      ::close(file);
                  return file < 0;
              });
}

TEST_SUITE_END();
