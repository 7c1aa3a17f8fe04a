// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Another process for the tests of lmdb_storage and of stores upon it. Usage: reprise_lmdb_peer TASK DIRECTORY
// [ARGUMENT]
#include "support/keys.hpp"
#include "support/lmdb.hpp"
#include "support/session_scopes.hpp"

#include <reprise/detail/base/aead.hpp>
#include <reprise/error.hpp>
#include <reprise/persistent_session_store.hpp>
#include <reprise/storage/lmdb_storage.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <lmdb.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using namespace reprise;
using namespace std::chrono_literals;
using test::completed;
using test::secret;

std::shared_ptr<lmdb_storage> open(std::string const& path, lmdb_durability durability,
                                   std::uint64_t max_bytes = 64 << 20)
{
    lmdb_storage_options options;
    options.path = path;
    options.max_bytes = max_bytes;
    options.durability = durability;
    return lmdb_storage::make(std::move(options));
}

void say(std::string const& line)
{
    auto const text = line + "\n";
    if (::write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        std::_Exit(3);
}

void rethrow(std::exception_ptr e)
{
    if (e)
        std::rethrow_exception(e);
}

auto later()
{
    return std::chrono::system_clock::now() + 1h;
}

// Take name0 to name999 and say which were there.
asio::awaitable<void> take_all(storage& s, int first, int step)
{
    for (int i = first; i < 1000; i += step)
    {
        auto const name = "name" + std::to_string(i);
        auto const taken = co_await s.take(name);
        if (taken)
            say("took " + name);
    }
}

void take(std::string const& path)
{
    auto const storage = open(path, lmdb_durability::unsynced);
    asio::io_context io;
    for (int i = 0; i < 16; ++i)
        asio::co_spawn(io, take_all(*storage, i, 16), rethrow);
    io.run();
}

// Puts and takes until it is killed; says what it has begun and what it was told is done.
asio::awaitable<void> load_one(storage& s, std::string worker)
{
    for (int i = 0;; ++i)
    {
        auto const name = worker + "-" + std::to_string(i);
        co_await s.put(name, secret(test::value_of(name)), later());
        say("put " + name + ".");
        if (i % 2 == 1)
            continue;
        say("taking " + name + ".");
        auto const taken = co_await s.take(name);
        if (!taken)
            throw std::logic_error{name + " was not there"};
        say("taken " + name + ".");
    }
}

void load(std::string const& path, std::string const& prefix, lmdb_durability durability)
{
    auto const storage = open(path, durability);
    asio::io_context io;
    for (int i = 0; i < 16; ++i)
        asio::co_spawn(io, load_one(*storage, prefix + "-" + std::to_string(i)), rethrow);
    io.run();
}

// Put until the file may not grow any more, then go on with a higher limit.
void fill_disk(std::string const& path)
{
    auto const storage = open(path, lmdb_durability::unsynced);
    completed(storage->put("before", secret("1"), later()));
    struct stat file = {};
    ::stat((path + "/data.mdb").c_str(), &file);
    rlimit limit = {};
    ::getrlimit(RLIMIT_FSIZE, &limit);
    auto const unlimited = limit.rlim_cur;
    limit.rlim_cur = static_cast<rlim_t>(file.st_size) + (64u << 10);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try
    {
        for (int i = 0; i < 1000; ++i)
            completed(storage->put("name" + std::to_string(i), secret(std::string(2000, 'x')), later()));
        say("never full");
    }
    catch (system_error const& e)
    {
        say(e.code() == boost::system::errc::file_too_large ? "full" : e.what());
        say(e.what());
    }
    say(completed(storage->get("before")) ? "still readable" : "lost");
    say("failed " + std::to_string(storage->more_stats().failed));
    limit.rlim_cur = unlimited;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    completed(storage->put("after", secret("1"), later()));
    say("works again");
}

// Open it as somebody who may not.
void open_as_nobody(std::string const& path)
{
    constexpr uid_t nobody = 65534;
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0))
        throw std::runtime_error{"setuid"};
    try
    {
        (void)open(path, lmdb_durability::synced);
        say("opened");
    }
    catch (system_error const& e)
    {
        say(e.code() == boost::system::errc::permission_denied ? "permission denied" : "another error");
        say(e.what());
    }
}

// Read, and never end.
void hold(std::string const& path)
{
    MDB_env* env = nullptr;
    MDB_txn* txn = nullptr;
    if (::mdb_env_create(&env) != 0 || ::mdb_env_set_maxdbs(env, 2) != 0 ||
        ::mdb_env_open(env, path.c_str(), 0, 0600) != 0 || ::mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) != 0)
        throw std::runtime_error{"cannot read"};
    say("held");
    ::alarm(60);
    ::pause();
}

// Enlarge the map beyond what others have.
void enlarge(std::string const& path)
{
    auto const storage = open(path, lmdb_durability::unsynced, 64 << 20);
    for (int i = 0; i < 200; ++i)
        completed(storage->put("large" + std::to_string(i), secret(std::string(100'000, 'x')), later()));
}

// Take the sessions of h0 to h49 and say which they were: by a hash, for they are secrets.
asio::awaitable<void> take_of(session_store& store, std::string host)
{
    detail::keyed_hash const hash{test::key_of(3)};
    for (;;)
    {
        auto const got = co_await store.take(test::key_of_host(host));
        if (!got.ticket)
            co_return;
        std::string line = "took " + host + "-";
        for (auto const byte : hash(got.ticket->serialize()))
            line += "0123456789abcdef"[byte % 16];
        say(line);
    }
}

void take_sessions(std::string const& path)
{
    asio::io_context io;
    persistent_session_store_options options;
    options.storage = open(path, lmdb_durability::unsynced);
    options.keys = {test::key_of(1)};
    options.executor = io.get_executor();
    auto const store = persistent_session_store::make(std::move(options));
    for (int i = 0; i < 50; ++i)
        asio::co_spawn(io, take_of(*store, "h" + std::to_string(i)), rethrow);
    io.run();
}

int run(std::string const& task, std::string const& path, std::string const& argument)
{
    if (task == "take")
        take(path);
    else if (task == "load")
        load(path, argument, lmdb_durability::synced);
    else if (task == "load-unsynced")
        load(path, argument, lmdb_durability::unsynced);
    else if (task == "fill-disk")
        fill_disk(path);
    else if (task == "open-as-nobody")
        open_as_nobody(path);
    else if (task == "hold")
        hold(path);
    else if (task == "enlarge")
        enlarge(path);
    else if (task == "take-sessions")
        take_sessions(path);
    else
        return 2;
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc < 3)
        return 2;
    try
    {
        return run(argv[1], argv[2], argc > 3 ? argv[3] : "");
    }
    catch (std::exception const& e)
    {
        say(e.what());
        return 1;
    }
}
