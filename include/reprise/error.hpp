// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <string>
#include <type_traits>

namespace reprise {

using boost::system::error_code;
using boost::system::system_error;

/** What went wrong, where the library itself is the one to say it.

    Resolver, socket and OpenSSL errors keep their own categories. Numbers are stable: new ones are appended.
*/
enum class errc
{
    /// The operation needs a closed stream and this one is open. Shut it down first.
    already_connected = 1,

    /// The operation needs a peer, and the stream never had one. Call async_connect before async_reconnect; at a server
    /// call async_handshake before reading or writing.
    never_connected = 2,

    /// A serialised session did not decode: wrong version, truncated, or not a session at all.
    session_corrupt = 3,

    /// `session_cache_options::id_context` is empty. Give it 1 to 32 bytes that name whose sessions these are.
    id_context_missing = 4,

    /// `session_cache_options::id_context` is longer than 32 bytes (SSL_MAX_SID_CTX_LENGTH).
    id_context_too_long = 5,

    /// This ssl::context already has a session_cache. One context has one cache: use the first, or another context.
    already_attached = 6,

    /// An option or an argument cannot be used; `what()` of the exception names it and says what is valid.
    bad_option = 7,

    /// The ssl::context has a get-session callback of somebody else's (SSL_CTX_sess_set_get_cb(3)).
    callback_taken = 8,

    // 9 was foreign_bio.

    /// The virtual host selector knows no context for this name. The peer gets the alert unrecognized_name.
    unknown_host = 10,

    /// A ticket key is short, zero, repeated, or has too few different bytes. Take it from a random generator.
    weak_ticket_key = 11,

    /// A set of ticket keys that cannot be: names that occur twice, times that run backwards, too many; `what()` says which.
    bad_ticket_keys = 12,

    /// New ticket keys lack one whose tickets are still alive. Keep it until they are not, or say that they may be lost.
    tickets_orphaned = 13,

    /// Not a ticket key file as nginx or HAProxy read it; `what()` says which and why.
    bad_ticket_key_file = 14,

    /// Not a file of sessions as `export_sessions` writes it, or cut within its first bytes.
    session_file_foreign = 15,

    /// A file of sessions of another version. It is of no use here: sessions live a day or so.
    session_file_version = 16,

    /// A file of sessions that was sealed with another key.
    session_file_key = 17,

    /// A file of sessions that others may read or write, or that belongs to somebody else, or is no regular file.
    session_file_not_private = 18,

    /// A file of sessions that is longer than `session_file_max_bytes`.
    session_file_too_large = 19,

    /// The proxy has answered CONNECT with another status than 2xx, 407 or 5xx.
    proxy_refused = 20,

    /// The proxy wants authentication (407), or another one than `http_proxy::authorization`.
    proxy_authentication_required = 21,

    /// What the proxy says is no answer to CONNECT, is too long, or does not end where it should.
    proxy_malformed = 22,

    /// The proxy has answered CONNECT with 5xx: it does not reach the peer, or has trouble of its own.
    proxy_failed = 23,

    /// The connection was shut down or closed at this end, so it carries nothing any more. Connect the stream again.
    stream_closed = 24,

    /// The stream is connecting or shaking hands already. Wait for that operation, or end it with `close`.
    operation_in_progress = 25,

    /// A host that is neither a DNS name nor an address; `what()` and `handshake_info::failure` say why, with the host.
    bad_host = 26,

    /// A service that is neither a port from 1 to 65535 nor the name of one; `what()` and `handshake_info::failure` name it.
    bad_service = 27,

    /// A function of the caller's (a connector, a selector, a hook) threw something else than a system_error.
    callback_threw = 28,

    /// Settings made on `native_handle()` before the first connection do not hold for the next one. Make them in
    /// `client_options::on_ssl`, which is called for each connection.
    settings_lost = 29,

    /// The object was made before fork(2), so this process has a copy that the others do not see. Make it in the child.
    made_before_fork = 30,

    /// The replay guard's storage cannot tell whether it has lost something that it had confirmed; `what()` says why. Early
    /// data is refused.
    guard_unsure = 31,
};

/// The category of `errc`.
[[nodiscard]] boost::system::error_category const& reprise_category() noexcept;

[[nodiscard]] inline error_code make_error_code(errc e) noexcept
{
    return {static_cast<int>(e), reprise_category()};
}

namespace detail {

/// What an exception says beside the message of its error code; empty if nothing.
[[nodiscard]] std::string text_of(system_error const& e);

} // namespace detail
} // namespace reprise

template <>
struct boost::system::is_error_code_enum<reprise::errc> : std::true_type
{
};
