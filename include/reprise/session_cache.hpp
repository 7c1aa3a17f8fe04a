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

/** What the server remembers, and where; the bits combine with `|`. SSL_CTX_set_session_cache_mode(3).

    | reprise | OpenSSL | meaning |
    |---|---|---|
    | `off` | `SSL_SESS_CACHE_OFF` | nothing is remembered; tickets, if on, still resume |
    | `server` | `SSL_SESS_CACHE_SERVER` with `NO_INTERNAL` | sessions go to `storage` |
    | `openssl_internal` | `SSL_SESS_CACHE_SERVER` | OpenSSL's own table instead of a storage: one lock, one process |
    | `no_auto_flush` | `SSL_SESS_CACHE_NO_AUTO_CLEAR` | OpenSSL's table is not swept every 255 connections: call `flush` |
    | `no_internal_lookup` | `SSL_SESS_CACHE_NO_INTERNAL_LOOKUP` | OpenSSL's table is filled, never asked |
    | `no_internal_store` | `SSL_SESS_CACHE_NO_INTERNAL_STORE` | OpenSSL's table is asked, never filled |
    | `no_internal` | `SSL_SESS_CACHE_NO_INTERNAL` | neither; with `server` that is so already |

    A storage drops what has expired by itself, in small steps, so `no_auto_flush` only concerns OpenSSL's table.
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
    /// Whose sessions these are: 1 to 32 bytes, unique to the purpose, for example "shop/v1". Mandatory. What goes on the
    /// wire is derived from it, the certificate, the client-CA list and the verification mode, so a session resumes only
    /// where all of them are equal (SSL_CTX_set_session_id_context(3)).
    std::string id_context{};

    /// How long a session may be resumed after it was issued. 1 s to 7 days. OpenSSL's own default is 2 hours for TLS 1.3
    /// and 5 minutes for what this library grew from; short is safe.
    std::chrono::seconds session_lifetime = std::chrono::minutes{5};

    [[deprecated("session_lifetime")]] std::optional<std::chrono::seconds> timeout{};

    cache_mode mode = cache_mode::server;

    /// The keys that seal sessions into tickets for clients that take them; nothing is remembered of those (RFC 5077;
    /// RFC 8446, 4.6.1). By default they are random, of this cache alone, and change every 12 hours.
    /// False: TLS 1.2 uses session ids, and a TLS 1.3 ticket is the name of a session in the storage, good for one use.
    ticket_keys tickets = true;

    /// TLS 1.3 tickets after a full handshake, 0 to 16; a resumption always renews one. Each costs the server about 50 us.
    /// Clients that open several connections at once want as many.
    unsigned num_tickets = 1;

    /// Most TLS 1.3 tickets for a client that says how many it wants (RFC 9149), 0 to 16. 0: the request is not heard.
    unsigned max_requested_tickets = 4;

    /// Early data of TLS 1.3, off by default. It goes with cache_mode::server or off.
    early_data_options early_data{};

    /// Where sessions are remembered. Empty: in memory, 64 MiB, for modes that need one.
    storage_ptr storage{};

    /// Longest wait for the storage; after it the handshake runs in full. At least 1 ms.
    std::chrono::milliseconds lookup_timeout{50};

    [[deprecated("lookup_timeout")]] std::optional<std::chrono::milliseconds> lookup_deadline{};

    /// Longest wait for a session to be written; after it the write is given up and counted as a storage error. It delays
    /// no handshake: until it ends, a write holds one of max_pending_writes. At least 1 ms.
    std::chrono::milliseconds write_timeout{5000};

    [[deprecated("write_timeout")]] std::optional<std::chrono::milliseconds> write_deadline{};

    /// Longest reuse since the certificates were last verified; renewals do not extend it. Above 0 s, at most 7 days.
    std::chrono::seconds max_session_age = std::chrono::hours{24};

    /// Sessions that may wait to be written to the storage; further ones are dropped and counted. At least 1. Meanwhile
    /// this process finds them: a TLS 1.2 session id at once, a TLS 1.3 ticket when the storage has it, for only that can
    /// say that it is used once, all within lookup_timeout.
    std::size_t max_pending_writes = 4096;

    /// Most memory for them, in bytes; what does not fit is dropped and counted, too. At least 1. A session takes about 1 KB
    /// and twice its record, which holds the client's certificate.
    std::size_t max_pending_bytes = 16u << 20;

    /// How many of the last sessions are kept decoded beside their records, which spares half of what a lookup costs
    /// when their clients come back. About 3 KB each, 10 KB with a client certificate; 0 for none. All together never take
    /// more than 32 KB for each.
    std::size_t decoded_sessions = 1024;

    /// Told of each handshake, for logs and metrics, with the id context for a name. Null for nobody.
    std::shared_ptr<reprise::observer> observer{};

    /// Whether the context must have a certificate and its private key when the cache is made, because every handshake
    /// fails without. False for a context whose certificate comes later or from elsewhere: from a callback
    /// (SSL_CTX_set_cert_cb(3)), from the context that a servername callback or `server_options::select_host` chooses, or
    /// not at all, if clients use pre-shared keys or verify raw public keys. OpenSSL does not tell which callbacks are set.
    bool needs_certificate = true;

    /// Where "now" comes from, for what OpenSSL does not time itself: max_session_age and the storage's expiry.
    clock now = system_clock();
};

/// Counters of one cache. Each is exact; together they are not one snapshot.
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

    /// First flights whose early data was rejected, by `early_data_reason`; also those whose handshake then fails, as with
    /// copies.
    std::array<std::uint64_t, early_data_reason_count> early_rejected_by_reason{};

    std::uint64_t lookups = 0; ///< times the storage was asked
    std::uint64_t stored = 0;  ///< sessions handed to the storage or to OpenSSL's table
    /// Sessions that were not kept: too many writes were pending, no memory was left, or a client certificate of about
    /// 64 KB makes the session too large for a ticket.
    std::uint64_t dropped = 0;
    std::uint64_t storage_errors = 0; ///< reads and writes that the storage failed
    std::uint64_t expired = 0;        ///< dropped by the storage or the table when their time had come
    std::uint64_t evicted = 0;        ///< dropped early, for lack of room
    std::uint64_t rejected = 0;       ///< records that the storage refused: see storage_stats
    std::uint64_t entries = 0;        ///< held now
    std::uint64_t bytes = 0;          ///< that they take; 0 for OpenSSL's table, which does not tell
};

/** Makes a server's ssl::context resume sessions: id context, timeout, cache mode, tickets, storage.

    Configure the context first (certificate, client CAs, verification), then attach one cache to it. Connections are made
    with `server_stream`, whose ClientHello pause asks the storage without blocking the thread. A plain asio::ssl::stream on
    the context still resumes by ticket, or from OpenSSL's own table.

    A session_cache is a handle: copies share one cache.

    @par Object Lifetimes
    Any order of destruction is safe: the context keeps what its callbacks need, the cache keeps the SSL_CTX. (Asio's
    verify callback, though, goes with the asio::ssl::context.)

    @par Thread Safety
    Distinct and shared objects: safe. Construct it before the context is used.
*/
class session_cache
{
public:
    /** Attach to a context.

        @throws system_error `errc::id_context_missing`, `errc::id_context_too_long`, `errc::bad_option`,
            `errc::already_attached`, `errc::callback_taken`. The context is then as it was. `bad_option` also for a context
            that is made for clients or for DTLS, for one without a certificate (`needs_certificate`), and for what would
            accept replays: early data without a guard, with a guard that does not fit the tickets, with a guard in memory
            and keys that other processes may have, or on a context that accepts it by itself
            (SSL_CTX_set_max_early_data(3)), whose own protection fails with a storage.
    */
    session_cache(asio::ssl::context& tls, session_cache_options options);

    /// Drop what has expired, from the storage or from OpenSSL's table; returns how many there were.
    asio::awaitable<std::size_t> flush();

    /// Wait until every session that was handed over is in the storage, or its write has failed or been given up.
    asio::awaitable<void> drain();

    /** Ask the source of the ticket keys for news now, and wait for it.

        Before the first connection it tells what is wrong with a source; a server without connections may call it to stay
        up to date. Otherwise handshakes see to it.

        @throws what the source does; system_error `asio::error::timed_out`, and as `ticket_keys` says of keys that are
            refused. The old keys then go on.
    */
    asio::awaitable<void> refresh_ticket_keys();

    [[nodiscard]] session_cache_stats stats() const;
    [[nodiscard]] ticket_stats tickets() const;

    /// What was wrong with the last news of ticket keys; empty if nothing. It holds no secrets.
    [[nodiscard]] std::string ticket_key_error() const;

    [[nodiscard]] SSL_CTX* native_handle() const noexcept { return context_.get(); }
    [[nodiscard]] std::shared_ptr<detail::server_context> const& server() const noexcept { return server_; }

private:
    std::shared_ptr<SSL_CTX> context_;
    std::shared_ptr<detail::server_context> server_;
};

} // namespace reprise
