// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/store_options.hpp"

#include <reprise/base/aead.hpp>
#include <reprise/client/memory_session_store.hpp>
#include <reprise/client/persistent_session_store.hpp>
#include <reprise/client/session_file.hpp>
#include <reprise/storage/make_storage.hpp>

#include <boost/asio/co_spawn.hpp>

#include <openssl/rand.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace example {

namespace {

namespace asio = boost::asio;

[[noreturn]] void fail(std::string const& what)
{
    throw std::runtime_error{what};
}

class file
{
public:
    file(std::string const& path, int flags) : fd(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
    file(file const&) = delete;
    file& operator=(file const&) = delete;
    ~file()
    {
        if (fd >= 0)
            ::close(fd);
    }

    int const fd;
};

reprise::secret_bytes make_key(std::string const& path)
{
    reprise::secret_bytes key(reprise::secret_key_size);
    if (::RAND_bytes(key.data(), static_cast<int>(key.size())) != 1)
        fail("OpenSSL has no random bytes");
    file const made{path, O_WRONLY | O_CREAT | O_EXCL};
    if (made.fd < 0 || ::write(made.fd, key.data(), key.size()) != static_cast<ssize_t>(key.size()))
        fail("--store-key: cannot write " + path + ": " + std::system_category().message(errno));
    return key;
}

// Of 32 random bytes, for its owner alone; one that is not there is made, if it may be.
reprise::secret_bytes read_key(std::string const& path, bool may_make)
{
    file const there{path, O_RDONLY};
    if (there.fd < 0 && errno == ENOENT && may_make)
        return make_key(path);
    if (there.fd < 0)
        fail("--store-key: cannot read " + path + ": " + std::system_category().message(errno));
    struct ::stat s{};
    reprise::secret_bytes key(reprise::secret_key_size);
    if (::fstat(there.fd, &s) != 0 || (s.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        fail("--store-key: " + path + " is a secret; others must not have access to it (chmod 600)");
    if (s.st_size != static_cast<off_t>(key.size()) ||
        ::read(there.fd, key.data(), key.size()) != static_cast<ssize_t>(key.size()))
        fail("--store-key: " + path + " is not a key of 32 bytes");
    return key;
}

std::string key_file(store_options const& o, std::string const& beside)
{
    return o.key_file.empty() ? beside + ".key" : o.key_file;
}

void run(asio::io_context& io, asio::awaitable<void> what)
{
    std::exception_ptr failure;
    io.restart();
    asio::co_spawn(io, std::move(what), [&](std::exception_ptr e) { failure = e; });
    io.run();
    io.restart();
    if (failure)
        std::rethrow_exception(failure);
}

asio::awaitable<void> do_import(store_options const& o, reprise::session_store& store)
{
    auto const report =
        co_await reprise::import_sessions(store, o.import_from, read_key(key_file(o, o.import_from), false));
    std::cerr << "imported " << report.imported << " sessions, skipped " << report.skipped << '\n';
    for (auto const& skipped : report.first_skipped)
        std::cerr << "  entry " << skipped.index << ": " << to_string(skipped.reason) << '\n';
    if (!report.is_whole)
        std::cerr << "  the file was cut or damaged\n";
}

asio::awaitable<void> do_export(store_options const& o, reprise::session_store& store)
{
    auto const count = co_await reprise::export_sessions(store, o.export_to, read_key(key_file(o, o.export_to), true));
    std::cerr << "exported " << count << " sessions\n";
}

} // namespace

void declare(CLI::App& app, store_options& o)
{
    app.add_option("--store", o.store, "Where sessions are kept: memory, lmdb:PATH or redis:URL")
        ->capture_default_str();
    app.add_option("--store-key", o.key_file,
                   "File of 32 random bytes that seals what leaves the process; made when absent. "
                   "PATH.key, or FILE.key of --export and --import, when not given");
    app.add_option("--import", o.import_from, "Begin with the sessions of this file, and remove it");
    app.add_option("--export", o.export_to, "Leave the sessions to the next process, in this file");
}

std::shared_ptr<reprise::session_store> make_store(store_options const& o, asio::io_context& io, std::size_t tickets)
{
    if (o.store == "memory")
        return reprise::memory_session_store::make({.max_tickets_per_key = std::max<std::size_t>(8, tickets)});
    constexpr std::string_view lmdb = "lmdb:";
    if (!o.store.starts_with(lmdb) && o.key_file.empty())
        fail("--store " + o.store + ": give the key that seals the sessions, with --store-key");
    reprise::persistent_session_store_options options;
    try
    {
        options.storage = reprise::make_storage(o.store);
    }
    catch (boost::system::system_error const& e)
    {
        fail("--store " + o.store + ": " + e.what());
    }
    auto const beside = o.store.starts_with(lmdb) ? o.store.substr(lmdb.size()) : std::string{};
    options.keys.push_back(read_key(key_file(o, beside), true));
    options.max_tickets_per_key = std::clamp<std::size_t>(tickets, 4, 16);
    options.executor = io.get_executor();
    return reprise::persistent_session_store::make(std::move(options));
}

void import_sessions(store_options const& o, asio::io_context& io, reprise::session_store& store)
try
{
    if (!o.import_from.empty())
        run(io, do_import(o, store));
}
catch (boost::system::system_error const& e)
{
    fail(std::string{"--import: "} + e.what());
}

void export_sessions(store_options const& o, asio::io_context& io, reprise::session_store& store)
try
{
    if (!o.export_to.empty())
        run(io, do_export(o, store));
}
catch (boost::system::system_error const& e)
{
    fail(std::string{"--export: "} + e.what());
}

} // namespace example
