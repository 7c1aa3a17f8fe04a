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

/// Options for the keys that seal tickets.
struct ticket_options
{
    std::optional<std::string> tickets; // on or off
    std::optional<std::string> keys;
    std::optional<std::string> fleet_secret;
    std::optional<unsigned> rotate;
};

void declare(CLI::App& app, ticket_options& options);

/// Make the source of ticket keys.
/// @throws std::runtime_error that names the wrong option; exceptions of `make_storage`.
[[nodiscard]] reprise::ticket_keys make_ticket_keys(ticket_options const& options);

/// Timing of shared keys for a rotation period. `refresh_every` and `max_clock_skew` are an eighth of the period, at
/// most 60 s. The caller sets `fleet_secret`.
[[nodiscard]] reprise::shared_keys_options shared_timing(std::chrono::seconds every);

/** Fetch the keys before the first connection, on an io_context that no thread runs yet.

    Prints a warning if the storage of a fleet cannot be reached: handshakes run without tickets until keys arrive.
    @throws std::runtime_error that names the option, if a key file is wrong.
*/
void fetch_ticket_keys(boost::asio::io_context& io, reprise::session_cache cache, ticket_options const& options);

/// Whether the constructor of session_cache failed because of the ticket keys.
[[nodiscard]] bool is_about_ticket_keys(reprise::system_error const& e);

/// Print the ticket counters of the summary.
void print_tickets(std::ostream& out, reprise::session_cache const& cache);

} // namespace example
