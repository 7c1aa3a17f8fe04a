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
    /// The server's name or address; not looked at if `socket_path` is set.
    std::string host = "127.0.0.1";

    /// Its TCP port; not 0.
    std::uint16_t port = 6379;

    /// A unix socket instead, on the same machine; at most 107 bytes. Empty: TCP.
    std::string socket_path{};

    /// For TLS over TCP: the trust store, and a client certificate if the server wants one. The server's certificate is
    /// always verified, against `tls_server_name`. Empty: no TLS.
    std::shared_ptr<asio::ssl::context> tls{};

    /// The name in the server's certificate. Empty: `host`.
    std::string tls_server_name{};

    /// The ACL user (Redis 6). Empty: the default user.
    std::string user{};

    /// Empty: no AUTH is sent.
    secret_bytes password{};

    /// The database number (SELECT).
    unsigned database = 0;

    /// Put before each name, so that others can use the same server. At most 256 bytes.
    std::string key_prefix = "reprise:";

    /// Connections to the server; 1 to 16. One carries a hundred thousand requests a second, for they are pipelined.
    std::size_t connections = 1;

    /// The longest that an operation takes; 1 ms to 60 s. It bounds what a dead server adds to a handshake.
    std::chrono::milliseconds request_timeout{50};

    /// For resolving, connecting, TLS and AUTH together; 1 ms to 60 s. An operation does not wait for all of it.
    std::chrono::milliseconds connect_timeout{1000};

    /// Requests that wait for an answer, on each connection; 1 to 1 048 576. More are refused (`redis_errc::queue_full`).
    std::size_t max_pending = 4096;

    /// The largest value, in bytes; 1 to 64 MiB. The same for everybody who shares the server: an answer that is larger is
    /// taken for garbage.
    std::size_t max_value_bytes = std::size_t{1} << 20;

    /// Timeouts in a row, without an answer in between, that open the circuit breaker; 1 to 1000. A server from which
    /// nothing at all comes for `request_timeout`, and a connection that cannot be made, open it at once.
    unsigned failures_to_open = 5;

    /// The wait before the first probe of a broken server, which is a new connection with a PING; at least 1 ms. It
    /// doubles with each that fails. A part of it, up to half, is taken off at random, to keep a fleet apart.
    std::chrono::milliseconds backoff_min{50};

    /// The longest wait between two probes; from `backoff_min` to an hour.
    std::chrono::milliseconds backoff_max{2000};

    /// Where the connections are served. Empty: an io_context and a thread of the storage's own, at half as much CPU again
    /// for a lookup. With one of yours, its run() does not end before the storage is gone.
    asio::any_io_executor executor{};

    /// Where "now" comes from: it turns an expiry into the time to live that the server is told.
    clock now = system_clock();
};

/** The options in a URL: `redis://[[user]:password@]host[:port][/database]`, the same with `rediss://` for TLS under the
    system's trust store, or `unix://[[user]:password@]/path/of/socket` (`redis+unix://` is the same).

    The query may have `db=`, `prefix=`, `connections=`, `timeout=` (milliseconds, `request_timeout`) and, for rediss,
    `ca=` (a PEM file to trust instead). User, password, path and query are percent-decoded.

    @throws system_error `errc::bad_option`, naming the part that is wrong; the password is never in the message.
*/
[[nodiscard]] redis_storage_options parse_redis_url(std::string_view url);

/// The circuit breaker of a redis_storage.
enum class redis_state
{
    connecting, ///< for the first time, or after a healthy connection ended: operations wait, within their deadline
    connected,
    open, ///< the server is out of reach: operations fail at once, and a probe looks for it now and then
};

/// What a redis_storage has counted since it was made.
struct redis_stats
{
    std::uint64_t requests = 0;                  ///< commands that were accepted for sending
    std::uint64_t timeouts = 0;                  ///< operations that ended with `timed_out`
    std::uint64_t error_replies = 0;             ///< answers of the server that were errors
    std::uint64_t rejected = 0;                  ///< operations refused at once, by the open circuit breaker
    std::uint64_t queue_full = 0;                ///< operations refused at once, for `max_pending`
    std::uint64_t lost = 0;                      ///< operations that failed because their connection did
    std::uint64_t bad_answers = 0;               ///< connections closed because what came was no answer
    std::uint64_t connects = 0;                  ///< connections made, AUTH and PING included
    std::uint64_t failed_connects = 0;           ///< attempts that failed
    redis_state state = redis_state::connecting; ///< of the connection that fares best
    error_code last_error{};                     ///< of a connection or an attempt; none, if there was none
};

/** A storage in a Redis or Valkey server: for a fleet of processes and machines.

    Requests are pipelined: whatever is asked for while the last batch is written goes out together, in one write.
    No operation waits longer than `request_timeout`, whatever the server does, and none waits at all while the circuit
    breaker is open. It reconnects by itself. Nothing is sent twice: a request whose connection ends fails.

    `take` and `put_if_absent` are atomic in the server (GETDEL, or a script where that is unknown; SET NX). Expiry is
    the server's: it is told how long an entry has to live, so that clocks need not agree, and it never serves an expired
    one. `put_if_absent` with an expiry in the past answers as usual and keeps its value for a millisecond. A server that
    loses its data, or evicts, causes misses. Redis Cluster is not supported: its redirections are errors
    (`redis_errc::cluster_unsupported`).

    A write that is refused because the server is a replica (READONLY) makes it connect again, when all answers have come,
    because the address may lead to another server after a failover. While that stays a replica, it is left no more often
    than `backoff_min` and `backoff_max` say.

    @par Errors
    `redis_errc`, or what connecting failed with; `what()` names the server. While the breaker is open:
    `redis_errc::circuit_open`, and `what()` has the reason. An error that says `storage_condition::unchanged` is the
    server's answer to that very request, or the request was never sent. In stats(), `entries` and the other numbers of
    `storage_stats` are the server's and stay 0.

    @par Cancellation
    `terminal` and `partial`. A request that was written already is carried out all the same.

    @par Object Lifetimes
    When the storage is destroyed, pending operations end with `asio::error::operation_aborted`. Their io_contexts, and
    the one of `executor`, may be destroyed before the storage or after it.

    @par Several Processes
    A child of fork(2) makes connections and a thread of its own with its first operation. Operations that the parent has begun
    do not end in the child. With an `executor` of the caller's, operations in the child throw `errc::made_before_fork`: make
    the storage in the child, and let the parent's io_context not run there, because it reads from the parent's connections.

    @par Epoch
    The incarnation is `run_id` and `master_replid` of a primary, both new where data can have gone back: after a restart,
    whatever it saves, and after a failover. A proxy that spreads one connection over several servers defeats that.

    @par Secrets
    Values travel and lie in the server as they were given: use TLS or a unix socket, and a sealed storage around this one
    if the server is not to be trusted with them.
*/
class redis_storage final : public storage
{
public:
    /// Starts to connect, and does not wait for it.
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<redis_storage> make(redis_storage_options options = {});

    ~redis_storage() override;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<bool> erase(std::string name) override;

    /// @name With the epoch of the server
    /// It is read with INFO, in the same pipeline, after the answer: the ACL user needs `+info`.
    /// @{
    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) override;
    asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name) override;
    asio::awaitable<storage_epoch> epoch() override;
    /// @}

    /// Waits for the first connection, for at most `connect_timeout`, then writes an entry and takes it. Throws why that does
    /// not work; `what()` names the server, and the kind of URL if TLS seems to be expected on one side only.
    asio::awaitable<void> check() override;

    /// The server drops what has expired: 0, without asking it.
    asio::awaitable<std::size_t> flush() override;

    [[nodiscard]] storage_stats stats() const override;

    /// Counters of the connection, without waiting. Thread-safe.
    [[nodiscard]] redis_stats connection_stats() const;

private:
    class core;
    class impl;
    class own_thread;

    explicit redis_storage(std::unique_ptr<impl> made) noexcept;

    std::unique_ptr<impl> const impl_;
};

} // namespace reprise
