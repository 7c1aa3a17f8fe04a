// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/old_name.hpp"
#include "base/require_option.hpp"
#include "server/early/strike_register.hpp"
#include "server/handshake/server_context.hpp"
#include "tls/context_use.hpp"
#include "tls/session_table.hpp"
#include "tls/session_time.hpp"

#include <reprise/error.hpp>
#include <reprise/session_cache.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <numeric>

namespace reprise {

namespace {

// Refuse options that would let a copy of a first flight through.
void check_early_data(session_cache_options const& o)
{
    auto const& early = o.early_data;
    if (early.max_bytes == 0)
        return;
    bool const tickets = o.tickets.enabled();
    detail::require_option(early.guard.is_set(),
                           "early_data_options::guard must be set: early data needs a replay guard");
    detail::require_option(!has(o.mode, cache_mode::openssl_internal),
                           "early_data_options: OpenSSL's own table hands out a session more than once; use "
                           "cache_mode::server");
    detail::require_option(!(early.guard.is_single_use() && tickets),
                           "replay_guard::single_use_tickets: a ticket sealed with a ticket key can be used more than "
                           "once; use session_cache_options::tickets = false, or another guard");
    detail::require_option(tickets || o.mode != cache_mode::off,
                           "early_data_options: early data resumes with a storage or with ticket keys, and there is "
                           "neither; use cache_mode::server, or session_cache_options::tickets");
}

// If other processes may open the tickets, the memory of one process does not know what they have accepted.
void check_guard(detail::server_context const& server)
{
    auto const& early = server.options.early_data;
    auto const& strikes = early.guard.strikes();
    if (early.max_bytes == 0 || !strikes || !server.tickets)
        return;
    bool const is_one_process = server.tickets->is_private() || strikes->options().one_process;
    detail::require_option(
        is_one_process || !strikes->is_process_local(),
        "replay_guard: the guard is in the memory of one process, and other processes may open tickets under "
        "these ticket_keys; use replay_guard::shared with a storage that all processes share, or set "
        "replay_guard_options::one_process if there is one process");
}

void use_old_names(session_cache_options& o)
{
    detail::use_old_name(o.timeout, o.session_lifetime);
    detail::use_old_name(o.lookup_deadline, o.lookup_timeout);
    detail::use_old_name(o.write_deadline, o.write_timeout);
}

session_cache_options checked(session_cache_options o)
{
    use_old_names(o);
    if (o.id_context.empty())
        throw system_error{errc::id_context_missing};
    if (o.id_context.size() > SSL_MAX_SID_CTX_LENGTH)
        throw system_error{errc::id_context_too_long, std::to_string(o.id_context.size()) + " bytes"};

    constexpr std::chrono::seconds week = std::chrono::hours{24 * 7};
    detail::require_option(o.session_lifetime.count() >= 1 && o.session_lifetime <= week,
                           "session_cache_options::session_lifetime must be 1 s to 7 days");
    detail::require_option(o.max_session_age.count() >= 1 && o.max_session_age <= week,
                           "session_cache_options::max_session_age must be 1 s to 7 days");
    detail::require_option(o.num_tickets <= 16, "session_cache_options::num_tickets must be 0 to 16");
    detail::require_option(o.max_requested_tickets <= 16,
                           "session_cache_options::max_requested_tickets must be 0 to 16");
    detail::require_option(o.lookup_timeout.count() >= 1,
                           "session_cache_options::lookup_timeout must be at least 1 ms");
    detail::require_option(o.write_timeout.count() >= 1, "session_cache_options::write_timeout must be at least 1 ms");
    detail::require_option(o.max_pending_writes >= 1, "session_cache_options::max_pending_writes must be at least 1");
    detail::require_option(o.max_pending_bytes >= 1, "session_cache_options::max_pending_bytes must be at least 1");
    detail::require_option(o.now != nullptr, "session_cache_options::now must not be empty");

    bool const storage = has(o.mode, cache_mode::server);
    bool const internal = has(o.mode, cache_mode::openssl_internal);
    detail::require_option(!(storage && internal),
                           "session_cache_options::mode may contain server or openssl_internal, not both");
    detail::require_option(
        storage || internal || o.mode == cache_mode::off,
        "session_cache_options::mode: no_auto_flush and no_internal need server or openssl_internal");
    detail::require_option(storage || !o.storage, "session_cache_options::storage needs cache_mode::server");
    check_early_data(o);
    if (storage && !o.storage)
        o.storage = memory_storage::make({.now = o.now});
    return o;
}

long openssl_mode(cache_mode mode)
{
    if (mode == cache_mode::off) // else sessions from a host's storage would still go into the table
        return SSL_SESS_CACHE_OFF | SSL_SESS_CACHE_NO_INTERNAL;
    long result = SSL_SESS_CACHE_SERVER;
    if (has(mode, cache_mode::server))
        return result | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR;
    if (has(mode, cache_mode::no_auto_flush))
        result |= SSL_SESS_CACHE_NO_AUTO_CLEAR;
    if (has(mode, cache_mode::no_internal_lookup))
        result |= SSL_SESS_CACHE_NO_INTERNAL_LOOKUP;
    if (has(mode, cache_mode::no_internal_store))
        result |= SSL_SESS_CACHE_NO_INTERNAL_STORE;
    return result;
}

void configure(SSL_CTX* context, session_cache_options const& o)
{
    detail::set_server_mode(context, openssl_mode(o.mode));
    ::SSL_CTX_set_timeout(context, static_cast<long>(o.session_lifetime.count()));
    if (o.tickets.enabled())
        ::SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
    else
        ::SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    // Without a storage and without sealing, a TLS 1.3 ticket has nothing to name.
    bool const can_resume = o.tickets.enabled() || o.mode != cache_mode::off;
    ::SSL_CTX_set_num_tickets(context, can_resume ? o.num_tickets : 0);
}

} // namespace

session_cache::session_cache(asio::ssl::context& tls, session_cache_options options)
    : context_(share(tls.native_handle())),
      server_(std::make_shared<detail::server_context>(checked(std::move(options))))
{
    detail::require_end(context_.get(), detail::tls_end::server);
    detail::require_option(
        !server_->options.needs_certificate || detail::has_certificate(context_.get()),
        "ssl::context: no certificate with its private key, so every handshake would fail; load both "
        "before making the session_cache, or set session_cache_options::needs_certificate = "
        "false if a callback, another context or a pre-shared key replaces them");
    // OpenSSL's own replay protection uses its own table, which an external storage bypasses.
    detail::require_option(::SSL_CTX_get_max_early_data(context_.get()) == 0,
                           "SSL_CTX_set_max_early_data: do not call it; accept early data with "
                           "session_cache_options::early_data and its replay guard");
    check_guard(*server_);
    detail::attach(context_.get(), server_);
    configure(context_.get(), server_->options);
    /* Each connection sets an id context of its own. This one is for connections that do not get that far. Without any,
       OpenSSL ends a handshake in which a client is verified (SSL_CTX_set_session_id_context(3)). */
    auto const context = detail::make_id_context({}, server_->options.id_context);
    ::SSL_CTX_set_session_id_context(context_.get(), context.data(), static_cast<unsigned>(context.size()));
}

asio::awaitable<std::size_t> session_cache::flush()
{
    auto const keep = *this;
    if (keep.server_->uses_storage())
        co_return co_await keep.server_->options.storage->flush();
    auto const before = ::SSL_CTX_sess_number(keep.context_.get());
    detail::flush_sessions(keep.context_.get(), std::chrono::system_clock::to_time_t(keep.server_->options.now()));
    auto const after = ::SSL_CTX_sess_number(keep.context_.get());
    co_return static_cast<std::size_t>(before > after ? before - after : 0);
}

asio::awaitable<void> session_cache::drain()
{
    return detail::pending_writes::drain(server_->writes);
}

asio::awaitable<void> session_cache::refresh_ticket_keys()
{
    auto const keep = *this;
    if (keep.server_->tickets)
        co_await detail::ticket_keeper::refresh(keep.server_->tickets);
}

ticket_stats session_cache::tickets() const
{
    return server_->tickets ? server_->tickets->stats() : ticket_stats{};
}

std::string session_cache::ticket_key_error() const
{
    return server_->tickets ? server_->tickets->last_error() : std::string{};
}

session_cache_stats session_cache::stats() const
{
    session_cache_stats result;
    auto const& server = *server_;
    for (std::size_t i = 0; i < result.resumed_by_kind.size(); ++i)
        result.resumed_by_kind[i] = server.resumed_by_kind[i].load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < result.full_by_reason.size(); ++i)
        result.full_by_reason[i] = server.full_by_reason[i].load(std::memory_order_relaxed);
    result.resumed = std::accumulate(result.resumed_by_kind.begin(), result.resumed_by_kind.end(), std::uint64_t{0});
    result.full = std::accumulate(result.full_by_reason.begin(), result.full_by_reason.end(), std::uint64_t{0});
    result.early_accepted = server.early_accepted.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < result.early_rejected_by_reason.size(); ++i)
        result.early_rejected_by_reason[i] = server.early_rejected_by_reason[i].load(std::memory_order_relaxed);
    result.failed = server.failed.load(std::memory_order_relaxed);
    result.lookups = server.lookups.load(std::memory_order_relaxed);
    result.dropped = server.dropped.load(std::memory_order_relaxed);
    result.storage_errors = server.storage_errors.load(std::memory_order_relaxed);
    if (server.uses_storage())
    {
        auto const storage = server.options.storage->stats();
        result.stored = server.stored.load(std::memory_order_relaxed);
        result.expired = storage.expired;
        result.evicted = storage.evicted;
        result.rejected = storage.rejected;
        result.entries = storage.entries;
        result.bytes = storage.bytes;
    }
    else
    {
        auto const count = [](long n) { return static_cast<std::uint64_t>(n); };
        result.entries = count(::SSL_CTX_sess_number(context_.get()));
        result.expired = count(::SSL_CTX_sess_timeouts(context_.get()));
        result.evicted = count(::SSL_CTX_sess_cache_full(context_.get()));
        result.stored = result.entries + result.expired + result.evicted;
    }
    return result;
}

} // namespace reprise
