// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

namespace reprise {

/** Errors of a redis_storage. Socket, resolver and TLS errors keep their own categories.

    Each message says what to do. Numbers are stable: new ones are appended.
*/
enum class redis_errc
{
    /// No answer within `request_timeout`. The server may still make a requested change.
    timed_out = 1,

    /// The circuit breaker is open, because the server did not answer recently. Nothing was sent.
    circuit_open = 2,

    /// `max_pending` requests are already pending. Nothing was sent.
    queue_full = 3,

    /// The connection ended before the answer. The server may have made a requested change.
    connection_lost = 4,

    /// The answer is not RESP, does not fit the command, or is larger than `max_value_bytes` allows.
    bad_answer = 5,

    /// The value is larger than `max_value_bytes`. Nothing was sent.
    value_too_large = 6,

    /// NOAUTH: the server requires a password.
    password_missing = 7,

    /// WRONGPASS, or another refusal of AUTH: user or password are wrong.
    password_refused = 8,

    /// NOPERM: the server's ACL does not allow this user the command or the key.
    not_permitted = 9,

    /// OOM: the server is at its `maxmemory`.
    server_out_of_memory = 10,

    /// LOADING: the server reads its data from disk.
    server_loading = 11,

    /// READONLY or MASTERDOWN: the server is a replica.
    server_read_only = 12,

    /// MOVED, ASK, CROSSSLOT or CLUSTERDOWN: the server is a node of a cluster.
    cluster_unsupported = 13,

    /// SELECT was refused: the server has no such database.
    database_refused = 14,

    /// WRONGTYPE: the value of the key is not a string, so another program wrote it.
    foreign_key = 15,

    /// The server does not know the command.
    unknown_command = 16,

    /// MISCONF: the server refuses writes, because it could not save its data.
    server_not_saving = 17,

    /// Any other error reply of the server.
    server_error = 18,

    /// The server speaks TLS, and `redis_storage_options::tls` is not set.
    tls_expected = 19,

    /// The server does not speak TLS, and `redis_storage_options::tls` is set.
    plain_text_expected = 20,
};

/// The category of `redis_errc`.
[[nodiscard]] boost::system::error_category const& redis_category() noexcept;

[[nodiscard]] inline error_code make_error_code(redis_errc e) noexcept
{
    return {static_cast<int>(e), redis_category()};
}

} // namespace reprise

template <>
struct boost::system::is_error_code_enum<reprise::redis_errc> : std::true_type
{
};
