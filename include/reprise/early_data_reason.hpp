// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string_view>

namespace reprise {

/// What became of early data (RFC 8446, 2.3).
enum class early_data_status
{
    not_offered,
    rejected,
    accepted,
};

/// Why there was no early data, or why it was rejected. Numbers are stable: new ones are appended.
enum class early_data_reason
{
    none = 0,      ///< it was accepted
    not_asked = 1, ///< nobody wanted it: on a server, the client offered none

    // Client: it was not offered
    no_session = 2,          ///< no session was offered; handshake_info::reason says why
    not_tls13 = 3,           ///< the session, or this stream, is not of TLS 1.3
    not_allowed = 4,         ///< the server allows none with this session
    too_large = 5,           ///< it is more than the server allows, and was not to be split
    alpn_differs = 6,        ///< the session's protocol is not among those that the stream offers
    server_name_differs = 7, ///< the session was made under another name, or nobody knows under which
    cipher_disabled = 8,     ///< the stream no longer offers the session's cipher suite
    ticket_age = 9,          ///< by the clock that OpenSSL uses, the ticket is too old or not issued yet

    // Client: it was rejected
    declined = 10, ///< the server took the session, or not, and did not take early data
    connection_failed =
        11, ///< the server could not bear it, having gone down to TLS 1.2 for example; the connection was
            ///< made again without

    // Server: it was rejected
    disabled = 12,       ///< early_data_options are not set
    not_resumed = 13,    ///< the session was not resumed; handshake_info::reason says why
    hello_retry = 14,    ///< the client had to send another ClientHello (RFC 8446, 4.2.10)
    limit_lowered = 15,  ///< the ticket promises more than early_data_options::max_bytes allows now
    unwanted = 16,       ///< early_data_options::accept said no
    replayed = 17,       ///< this first flight has come before
    guard_late = 18,     ///< the replay guard did not answer in time
    guard_failed = 19,   ///< the replay guard reported an error
    guard_starting = 20, ///< the replay guard does not reach back far enough to know
    guard_full = 21,     ///< more first flights than the replay guard can remember
    not_acceptable = 22, ///< OpenSSL refused: the ticket's age, protocol or name does not fit
    guard_unsure = 23,   ///< the guard's storage cannot tell whether it has lost something: see `replay_guard::check`
};

/// The number of `early_data_reason` values, for arrays of counters.
inline constexpr std::size_t early_data_reason_count = 24;

[[nodiscard]] std::string_view to_string(early_data_status status) noexcept;
[[nodiscard]] std::string_view to_string(early_data_reason reason) noexcept;

} // namespace reprise
