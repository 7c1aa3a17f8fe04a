// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client/session_store.hpp>

#include <boost/asio/io_context.hpp>

#include <CLI/CLI.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace example {

/// Where a client keeps its sessions, and what becomes of them in the next process.
struct store_options
{
    std::string store = "memory";
    std::string key_file;
    std::string import_from;
    std::string export_to;
};

void declare(CLI::App& app, store_options& options);

/// @param tickets How many TLS 1.3 tickets of one peer to keep at least. Storages work on `io`.
[[nodiscard]] std::shared_ptr<reprise::session_store> make_store(store_options const& options,
                                                                 boost::asio::io_context& io, std::size_t tickets);

/// Import what `--import` names, before the first connection, and say what came of it.
void import_sessions(store_options const& options, boost::asio::io_context& io, reprise::session_store& store);

/// Export to what `--export` names, after the last one.
void export_sessions(store_options const& options, boost::asio::io_context& io, reprise::session_store& store);

} // namespace example
