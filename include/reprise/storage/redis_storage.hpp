// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/redis_error.hpp>
#include <reprise/storage/storage.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ssl/context.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace reprise {

struct redis_storage_options
{
    /// Name or address of the server. Ignored if `socket_path` is set.
    std::string host = "127.0.0.1";

    /// TCP port of the server. Not 0.
    std::uint16_t port = 6379;

    /// Path of a unix socket on the same machine, instead of TCP. At most 107 bytes. Empty: TCP.
    std::string socket_path{};

    /// Context for TLS over TCP: the trust store, and a client certificate if the server requires one. The server's
    /// certificate is always verified, against `tls_server_name`. Empty: no TLS.
    std::shared_ptr<asio::ssl::context> tls{};

    /// Expected name in the server's certificate. Empty: `host`.
    std::string tls_server_name{};

    /// The ACL user (Redis 6). Empty: the default user.
    std::string user{};

    /// Password. Empty: no AUTH is sent.
    secret_bytes password{};

    /// The database number (SELECT).
    unsigned database = 0;

    /// Prefix of each name, so that other programs can use the same server. At most 256 bytes.
    std::string key_prefix = "reprise:";

    /// Connections to the server. 1 to 16. One connection carries a hundred thousand requests a second, because
    /// requests are pipelined.
    std::size_t connections = 1;

    /// Timeout of an operation. 1 ms to 60 s. It bounds the latency that a dead server adds to a handshake.
    std::chrono::milliseconds request_timeout{50};

    /// Timeout of resolving, connecting, TLS and AUTH together. 1 ms to 60 s. Operations do not wait that long:
    /// `request_timeout` bounds them.
    std::chrono::milliseconds connect_timeout{1000};

    /// Most pending requests on each connection. 1 to 1 048 576. Further requests fail with `redis_errc::queue_full`.
    std::size_t max_pending = 4096;

    /// Largest value, in bytes. 1 to 64 MiB. Equal for all programs that share the entries: a larger answer is treated
    /// as malformed.
    std::size_t max_value_bytes = std::size_t{1} << 20;

    /// Consecutive timeouts that open the circuit breaker. 1 to 1000. The breaker opens at once if the server sends
    /// nothing at all for `request_timeout`, or if connecting fails.
    unsigned failures_to_open = 5;

    /// Back-off before the first probe of an unreachable server. At least 1 ms. A probe is a new connection with a
    /// PING. The back-off doubles after each failed probe. Random jitter takes off up to half, so that a fleet does not
    /// probe at the same time.
    std::chrono::milliseconds backoff_min{50};

    /// Longest back-off between two probes. `backoff_min` to 1 h.
    std::chrono::milliseconds backoff_max{2000};

    /// Executor of the connections. Empty: the storage's own io_context and thread, which costs half as much CPU again
    /// for a lookup. With your own executor, the run() of its io_context does not return before the storage is
    /// destroyed.
    asio::any_io_executor executor{};

    /// Clock that converts an expiry into the time to live for the server.
    clock now = system_clock();
};

/** Parse options from a URL:

    @li `redis://[[user]:password@]host[:port][/database]`;
    @li `rediss://...`, the same with TLS under the system's trust store;
    @li `unix://[[user]:password@]/path/of/socket`, or `redis+unix://...`.

    The query may contain `db=`, `prefix=`, `connections=`, `timeout=` (milliseconds, `request_timeout`) and, for
    rediss, `ca=` (a PEM file to trust instead). User, password, path and query are percent-decoded.

    @throws system_error `errc::bad_option`, naming the part that is wrong; the password is never in the message.
*/
[[nodiscard]] redis_storage_options parse_redis_url(std::string_view url);

/// State of a redis_storage's circuit breaker.
enum class redis_state
{
    connecting, ///< for the first time, or after a healthy connection ended: operations wait, within their timeout
    connected,
    open, ///< the server is unreachable: operations fail at once, and probes follow the back-off
};

/// Counters of a redis_storage since it was made.
struct redis_stats
{
    std::uint64_t requests = 0;                  ///< commands that were accepted for sending
    std::uint64_t timeouts = 0;                  ///< operations that ended with `timed_out`
    std::uint64_t error_replies = 0;             ///< error replies of the server
    std::uint64_t rejected = 0;                  ///< operations that failed at once: circuit breaker open
    std::uint64_t queue_full = 0;                ///< operations that failed at once: `max_pending` reached
    std::uint64_t lost = 0;                      ///< operations that failed because their connection was lost
    std::uint64_t bad_answers = 0;               ///< connections closed because of a malformed answer
    std::uint64_t connects = 0;                  ///< connections made, AUTH and PING included
    std::uint64_t failed_connects = 0;           ///< failed attempts to connect
    redis_state state = redis_state::connecting; ///< of the connection in the best state
    error_code last_error{};                     ///< last error of a connection or an attempt; none, if there was none
};

/** A storage in a Redis or Valkey server: for a fleet of processes and machines.

    Requests are pipelined: all requests that arrive while a batch is being written go out together in the next write.
    No operation takes longer than `request_timeout`, whatever the server does. While the circuit breaker is open,
    operations fail without waiting. The storage reconnects by itself. Nothing is sent twice: a request fails if its
    connection ends.

    `take` and `put_if_absent` are atomic in the server (GETDEL, or a script if the server does not know GETDEL; SET
    NX). The server expires entries: it gets the time to live, so clocks need not agree, and it never serves an expired
    entry. `put_if_absent` with an expiry in the past answers as usual and stores its value for a millisecond. A server
    that loses or evicts data causes misses. Redis Cluster is not supported: its redirections are errors
    (`redis_errc::cluster_unsupported`).

    After a write that is refused because the server is a replica (READONLY), the storage waits for all pending answers
    and reconnects, because the address may lead to another server after a failover. If the server is still a replica,
    the next reconnects follow `backoff_min` and `backoff_max`.

    @par Errors
    `redis_errc`, or the error of connecting; `what()` names the server. While the circuit breaker is open:
    `redis_errc::circuit_open`, and `what()` contains the reason. An error that is `storage_condition::unchanged` is the
    server's answer to this request, or the request was never sent. In stats(), `entries` and the other numbers of
    `storage_stats` belong to the server and stay 0.

    @par Cancellation
    `terminal` and `partial`. A request that was already written is performed nevertheless.

    @par Object Lifetimes
    When the storage is destroyed, pending operations complete with `asio::error::operation_aborted`. Their io_contexts
    and that of `executor` may be destroyed before or after the storage.

    @par Several Processes
    A child of fork(2) makes its own connections and thread with its first operation. Operations that the parent has
    begun do not complete in the child. With an `executor` of the caller, operations in the child throw
    `errc::made_before_fork`: make the storage in the child. Do not run the parent's io_context in the child, because it
    reads from the parent's connections.

    @par Epoch
    The incarnation is `run_id` and `master_replid` of a primary. Both change when data can have gone back: after a
    restart, even with persistence, and after a failover. A proxy that distributes one connection over several servers
    defeats this check.

    @par Secrets
    Values are sent and stored unencrypted. Use TLS or a unix socket. If the server is not trusted with the values, wrap
    this storage in a sealed_storage.
*/
class redis_storage final : public storage
{
public:
    /// Make a storage and start to connect, without waiting for the connection.
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<redis_storage> make(redis_storage_options options = {});

    ~redis_storage() override;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<bool> erase(std::string name) override;

    /// @name With the epoch of the server
    /// The epoch is read with INFO, in the same pipeline, after the answer. The ACL user needs `+info`.
    /// @{
    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) override;
    asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name) override;
    asio::awaitable<storage_epoch> epoch() override;
    /// @}

    /// Wait for the first connection, for at most `connect_timeout`, then write an entry and take it. Throws the error
    /// that prevents this. `what()` names the server, and the kind of URL if only one side seems to expect TLS.
    asio::awaitable<void> check() override;

    /// The server drops expired entries itself. @return 0, without a request.
    asio::awaitable<std::size_t> flush() override;

    [[nodiscard]] storage_stats stats() const override;

    /// Counters of the connections, without waiting. Thread-safe.
    [[nodiscard]] redis_stats connection_stats() const;

private:
    class core;
    class impl;
    class own_thread;

    explicit redis_storage(std::unique_ptr<impl> made) noexcept;

    std::unique_ptr<impl> const impl_;
};

} // namespace reprise
