// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Options, directories and files that an lmdb_storage cannot use.
#include "support/child.hpp"
#include "support/lmdb.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/lmdb_error.hpp>
#include <reprise/storage/lmdb_storage.hpp>

#include <lmdb.h>

#include <doctest/doctest.h>

#include <filesystem>

#include <sys/stat.h>

using namespace reprise;
using namespace std::chrono_literals;
using test::completed;
using test::secret;

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("lmdb_storage, bad input");

namespace {

lmdb_storage_options at(std::string const& path)
{
    lmdb_storage_options options;
    options.path = path;
    options.max_bytes = 4 << 20;
    options.durability = lmdb_durability::unsynced;
    return options;
}

auto later()
{
    return std::chrono::system_clock::now() + 1h;
}

// The error of make(), whose text has to name something.
error_code refusal(lmdb_storage_options options, std::string const& naming)
{
    try
    {
        (void)lmdb_storage::make(std::move(options));
    }
    catch (system_error const& e)
    {
        std::string const text = e.what();
        CHECK_MESSAGE(text.find(naming) != std::string::npos, text);
        return e.code();
    }
    return {};
}

// One that the storage accepts, whatever the umask.
std::string private_directory(std::string path)
{
    fs::create_directory(path);
    fs::permissions(path, fs::perms::owner_all);
    return path;
}

/// The file by LMDB itself.
class raw_file
{
public:
    explicit raw_file(std::string const& path)
    {
        REQUIRE(::mdb_env_create(&env_) == 0);
        REQUIRE(::mdb_env_set_maxdbs(env_, 4) == 0);
        REQUIRE(::mdb_env_open(env_, path.c_str(), 0, 0600) == 0);
        REQUIRE(::mdb_txn_begin(env_, nullptr, 0, &txn_) == 0);
    }
    raw_file(raw_file const&) = delete;
    raw_file& operator=(raw_file const&) = delete;
    ~raw_file()
    {
        CHECK(::mdb_txn_commit(txn_) == 0);
        ::mdb_env_close(env_);
    }

    void put(char const* database, std::string key, std::string value)
    {
        MDB_dbi dbi = 0;
        REQUIRE(::mdb_dbi_open(txn_, database, database ? MDB_CREATE : 0u, &dbi) == 0);
        MDB_val k{key.size(), key.data()};
        MDB_val v{value.size(), value.data()};
        REQUIRE(::mdb_put(txn_, dbi, &k, &v, 0) == 0);
    }

private:
    MDB_env* env_ = nullptr;
    MDB_txn* txn_ = nullptr;
};

} // namespace

TEST_CASE("an option out of bounds is refused and named")
{
    test::temporary_directory const directory;
    auto const with = [&](auto change)
    {
        auto options = at(directory / "storage");
        change(options);
        return options;
    };
    auto const refused = [&](auto change, std::string const& naming)
    { return refusal(with(change), naming) == errc::bad_option; };
    CHECK(refused([](auto& o) { o.path = ""; }, "path"));
    CHECK(refused([](auto& o) { o.max_bytes = (1 << 20) - 1; }, "max_bytes"));
    CHECK(refused([](auto& o) { o.max_bytes = (std::uint64_t{1} << 40) + 1; }, "max_bytes"));
    CHECK(refused([](auto& o) { o.durability = lmdb_durability{7}; }, "durability"));
    CHECK(refused([](auto& o) { o.max_queued_bytes = 4095; }, "max_queued_bytes"));
    CHECK(refused([](auto& o) { o.max_batch = 0; }, "max_batch"));
    CHECK(refused([](auto& o) { o.max_batch = 4097; }, "max_batch"));
    CHECK(refused([](auto& o) { o.read_threads = 0; }, "read_threads"));
    CHECK(refused([](auto& o) { o.read_threads = 17; }, "read_threads"));
    CHECK(refused([](auto& o) { o.now = nullptr; }, "now"));
    CHECK_FALSE(refusal(with([](auto& o) { o.max_bytes = 1 << 20; }), ""));
}

TEST_CASE("a directory whose parent is missing, or that is none, is refused")
{
    test::temporary_directory const directory;
    CHECK(refusal(at(directory / "missing/storage"), directory / "missing/storage") ==
          boost::system::errc::no_such_file_or_directory);
    auto const file = directory.write("file", "not a directory");
    CHECK(refusal(at(file), file) == lmdb_errc::not_a_directory);
}

TEST_CASE("what it makes is for its owner alone, whatever the umask")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    auto const before = ::umask(0);
    (void)lmdb_storage::make(at(path));
    ::umask(before);
    CHECK(fs::status(path).permissions() == fs::perms::owner_all);
    for (auto const* const file : {"/data.mdb", "/lock.mdb"})
        CHECK(fs::status(path + file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("files that others may read, and a directory that others may write to, are refused")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    (void)lmdb_storage::make(at(path));
    for (auto const* const file : {"/data.mdb", "/lock.mdb"})
    {
        fs::permissions(path + file, fs::perms::group_read, fs::perm_options::add);
        CHECK(refusal(at(path), path + file) == lmdb_errc::not_private);
        fs::permissions(path + file, fs::perms::group_read, fs::perm_options::remove);
    }
    fs::permissions(path, fs::perms::others_write, fs::perm_options::add);
    CHECK(refusal(at(path), path) == lmdb_errc::not_private);
    fs::permissions(path, fs::perms::others_write, fs::perm_options::remove);
    CHECK_FALSE(refusal(at(path), ""));

    fs::rename(path + "/data.mdb", directory / "elsewhere");
    fs::create_symlink(directory / "elsewhere", path + "/data.mdb");
    CHECK(refusal(at(path), "data.mdb (not a regular file: remove it)") == lmdb_errc::not_private);
}

TEST_CASE("a file that is not LMDB's is refused, and left alone")
{
    test::temporary_directory const directory;
    for (std::string const& text : {std::string{"short"}, std::string(100'000, 'x')})
    {
        auto const path = private_directory(directory / ("storage" + std::to_string(text.size())));
        directory.write("storage" + std::to_string(text.size()) + "/data.mdb", text);
        fs::permissions(path + "/data.mdb", fs::perms::owner_read | fs::perms::owner_write);
        CHECK(refusal(at(path), path) == error_code{MDB_INVALID, lmdb_category()});
        CHECK(fs::file_size(path + "/data.mdb") == text.size());
    }
}

TEST_CASE("an LMDB file of somebody else's is refused")
{
    test::temporary_directory const directory;
    auto const path = private_directory(directory / "storage");
    raw_file{path}.put("addresses", "somebody", "somewhere");
    CHECK(refusal(at(path), path) == lmdb_errc::foreign_file);
}

TEST_CASE("a file of another format is refused")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    (void)lmdb_storage::make(at(path));
    raw_file{path}.put(nullptr, "reprise storage format", "2");
    CHECK(refusal(at(path), path) == lmdb_errc::unknown_format);
}

TEST_CASE("a directory that this process has open is refused, by another name too, until it is closed")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    auto first = lmdb_storage::make(at(path));
    CHECK(refusal(at(path), path) == lmdb_errc::already_open);
    fs::create_directory_symlink(path, directory / "link");
    CHECK(refusal(at(directory / "link"), directory / "link") == lmdb_errc::already_open);
    completed(first->put("a", secret("one"), later())); // and is not harmed by that
    first.reset();
    CHECK(completed(lmdb_storage::make(at(path))->get("a")) == secret("one"));
}

TEST_CASE("a file that was cut short fails operations, not the process")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    {
        auto const storage = lmdb_storage::make(at(path));
        for (int i = 0; i < 200; ++i)
            completed(storage->put("name" + std::to_string(i), secret(std::string(3000, 'x')), later()));
    }
    fs::resize_file(path + "/data.mdb", 64 << 10);
    std::size_t failed = 0;
    error_code code;
    try
    {
        auto const storage = lmdb_storage::make(at(path));
        for (int i = 0; i < 200; ++i)
            try
            {
                (void)completed(storage->get("name" + std::to_string(i)));
            }
            catch (system_error const& e)
            {
                ++failed;
                code = e.code();
            }
    }
    catch (system_error const& e) // or it cannot even be opened
    {
        ++failed;
        code = e.code();
    }
    CHECK(failed > 0);
    CHECK(code.category() == lmdb_category());
}

TEST_CASE("a record that makes no sense is a miss, and is replaced")
{
    test::temporary_directory const directory;
    auto const path = directory / "storage";
    using namespace std::string_literals;
    {
        auto const storage = lmdb_storage::make(at(path));
        for (auto const* const name : {"a", "b", "c", "d"})
            completed(storage->put(name, secret("one"), later()));
    }
    {
        raw_file raw{path};
        raw.put("entries", "\0a"s, "\x02" + std::string(40, '\xff')); // another version, and far from expiry
        raw.put("entries", "\0b"s, "\x01short");
        raw.put("entries", "\0c"s, "");
        raw.put("expiry", "x", "y"); // leads nowhere, and has long expired
        raw.put("expiry", std::string(16, '\0'), std::string(300, 'n'));
    }
    auto const storage = lmdb_storage::make(at(path));
    CHECK_FALSE(completed(storage->get("a")));
    CHECK_FALSE(completed(storage->take("b")));
    CHECK(completed(storage->put_if_absent("c", secret("two"), later())));
    CHECK(completed(storage->get("c")) == secret("two"));
    CHECK(completed(storage->get("d")) == secret("one"));
    CHECK(storage->more_stats().unreadable > 0);
    CHECK(storage->more_stats().failed == 0);
}

TEST_CASE("errors say what they are and what to do")
{
    CHECK(std::string{lmdb_category().name()} == "reprise.lmdb");
    for (int value = 1; value <= 7; ++value)
        CHECK(lmdb_category().message(value).find("unknown") == std::string::npos);
    CHECK(lmdb_category().message(MDB_MAP_FULL).find("max_bytes") != std::string::npos);
    CHECK(lmdb_category().message(99).find("unknown") == 0);
}

TEST_SUITE_END();
