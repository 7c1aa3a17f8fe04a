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

/// Options for where a client stores its sessions.
struct store_options
{
    std::string store = "memory";
    std::optional<std::string> key;
    std::optional<std::string> export_to;
    std::optional<std::string> import_from;
};

void declare(CLI::App& app, store_options& options);

/// Make the store that the options name.
/// @param max_tickets Number of tickets that a store in memory keeps for one peer. A store on disk keeps 16.
/// @throws std::runtime_error that names the wrong option.
[[nodiscard]] std::shared_ptr<reprise::session_store> make_store(store_options const& options, std::size_t max_tickets,
                                                                 boost::asio::any_io_executor const& executor);

/// `--import`: import the sessions, and report the result on standard error. An unusable file costs only full
/// handshakes. @throws std::runtime_error that names the option, if the key is wrong.
[[nodiscard]] boost::asio::awaitable<void> import_sessions(store_options const& options, reprise::session_store& store);

/// `--export`: export the sessions, and report their number on standard error.
/// @throws std::runtime_error that names the option.
[[nodiscard]] boost::asio::awaitable<void> export_sessions(store_options const& options, reprise::session_store& store);

} // namespace example
