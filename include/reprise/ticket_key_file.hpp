// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/ticket_key.hpp>

#include <cstddef>
#include <string_view>

namespace reprise {

/// The program whose format a file of ticket keys has.
enum class ticket_key_file_format
{
    nginx,   ///< one key of 48 or 80 bytes (ssl_session_ticket_key)
    haproxy, ///< at least three lines, each one key in base64 (tls-ticket-keys)
};

inline constexpr std::size_t max_ticket_key_file_size = std::size_t{64} * 1024;

/** The contents of a file of ticket keys.

    In both formats a key is 48 or 80 bytes: 16 bytes that name the key in tickets, which are not secret, then 32 or 64
    bytes of secret. `ticket_key::name` has the name in hexadecimal. The times are unlimited, because a file has none.
*/
struct ticket_key_file
{
    ticket_key_file_format format = ticket_key_file_format::nginx;

    /** The keys, in the order of the file.

        @li nginx: one key.
        @li HAProxy: at least three keys of equal size. The last but one issues; the last one issues next. The file is
            rotated by adding a line, so only the last `max_ticket_keys` are here.
    */
    ticket_key_set keys{};
};

/** Parse a file of ticket keys. The contents determine the format.

    Refuses what nginx or HAProxy refuses, including an empty line, and base64 with leftover bits. Does not check
    whether a secret is random.

    @param contents All bytes of the file, at most `max_ticket_key_file_size`.
    @param called Name of the file in error messages.
    @throws system_error `errc::bad_ticket_key_file`; what() says what is wrong, in which line, and what to do. The
        message contains no part of the contents.
*/
[[nodiscard]] ticket_key_file parse_ticket_key_file(byte_view contents, std::string_view called = "ticket key file");

/** Write the contents of a file for nginx or HAProxy: the inverse of parse_ticket_key_file.

    Give the file mode 0600, so that only its owner can read it. Do not write to a file in use, because a server may
    read half of it: write another file and rename it.

    @throws system_error `errc::bad_ticket_key_file`, if parse_ticket_key_file would refuse the result.
*/
[[nodiscard]] secret_bytes write_ticket_key_file(ticket_key_file const& file);

/** Make a new key for a file, from OpenSSL's random generator (RAND_bytes(3)).

    @param size Bytes of the key with its name: 48 or 80.
    @throws system_error `errc::bad_option` for other sizes; std::bad_alloc, also if OpenSSL fails without a reason.
*/
[[nodiscard]] ticket_key make_file_ticket_key(std::size_t size = 80);

} // namespace reprise
