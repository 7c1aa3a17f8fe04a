// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Several processes with one lmdb_storage, some of which are killed.
#include "support/child.hpp"
#include "support/forked.hpp"
#include "support/lmdb.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/lmdb_storage.hpp>

#include <lmdb.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

using namespace reprise;
using namespace std::chrono_literals;
using test::completed;
using test::secret;

TEST_SUITE_BEGIN("lmdb_storage and processes");

namespace {

std::vector<std::string> peer(std::string const& task, std::string const& path, std::string const& argument = "")
{
    return {REPRISE_LMDB_PEER, task, path, argument};
}

std::shared_ptr<lmdb_storage> open(std::string const& path, std::uint64_t max_bytes = 64 << 20)
{
    lmdb_storage_options options;
    options.path = path;
    options.max_bytes = max_bytes;
    options.durability = lmdb_durability::unsynced;
    return lmdb_storage::make(std::move(options));
}

auto later()
{
    return std::chrono::system_clock::now() + 1h;
}

struct check_env
{
    explicit check_env(std::string const& path)
    {
        REQUIRE(::mdb_env_create(&env) == 0);
        REQUIRE(::mdb_env_set_maxdbs(env, 2) == 0);
        REQUIRE(::mdb_env_open(env, path.c_str(), MDB_RDONLY, 0600) == 0);
        REQUIRE(::mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) == 0);
    }
    check_env(check_env const&) = delete;
    check_env& operator=(check_env const&) = delete;
    ~check_env()
    {
        ::mdb_txn_abort(txn);
        ::mdb_env_close(env);
    }

    std::map<std::string, std::string> all(char const* database)
    {
        std::map<std::string, std::string> rows;
        MDB_dbi dbi = 0;
        MDB_cursor* cursor = nullptr;
        REQUIRE(::mdb_dbi_open(txn, database, 0, &dbi) == 0);
        REQUIRE(::mdb_cursor_open(txn, dbi, &cursor) == 0);
        MDB_val key{};
        MDB_val value{};
        int returned = 0;
        while ((returned = ::mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
            rows.emplace(std::string(static_cast<char*>(key.mv_data), key.mv_size),
                         std::string(static_cast<char*>(value.mv_data), value.mv_size));
        CHECK(returned == MDB_NOTFOUND);
        ::mdb_cursor_close(cursor);
        return rows;
    }

    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
};

// Every page can be walked, and the two trees say the same.
void check_integrity(std::string const& path)
{
    check_env env{path};
    auto const entries = env.all("entries");
    auto const expiry = env.all("expiry");
    CHECK(entries.size() == expiry.size());
    std::size_t agree = 0;
    for (auto const& [at, name] : expiry)
    {
        auto const record = entries.find(name);
        agree += record != entries.end() && record->second.compare(1, 16, at) == 0 ? 1 : 0;
    }
    CHECK(agree == expiry.size());
}

// What a loaded process said of the names.
struct account
{
    std::set<std::string> put, taking, taken;

    void read(std::string const& output)
    {
        std::istringstream lines{output};
        std::string verb;
        std::string name;
        while (lines >> verb >> name && name.back() == '.') // the last one may have been cut
            (verb == "put" ? put : verb == "taking" ? taking : taken).insert(name.substr(0, name.size() - 1));
    }
};

} // namespace

TEST_CASE("of two processes that take the same names at once, one gets each")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    {
        auto const storage = open(path);
        boost::asio::io_context io;
        for (int i = 0; i < 1000; ++i)
            boost::asio::co_spawn(io, storage->put("name" + std::to_string(i), secret("x"), later()),
                                  [](std::exception_ptr e) { CHECK_FALSE(e); });
        io.run();
    }
    std::multiset<std::string> taken;
    {
        test::child first{peer("take", path)};
        test::child second{peer("take", path)};
        for (auto* one : {&first, &second})
        {
            CHECK(one->wait() == 0);
            std::istringstream words{one->output()};
            std::string verb;
            std::string name;
            while (words >> verb >> name)
                taken.insert(name);
        }
    }
    CHECK(taken.size() == 1000);
    CHECK(std::set<std::string>(taken.begin(), taken.end()).size() == 1000);
    CHECK(open(path)->stats().entries == 0);
}

TEST_CASE("a process that is killed at any moment loses nothing that was done, and nothing is taken twice")
{
    std::mt19937 random{1};
    for (std::string const task : {"load", "load-unsynced"})
    {
        CAPTURE(task);
        test::temporary_directory const directory;
        auto const path = directory / "storage";
        account known;
        for (int life = 0; life < 4; ++life)
        {
            auto const prefix = std::to_string(life);
            test::child loaded{peer(task, path, prefix)};
            auto const last = (task == "load" ? 4 : 40) + random() % (task == "load" ? 10 : 100);
            loaded.read_until("put " + prefix + "-7-" + std::to_string(last) + ".");
            loaded.signal(SIGKILL);
            CHECK(loaded.wait() == 128 + SIGKILL);
            known.read(loaded.output());

            check_integrity(path);
            auto const storage = open(path);
            std::size_t lost = 0;
            std::size_t twice = 0;
            for (auto const& name : known.put)
            {
                auto const value = completed(storage->get(name));
                if (!known.taking.contains(name))
                    lost += value && *value == secret(test::value_of(name)) ? 0 : 1;
                else if (known.taken.contains(name))
                    twice += value ? 1 : 0;
            }
            CHECK(known.put.size() > 50);
            CHECK(lost == 0);
            CHECK(twice == 0);
        }
    }
}

TEST_CASE("a map that another process has enlarged is taken over")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    auto const small = open(path, 1 << 20);
    completed(small->put("a", secret("one"), later()));
    CHECK(test::child{peer("enlarge", path)}.wait() == 0);
    CHECK(completed(small->get("large199")).has_value());  // reads
    CHECK(completed(small->take("large198")).has_value()); // writes
    CHECK(small->more_stats().failed == 0);
}

TEST_CASE("a reader that never ends fills the map; when it has been killed, writing goes on")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    auto const storage = open(path, 1 << 20);
    completed(storage->put("a", secret("one"), later()));
    test::child reader{peer("hold", path)};
    reader.read_until("held");
    error_code failure;
    for (int i = 0; i < 2000 && !failure; ++i)
        try
        {
            completed(storage->put("name" + std::to_string(i), secret(std::string(8000, 'x')), later()));
        }
        catch (system_error const& e)
        {
            failure = e.code();
            CHECK(std::string{e.what()}.find(path) != std::string::npos);
        }
    CHECK(failure.value() == MDB_MAP_FULL);
    CHECK(failure == storage_condition::unchanged);
    CHECK(storage->more_stats().failed > 0);
    (void)completed(storage->get("a")); // whatever is left can be read

    reader.signal(SIGKILL);
    CHECK(reader.wait() == 128 + SIGKILL);
    completed(storage->put("b", secret("two"), later()));
    CHECK(completed(storage->get("b")) == secret("two"));
}

TEST_CASE("where the disk is full an operation fails, what was there can be read, and later it works again")
{
    test::temporary_directory const directory;
    test::child filled{peer("fill-disk", directory / "storage")};
    CHECK(filled.wait() == 0);
    auto const& said = filled.output();
    CHECK_MESSAGE(said.find("full\n") == 0, said);
    CHECK(said.find(directory / "storage") != std::string::npos);
    CHECK(said.find("still readable\n") != std::string::npos);
    CHECK(said.find("failed 0") == std::string::npos);
    CHECK(said.find("works again\n") != std::string::npos);
}

TEST_CASE("who may not use the directory is told so")
{
    test::temporary_directory const directory;
    open(directory / "storage");
    if (::geteuid() != 0)
        std::filesystem::permissions(directory / "storage", std::filesystem::perms::none);
    test::child nobody{peer("open-as-nobody", directory / "storage")};
    CHECK(nobody.wait() == 0);
    CHECK_MESSAGE(nobody.output().find("permission denied\n") == 0, nobody.output());
    CHECK(nobody.output().find(directory / "storage") != std::string::npos);
}

#ifndef REPRISE_TEST_NO_FORK
TEST_CASE("a child that is forked off later works with the same files, and so does its own child")
{
    test::temporary_directory const directory;
    auto const path = directory / "db";
    auto const storage = open(path);
    completed(storage->put("of the parent", secret("1"), later()));
    auto const has = [&](char const* name, char const* value)
    {
        auto const found = completed(storage->get(name));
        return found && *found == secret(value);
    };
    int const status = test::in_child(
        [&]
        {
            bool const begins_at_zero = storage->more_stats().batches == 0;
            if (!begins_at_zero || !has("of the parent", "1"))
                return 1;
            completed(storage->put("of the child", secret("2"), later()));
            int const grandchild = test::in_child(
                [&]
                {
                    if (!has("of the child", "2"))
                        return 1;
                    completed(storage->put("of the grandchild", secret("3"), later()));
                    return completed(storage->take("of the parent")) ? 0 : 2;
                });
            return grandchild == 0 && has("of the grandchild", "3") ? 0 : 10 + grandchild;
        });
    CHECK(status == 0);
    CHECK(has("of the child", "2"));
    CHECK(has("of the grandchild", "3"));
    CHECK_FALSE(has("of the parent", "1"));
}

TEST_CASE("a child lets a storage go that it did not use, and the parent uses it on")
{
    test::temporary_directory const directory;
    auto storage = open(directory / "db");
    completed(storage->put("a", secret("1"), later()));
    CHECK(test::in_child(
              [&]
              {
                  storage.reset();
                  return 0;
              }) == 0);
    CHECK(completed(storage->take("a")).has_value());
}

TEST_CASE("where a child cannot open the files each operation says why, until it can")
{
    test::temporary_directory const directory;
    auto const path = directory / "db";
    auto const storage = open(path);
    completed(storage->put("a", secret("1"), later()));
    int const status = test::in_child(
        [&]
        {
            std::filesystem::rename(path + "/data.mdb", path + "/elsewhere");
            std::filesystem::create_directory(path + "/data.mdb");
            int failed = 0;
            for (int i = 0; i < 2; ++i)
                try
                {
                    (void)completed(storage->get("a"));
                }
                catch (system_error const&)
                {
                    ++failed;
                }
            std::filesystem::remove(path + "/data.mdb");
            std::filesystem::rename(path + "/elsewhere", path + "/data.mdb");
            return failed == 2 && completed(storage->get("a")) ? 0 : failed + 1;
        });
    CHECK(status == 0);
}

TEST_CASE("all processes that have the files open at once are in one incarnation, and see all evictions")
{
    test::temporary_directory const directory;
    auto const path = directory / "db";
    auto storage = open(path, 1 << 20);
    auto const first = completed(storage->epoch());
    CHECK(first.incarnation.size() == 32);
    CHECK(first.evicted == 0);
    int const status = test::in_child(
        [&]
        {
            auto const other = open(path, 1 << 20);
            if (completed(other->epoch()) != first)
                return 1;
            for (int i = 0; i < 40; ++i)
                completed(other->put(std::to_string(i), secret(std::string(60'000, 'x')), later()));
            auto const full = completed(other->epoch());
            return full.incarnation == first.incarnation && full.evicted > 0u ? 0 : 2;
        });
    CHECK(status == 0);
    auto const struck = completed(storage->put_if_absent_with_epoch("a", secret("1"), later()));
    CHECK(struck.value);
    CHECK(struck.epoch.incarnation == first.incarnation);
    CHECK(struck.epoch.evicted > 0u);
    CHECK(completed(storage->epoch()) == struck.epoch);
    auto const taken = completed(storage->take_with_epoch("a"));
    CHECK(taken.value == secret("1"));
    CHECK(taken.epoch == struck.epoch);

    storage.reset();
    storage = open(path, 1 << 20);
    auto const second = completed(storage->epoch());
    CHECK(second.incarnation.size() == 32);
    CHECK(second.incarnation != first.incarnation); // the files may be others meanwhile
    CHECK(second.evicted == struck.epoch.evicted);
}

TEST_CASE("a process that is killed holds no incarnation")
{
    test::temporary_directory const directory;
    auto const path = directory / "db";
    auto const first = completed(open(path)->epoch());
    CHECK(test::in_child(
              [&]
              {
                  auto const other = open(path);
                  return ::raise(SIGKILL);
              }) == 99);
    CHECK(completed(open(path)->epoch()).incarnation != first.incarnation);
}
#endif

TEST_CASE("where the incarnation cannot be kept, the epoch is unknown and all else works")
{
    test::temporary_directory const directory;
    auto const path = directory / "db";
    (void)open(path);
    int const fd = ::open((path + "/incarnation").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE(::flock(fd, LOCK_SH) == 0); // as a process whose disk was full does
    REQUIRE(::ftruncate(fd, 0) == 0);
    auto const storage = open(path);
    auto const struck = completed(storage->put_if_absent_with_epoch("a", secret("1"), later()));
    CHECK(struck.value);
    CHECK(struck.epoch.incarnation.empty());
    CHECK_THROWS_WITH_AS((void)completed(storage->epoch()), doctest::Contains("incarnation"), system_error);
    ::close(fd);
}

TEST_SUITE_END();
