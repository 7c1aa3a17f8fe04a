// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/store_options.hpp"

#include "common/secret_file.hpp"

#include <reprise/error.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/persistent_session_store.hpp>
#include <reprise/session_file.hpp>
#include <reprise/storage/make_storage.hpp>

#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string_view>

namespace example {

namespace asio = boost::asio;

namespace {

constexpr std::string_view lmdb = "lmdb:";
constexpr std::size_t most_tickets = 16;

[[noreturn]] void refuse(std::string const& option, std::exception const& e)
{
    throw std::runtime_error{option + ": " + e.what()};
}

// The path of the key: --store-key, or else a file beside the store or the session file.
std::string key_path(store_options const& options, std::string place)
{
    while (place.size() > 1 && place.back() == '/')
        place.pop_back();
    return options.key.value_or(place + ".key");
}

void print(std::string const& path, reprise::import_report const& report)
{
    std::cerr << "--import " << path << ": " << report.imported << " sessions, " << report.skipped << " skipped\n";
    for (auto const& entry : report.first_skipped)
        std::cerr << "  entry " << entry.index << " skipped because " << to_string(entry.reason) << '\n';
    if (!report.is_whole)
        std::cerr << "  the file is truncated or damaged; the sessions after that point are lost\n";
}

} // namespace

void declare(CLI::App& app, store_options& options)
{
    app.add_option("--store", options.store, "Store sessions in: memory or lmdb:PATH")->capture_default_str();
    app.add_option("--store-key", options.key,
                   "File with the key that seals sessions on disk, 32 random bytes; made if it does not exist "
                   "[PATH.key, beside the store or file]");
    app.add_option("--export", options.export_to, "At the end, move the sessions to this file, sealed");
    app.add_option("--import", options.import_from,
                   "At the start, move the sessions of this exported file to the store");
}

std::shared_ptr<reprise::session_store> make_store(store_options const& options, std::size_t max_tickets,
                                                   asio::any_io_executor const& executor)
{
    if (options.key && options.store == "memory" && !options.export_to && !options.import_from)
        throw std::runtime_error{"--store-key: needs --store lmdb:PATH, --export or --import"};
    if (options.export_to) // check now, because an error at the end would lose the sessions
    {
        auto const directory = std::filesystem::absolute(*options.export_to).parent_path();
        if (!std::filesystem::is_directory(directory))
            throw std::runtime_error{"--export " + *options.export_to +
                                     ": the directory does not exist; create it first"};
        (void)read_or_make_secret_file("--store-key", key_path(options, *options.export_to));
    }
    if (options.store == "memory")
        return reprise::memory_session_store::make({.max_tickets_per_key = max_tickets});
    if (!options.store.starts_with(lmdb) || options.store.size() == lmdb.size())
        throw std::runtime_error{"--store: expected memory or lmdb:PATH, got '" + options.store + "'"};
    auto key = read_or_make_secret_file("--store-key", key_path(options, options.store.substr(lmdb.size())));
    try
    {
        reprise::persistent_session_store_options result;
        result.storage = reprise::make_storage(options.store);
        result.keys.push_back(std::move(key));
        result.max_tickets_per_key = most_tickets;
        result.executor = executor;
        return reprise::persistent_session_store::make(std::move(result));
    }
    catch (std::exception const& e)
    {
        refuse("--store", e);
    }
}

asio::awaitable<void> import_sessions(store_options const& options, reprise::session_store& store)
{
    if (!options.import_from)
        co_return;
    auto const& path = *options.import_from;
    if (!std::filesystem::exists(path))
    {
        std::cerr << "--import " << path << ": the file does not exist; nothing is imported\n";
        co_return;
    }
    auto const key = read_secret_file("--store-key", key_path(options, path));
    try
    {
        auto const report = co_await reprise::import_sessions(store, path, key);
        print(path, report);
    }
    catch (reprise::system_error const& e)
    {
        if (e.code() == reprise::errc::bad_option)
            refuse("--store-key", e);
        std::cerr << "--import: " << e.what() << "; nothing is imported\n";
    }
}

asio::awaitable<void> export_sessions(store_options const& options, reprise::session_store& store)
{
    if (!options.export_to)
        co_return;
    auto const& path = *options.export_to;
    auto const key = read_secret_file("--store-key", key_path(options, path));
    try
    {
        auto const count = co_await reprise::export_sessions(store, path, key);
        std::cerr << "--export " << path << ": " << count << " sessions\n";
    }
    catch (std::exception const& e)
    {
        refuse("--export", e);
    }
}

} // namespace example
