// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/early_data_options.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/observer.hpp>
#include <reprise/ssl_handles.hpp>
#include <reprise/storage/storage.hpp>
#include <reprise/ticket_keys.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ssl/context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace reprise {

namespace asio = boost::asio;

namespace detail {
class server_context;
} // namespace detail

/** Where the server stores sessions. The bits combine with `|`. SSL_CTX_set_session_cache_mode(3).

    | reprise | OpenSSL | meaning |
    |---|---|---|
    | `off` | `SSL_SESS_CACHE_OFF` | stores nothing; tickets, if on, still resume |
    | `server` | `SSL_SESS_CACHE_SERVER` with `NO_INTERNAL` | stores sessions in `storage` |
    | `openssl_internal` | `SSL_SESS_CACHE_SERVER` | uses OpenSSL's own table: one lock, one process |
    | `no_auto_flush` | `SSL_SESS_CACHE_NO_AUTO_CLEAR` | no sweep every 255 connections: call `flush` |
    | `no_internal_lookup` | `SSL_SESS_CACHE_NO_INTERNAL_LOOKUP` | writes OpenSSL's table, never reads it |
    | `no_internal_store` | `SSL_SESS_CACHE_NO_INTERNAL_STORE` | reads OpenSSL's table, never writes it |
    | `no_internal` | `SSL_SESS_CACHE_NO_INTERNAL` | neither reads nor writes OpenSSL's table; implied by `server` |

    `no_auto_flush` concerns only OpenSSL's table. A storage drops expired entries by itself, in small steps.
*/
enum class cache_mode : unsigned
{
    off = 0,
    server = 1,
    openssl_internal = 2,
    no_auto_flush = 4,
    no_internal_lookup = 8,
    no_internal_store = 16,
    no_internal = no_internal_lookup | no_internal_store,
};

[[nodiscard]] constexpr cache_mode operator|(cache_mode a, cache_mode b) noexcept
{
    return static_cast<cache_mode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

[[nodiscard]] constexpr bool has(cache_mode mode, cache_mode bits) noexcept
{
    return (static_cast<unsigned>(mode) & static_cast<unsigned>(bits)) == static_cast<unsigned>(bits);
}

struct session_cache_options
{
    /// Names what the sessions are for: 1 to 32 bytes, unique to the purpose, for example "shop/v1". Mandatory. The id
    /// context of a session is derived from this name, the certificate, the client-CA list and the verification mode.
    /// So a session resumes only where all of them are equal (SSL_CTX_set_session_id_context(3)).
    std::string id_context{};

    /// How long a session may be resumed after it was issued. 1 s to 7 days. The default of OpenSSL is 2 hours for TLS
    /// 1.3; the classic server recipe uses 300 s. A short lifetime limits what a stolen session is worth.
    std::chrono::seconds session_lifetime = std::chrono::minutes{5};

    /// The name of `session_lifetime` in 0.1. Deprecated.
    std::optional<std::chrono::seconds> timeout{};

    cache_mode mode = cache_mode::server;

    /** Keys that seal sessions into stateless tickets (RFC 5077; RFC 8446, 4.6.1). The server stores nothing for
        clients that take tickets. By default the keys are random, belong to this cache alone, and change every 12
        hours.

        False turns the keys off: TLS 1.2 uses session ids, and a TLS 1.3 ticket is the name of a session in the
        storage, for a single use.
    */
    ticket_keys tickets = true;

    /// Number of TLS 1.3 tickets after a full handshake, 0 to 16. A resumed handshake issues one ticket. A ticket costs
    /// the server about 50 us. A client that opens several connections at once needs one ticket for each.
    unsigned num_tickets = 1;

    /// Most TLS 1.3 tickets for a client that requests a number of tickets (RFC 9149), 0 to 16. 0 ignores the request.
    unsigned max_requested_tickets = 4;

    /// Early data of TLS 1.3, off by default. Requires cache_mode::server or cache_mode::off.
    early_data_options early_data{};

    /// Where sessions are stored. Empty: a memory_storage of 64 MiB, if the mode needs a storage.
    storage_ptr storage{};

    /// Longest wait for the storage. After a timeout the handshake runs in full. At least 1 ms.
    std::chrono::milliseconds lookup_timeout{50};

    /// The name of `lookup_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> lookup_deadline{};

    /// Longest wait for the write of a session. After a timeout the write is abandoned and counts as a storage error.
    /// At least 1 ms. A write delays no handshake, but a pending write occupies one of `max_pending_writes`.
    std::chrono::milliseconds write_timeout{5000};

    /// The name of `write_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> write_deadline{};

    /// Longest reuse after the certificates were last verified; renewals do not extend it. Above 0 s, at most 7 days.
    std::chrono::seconds max_session_age = std::chrono::hours{24};

    /// Most sessions whose write to the storage is pending. At least 1. Further sessions are dropped and counted. This
    /// process finds pending sessions within `lookup_timeout`: a TLS 1.2 session id at once; a TLS 1.3 ticket when its
    /// write has completed, because only the storage can guarantee single use.
    std::size_t max_pending_writes = 4096;

    /// Most memory for pending sessions, in bytes. At least 1. Sessions that do not fit are dropped and counted. A
    /// session takes about 1 KB and twice its record, which contains the client's certificate.
    std::size_t max_pending_bytes = 16u << 20;

    /// Number of recent sessions that are kept decoded beside their records. When their clients come back, that saves
    /// half the cost of a lookup. A session takes about 3 KB, or 10 KB with a client certificate. All together take at
    /// most 32 KB times this number. 0 for none.
    std::size_t decoded_sessions = 1024;

    /// Called for each handshake, for logs and metrics; the name is the id context. Null for none.
    std::shared_ptr<reprise::observer> observer{};

    /** Whether the context must have a certificate and its private key when the cache is created. Without them every
        handshake fails. OpenSSL does not tell which callbacks are set, so set false if the certificate comes:

        @li from a callback (SSL_CTX_set_cert_cb(3));
        @li from the context that a servername callback or `server_options::select_host` chooses;
        @li not at all, because clients use pre-shared keys or verify raw public keys.
    */
    bool needs_certificate = true;

    /// Clock for the times that OpenSSL does not check itself: max_session_age and the expiry in the storage.
    clock now = system_clock();
};

/// Counters of one cache. Each counter is exact; together they are not one snapshot.
struct session_cache_stats
{
    std::uint64_t full = 0;    ///< handshakes that ran in full
    std::uint64_t resumed = 0; ///< handshakes that resumed
    std::uint64_t failed = 0;  ///< handshakes that failed

    /// Resumed handshakes, by `resumption_kind`.
    std::array<std::uint64_t, resumption_kind_count> resumed_by_kind{};

    /// Full handshakes, by `full_handshake_reason`.
    std::array<std::uint64_t, full_reason_count> full_by_reason{};

    std::uint64_t early_accepted = 0; ///< handshakes with early data

    /// First flights whose early data was rejected, by `early_data_reason`. Includes flights whose handshake then
    /// fails, as copies do.
    std::array<std::uint64_t, early_data_reason_count> early_rejected_by_reason{};

    std::uint64_t lookups = 0; ///< lookups in the storage
    std::uint64_t stored = 0;  ///< sessions written to the storage or to OpenSSL's table
    /// Sessions that were not stored: too many writes were pending, memory was missing, or a client certificate of
    /// about 64 KB makes the session too large for a ticket.
    std::uint64_t dropped = 0;
    std::uint64_t storage_errors = 0; ///< reads and writes that failed in the storage
    std::uint64_t expired = 0;        ///< entries that the storage or OpenSSL's table dropped at their expiry
    std::uint64_t evicted = 0;        ///< entries dropped before their expiry, because space was missing
    std::uint64_t rejected = 0;       ///< records that the storage refused; see storage_stats
    std::uint64_t entries = 0;        ///< entries stored now
    std::uint64_t bytes = 0;          ///< space of these entries; 0 for OpenSSL's table, which does not tell
};

/** Makes a server's ssl::context resume sessions: sets id context, session lifetime, cache mode, tickets and storage.

    Configure the context first (certificate, client CAs, verification), then attach one cache to it. Use
    `server_stream` for connections: it pauses at the ClientHello and queries the storage without blocking the thread. A
    plain asio::ssl::stream on the context still resumes by ticket, or from OpenSSL's own table.

    A session_cache is a handle: copies share one cache.

    @par Object Lifetimes
    Any order of destruction is safe. The context keeps what its callbacks need; the cache keeps the SSL_CTX. (Asio's
    verify callback, however, is destroyed with the asio::ssl::context.)

    @par Thread Safety
    Distinct and shared objects: safe. Construct the cache before the context is used.
*/
class session_cache
{
public:
    /** Attach a cache to a context.

        @throws system_error `errc::id_context_missing`, `errc::id_context_too_long`, `errc::bad_option`,
            `errc::weak_ticket_key`, `errc::already_attached`, `errc::callback_taken`. The context is then unchanged.

        `errc::bad_option` also reports:

        @li a context for clients or for DTLS;
        @li a context without a certificate (`needs_certificate`);
        @li early data without a guard, or with a guard that does not fit the tickets;
        @li early data with a guard in memory and keys that other processes may have;
        @li a context that accepts early data by itself (SSL_CTX_set_max_early_data(3)), because OpenSSL's own replay
            protection fails with a storage.
    */
    session_cache(asio::ssl::context& tls, session_cache_options options);

    /// Drop expired sessions from the storage or from OpenSSL's table. @return The number of dropped sessions.
    asio::awaitable<std::size_t> flush();

    /// Wait until no write is pending: each session is in the storage, or its write has failed or was abandoned.
    asio::awaitable<void> drain();

    /** Fetch the ticket keys from their source now, and wait for the result.

        Call it before the first connection to learn about errors of the source. A server without connections may call
        it to keep its keys current. Otherwise handshakes refresh the keys.

        @throws Exceptions of the source; system_error `asio::error::timed_out`, or an error of `ticket_keys` for
            refused keys. The old keys then stay in use.
    */
    asio::awaitable<void> refresh_ticket_keys();

    [[nodiscard]] session_cache_stats stats() const;
    [[nodiscard]] ticket_stats tickets() const;

    /// The error of the last refresh or change of ticket keys; empty if there was none. The text contains no secrets.
    [[nodiscard]] std::string ticket_key_error() const;

    [[nodiscard]] SSL_CTX* native_handle() const noexcept { return context_.get(); }
    [[nodiscard]] std::shared_ptr<detail::server_context> const& server() const noexcept { return server_; }

private:
    std::shared_ptr<SSL_CTX> context_;
    std::shared_ptr<detail::server_context> server_;
};

} // namespace reprise
