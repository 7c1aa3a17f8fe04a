// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/ticket_keys.hpp>

#include <boost/asio/io_context.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <optional>
#include <ostream>
#include <string>

namespace example {

/// The options that say with which keys tickets are sealed.
struct ticket_options
{
    std::optional<std::string> tickets; // on, or off
    std::optional<std::string> keys;
    std::optional<std::string> fleet_secret;
    std::optional<unsigned> rotate;
};

void declare(CLI::App& app, ticket_options& options);

/// @throws std::runtime_error, naming the option that is wrong; what `make_storage` throws.
[[nodiscard]] reprise::ticket_keys make_ticket_keys(ticket_options const& options);

/// For servers that change keys so often: ask and allow for wrong clocks as seldom and as much as that permits, but not
/// beyond a minute. The secret is still to be added.
[[nodiscard]] reprise::shared_keys_options shared_timing(std::chrono::seconds every);

/** Get the keys before the first connection, on an io_context that nobody runs yet.

    A storage that cannot be reached is worth a warning: its keys come later, and until then handshakes run without tickets.
    @throws std::runtime_error, naming the option, if files are wrong.
*/
void fetch_ticket_keys(boost::asio::io_context& io, reprise::session_cache cache, ticket_options const& options);

/// Whether a session_cache cannot be made because of its ticket keys.
[[nodiscard]] bool is_about_ticket_keys(reprise::system_error const& e);

/// For the summary.
void print_tickets(std::ostream& out, reprise::session_cache const& cache);

} // namespace example
