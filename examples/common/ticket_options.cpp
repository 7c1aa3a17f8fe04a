// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/ticket_options.hpp"

#include "common/secret_file.hpp"

#include <reprise/storage/make_storage.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <string_view>

namespace example {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr unsigned default_rotate = 43200;
constexpr unsigned week = 7 * 24 * 3600;
constexpr seconds patience{1}; // without the fleet's keys, the first clients get no tickets
constexpr std::string_view files = "files:";

[[noreturn]] void refuse(std::string const& why)
{
    throw std::runtime_error{why};
}

// Whether a line names Redis: `redis:URL`, or a URL that does not need the prefix `redis:`.
bool names_redis(std::string_view line)
{
    return line.starts_with("redis:") || line.starts_with("rediss:") || line.starts_with("unix:") ||
           line.starts_with("redis+unix:");
}

reprise::ticket_keys from_files(std::string_view list)
{
    reprise::file_keys_options result;
    for (auto const& path : CLI::detail::split(std::string{list}, ','))
        result.paths.emplace_back(path);
    return reprise::ticket_keys::from_files(std::move(result));
}

reprise::ticket_keys shared(std::string const& line, std::string const& secret, seconds every)
{
    auto options = shared_timing(every);
    options.fleet_secret = read_secret_file("--fleet-secret", secret);
    try
    {
        return reprise::ticket_keys::shared(reprise::make_storage(line), std::move(options));
    }
    catch (std::exception const& e)
    {
        refuse(std::string{"--ticket-keys: "} + e.what());
    }
}

// Retry until there is an answer, or the limit is over. Always tries once.
asio::awaitable<void> fetch(reprise::session_cache cache, milliseconds limit)
{
    auto const until = std::chrono::steady_clock::now() + limit;
    asio::steady_timer pause{co_await asio::this_coro::executor};
    for (;;)
    {
        try
        {
            co_return co_await cache.refresh_ticket_keys();
        }
        catch (...)
        {
            if (std::chrono::steady_clock::now() >= until)
                throw;
        }
        pause.expires_after(milliseconds{50});
        co_await pause.async_wait(asio::use_awaitable);
    }
}

} // namespace

void declare(CLI::App& app, ticket_options& options)
{
    app.add_option("--tickets", options.tickets,
                   "Seal sessions into tickets [on; with --replay-guard stateful and no --ticket-keys, off]")
        ->check(CLI::IsMember({"on", "off"}));
    app.add_option(
        "--ticket-keys", options.keys,
        "Source of the ticket keys: rotating (made in this process), files:PATH[,PATH...] (in the format of nginx or "
        "HAProxy), or redis:URL (shared by a fleet) [rotating]");
    app.add_option("--ticket-rotate", options.rotate,
                   "Rotation period in seconds, for rotating and redis [" + std::to_string(default_rotate) + "]")
        ->check(CLI::Range(1u, week));
    app.add_option("--fleet-secret", options.fleet_secret,
                   "File with 32 random bytes, the same on all servers, mode 0600; required for redis");
}

reprise::ticket_keys make_ticket_keys(ticket_options const& o)
{
    if (o.tickets == "off")
    {
        if (o.keys || o.rotate || o.fleet_secret)
            refuse("--ticket-keys, --ticket-rotate and --fleet-secret: need --tickets on");
        return false;
    }
    auto const keys = o.keys.value_or("rotating");
    bool const is_fleet = names_redis(keys);
    if (is_fleet != o.fleet_secret.has_value())
        refuse(
            is_fleet
                ? "--ticket-keys redis: needs --fleet-secret FILE, 32 random bytes, the same on all servers; make it "
                  "with: (umask 077; head -c 32 /dev/urandom > FILE)"
                : "--fleet-secret: needs --ticket-keys redis:URL");
    seconds const every{o.rotate.value_or(default_rotate)};
    if (is_fleet)
        return shared(keys, *o.fleet_secret, every);
    if (keys == "rotating")
        return reprise::ticket_keys::rotating({.every = every});
    if (!keys.starts_with(files))
        // The value may hold a password, so the error does not repeat it.
        refuse("--ticket-keys: expected rotating, files:PATH[,PATH...] or redis:URL");
    if (o.rotate)
        refuse("--ticket-rotate: needs --ticket-keys rotating or redis:URL; to rotate files, replace them");
    return from_files(std::string_view{keys}.substr(files.size()));
}

reprise::shared_keys_options shared_timing(seconds every)
{
    reprise::shared_keys_options result;
    auto const short_time = std::min<milliseconds>(seconds{60}, milliseconds{every} / 8);
    result.every = every;
    result.refresh_every = short_time;
    result.max_clock_skew = short_time;
    return result;
}

void fetch_ticket_keys(asio::io_context& io, reprise::session_cache cache, ticket_options const& options)
{
    bool const is_fleet = names_redis(options.keys.value_or(""));
    std::exception_ptr failure;
    asio::co_spawn(io, fetch(std::move(cache), is_fleet ? patience : milliseconds{0}),
                   [&](std::exception_ptr e)
                   {
                       failure = e;
                       io.stop(); // an abandoned fetch may still be pending
                   });
    io.run();
    io.restart();
    if (!failure)
        return;
    try
    {
        std::rethrow_exception(failure);
    }
    catch (std::exception const& e)
    {
        if (!is_fleet)
            refuse(std::string{"--ticket-keys: "} + e.what());
        std::cerr << "warning: --ticket-keys: " << e.what() << "; no tickets are issued until keys arrive" << std::endl;
    }
}

bool is_about_ticket_keys(reprise::system_error const& e)
{
    using reprise::errc;
    return e.code() == errc::weak_ticket_key || e.code() == errc::bad_ticket_keys ||
           e.code() == errc::bad_ticket_key_file ||
           std::string_view{e.what()}.find("_keys_options::") != std::string_view::npos;
}

void print_tickets(std::ostream& out, reprise::session_cache const& cache)
{
    auto const stats = cache.tickets();
    out << "tickets: keys " << stats.keys << ", issued " << stats.issued << ", opened " << stats.opened << ", unknown "
        << stats.unknown << ", without issuer " << stats.without_issuer << ", steps " << stats.steps
        << ", refused steps " << stats.refused_steps << ", failed refreshes " << stats.failed_refreshes << '\n';
    if (auto const error = cache.ticket_key_error(); !error.empty())
        out << "  last error of their keys: " << error << '\n';
}

} // namespace example
