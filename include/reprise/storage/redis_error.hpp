// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

namespace reprise {

/** Why a redis_storage could not answer. Socket, resolver and TLS errors keep their own categories.

    Each message says what to do about it. Numbers are stable: new ones are appended.
*/
enum class redis_errc
{
    /// No answer within `request_timeout`. A change that was asked for may still be made.
    timed_out = 1,

    /// The circuit breaker is open, for the server did not answer lately: nothing was sent.
    circuit_open = 2,

    /// `max_pending` requests are waiting already: nothing was sent.
    queue_full = 3,

    /// The connection ended before the answer came. A change that was asked for may have been made.
    connection_lost = 4,

    /// The peer's answer is not RESP, not what the command returns, or larger than `max_value_bytes` allows.
    bad_answer = 5,

    /// The value is larger than `max_value_bytes`: nothing was sent.
    value_too_large = 6,

    /// NOAUTH: the server wants a password.
    password_missing = 7,

    /// WRONGPASS, or another refusal of AUTH: user or password is wrong.
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

    /// WRONGTYPE: the key holds something that is not a string, so somebody else wrote it.
    foreign_key = 15,

    /// The server does not know the command.
    unknown_command = 16,

    /// MISCONF: the server refuses writes, for it could not save its data.
    server_not_saving = 17,

    /// Any other error that the server answered.
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
