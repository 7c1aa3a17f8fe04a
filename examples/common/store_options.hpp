// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/session_store.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <CLI/CLI.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace example {

/// The options that say where a client keeps its sessions.
struct store_options
{
    std::string store = "memory";
    std::optional<std::string> key;
    std::optional<std::string> export_to;
    std::optional<std::string> import_from;
};

void declare(CLI::App& app, store_options& options);

/// @param max_tickets To be kept for one peer, at least; a store on disk has at most 16.
/// @throws std::runtime_error, naming the option that is wrong.
[[nodiscard]] std::shared_ptr<reprise::session_store> make_store(store_options const& options, std::size_t max_tickets,
                                                                 boost::asio::any_io_executor const& executor);

/// `--import`: says on standard error what came of it. A file that is of no use costs full handshakes, no more.
/// @throws std::runtime_error, naming the option, if the key is wrong.
[[nodiscard]] boost::asio::awaitable<void> import_sessions(store_options const& options, reprise::session_store& store);

/// `--export`: says on standard error how many there were. @throws std::runtime_error, naming the option.
[[nodiscard]] boost::asio::awaitable<void> export_sessions(store_options const& options, reprise::session_store& store);

} // namespace example
