// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/ticket_key.hpp>

#include <cstddef>
#include <string_view>

namespace reprise {

/// Who reads a file of ticket keys.
enum class ticket_key_file_format
{
    nginx,   ///< 48 or 80 bytes, which are one key (ssl_session_ticket_key)
    haproxy, ///< at least three lines, each such a key in base64 (tls-ticket-keys)
};

inline constexpr std::size_t max_ticket_key_file_size = std::size_t{64} * 1024;

/** What a file of ticket keys holds.

    In either format a key is 16 bytes that tickets are named by, which are no secret, and then 32 or 64 bytes which are:
    48 or 80 in all. Here the name is written in hexadecimal, and the times, which no file has, are without limit.
*/
struct ticket_key_file
{
    ticket_key_file_format format = ticket_key_file_format::nginx;

    /// In the order of the file. nginx: one. HAProxy: at least three, all of one size; the last but one issues, and the last
    /// will be the next to do so. It is rotated by adding a line, so only the last `max_ticket_keys` are here.
    ticket_key_set keys{};
};

/** Read a file of ticket keys.

    Which format it is shows in its contents. What nginx or HAProxy refuses is refused, an empty line too; and base64 that
    has bits left over. Whether a secret is random is for who uses it to say.

    @param contents All bytes of the file, at most `max_ticket_key_file_size`.
    @param called What the file is called in an error message.
    @throws system_error `errc::bad_ticket_key_file`; what() says what is wrong, in which line, and what to do. No part of
    the contents is in it.
*/
[[nodiscard]] ticket_key_file parse_ticket_key_file(byte_view contents, std::string_view called = "ticket key file");

/** The contents of a file that nginx or HAProxy reads: the opposite of parse_ticket_key_file.

    On a disk they are for their owner alone (mode 0600). A file in use is replaced and not written to: write another one
    and rename it, or a server may read half of it.

    @throws system_error `errc::bad_ticket_key_file`, if it could not be read again.
*/
[[nodiscard]] secret_bytes write_ticket_key_file(ticket_key_file const& file);

/** A fresh key for such a file, from OpenSSL's random generator (RAND_bytes(3)).

    @param size 48 or 80, the name included.
    @throws system_error `errc::bad_option` for other sizes; std::bad_alloc, also where OpenSSL does not say what it lacked.
*/
[[nodiscard]] ticket_key make_file_ticket_key(std::size_t size = 80);

} // namespace reprise
