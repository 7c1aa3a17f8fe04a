// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string_view>

namespace reprise {

/// Outcome of early data (RFC 8446, 2.3).
enum class early_data_status
{
    not_offered,
    rejected,
    accepted,
};

/// Why there was no early data, or why it was rejected. Numbers are stable: new ones are appended.
enum class early_data_reason
{
    none = 0,      ///< early data was accepted
    not_asked = 1, ///< no early data was requested; on a server: the client offered none

    // Client: early data was not offered
    no_session = 2,          ///< no session was offered; handshake_info::reason says why
    not_tls13 = 3,           ///< the session or this stream does not use TLS 1.3
    not_allowed = 4,         ///< the server allows no early data with this session
    too_large = 5,           ///< the data exceeds the server's limit and must not be split
    alpn_differs = 6,        ///< the stream does not offer the session's ALPN protocol
    server_name_differs = 7, ///< the session was made under another server name, or under an unknown one
    cipher_disabled = 8,     ///< the stream no longer offers the session's cipher suite
    ticket_age = 9,          ///< by OpenSSL's clock, the ticket is too old or not issued yet

    // Client: early data was rejected
    declined = 10, ///< the server did not accept early data, whether or not it resumed the session

    /// The handshake failed because of early data, for example because the server negotiated TLS 1.2. The connection
    /// was made again without early data.
    connection_failed = 11,

    // Server: early data was rejected
    disabled = 12,       ///< early_data_options::max_bytes is 0
    not_resumed = 13,    ///< the session was not resumed; handshake_info::reason says why
    hello_retry = 14,    ///< the client had to send another ClientHello (RFC 8446, 4.2.10)
    limit_lowered = 15,  ///< the ticket promises more than early_data_options::max_bytes allows now
    unwanted = 16,       ///< early_data_options::accept returned false or threw
    replayed = 17,       ///< the replay guard has seen this first flight before
    guard_late = 18,     ///< the replay guard timed out
    guard_failed = 19,   ///< the replay guard reported an error
    guard_starting = 20, ///< the ticket is older than the memory of the replay guard
    guard_full = 21,     ///< more first flights than the replay guard can remember
    not_acceptable = 22, ///< OpenSSL refused: the ticket's age, ALPN protocol or server name does not fit
    guard_unsure = 23,   ///< the guard's storage cannot tell whether it has lost data: see `replay_guard::check`
};

/// The number of `early_data_reason` values, for arrays of counters.
inline constexpr std::size_t early_data_reason_count = 24;

[[nodiscard]] std::string_view to_string(early_data_status status) noexcept;
[[nodiscard]] std::string_view to_string(early_data_reason reason) noexcept;

} // namespace reprise
