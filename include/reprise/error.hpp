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

/** Errors that the library itself reports.

    Resolver, socket and OpenSSL errors keep their own categories. Numbers are stable: new ones are appended.
*/
enum class errc
{
    /// The operation needs a closed stream, and this stream is open. Shut it down first.
    already_connected = 1,

    /// The operation needs a peer, and the stream has never had one. Call async_connect before async_reconnect; on a
    /// server call async_handshake before reading or writing.
    never_connected = 2,

    /// A serialised session did not decode: wrong version, truncated, or not a session.
    session_corrupt = 3,

    /// `session_cache_options::id_context` is empty. Give it 1 to 32 bytes that name the purpose of the sessions.
    id_context_missing = 4,

    /// `session_cache_options::id_context` is longer than 32 bytes (SSL_MAX_SID_CTX_LENGTH).
    id_context_too_long = 5,

    /// This ssl::context already has a session_cache. A context has one cache: use that one, or another context.
    already_attached = 6,

    /// An option or an argument is not valid. `what()` of the exception names it and says what is valid.
    bad_option = 7,

    /// The ssl::context already has a get-session callback from other code (SSL_CTX_sess_set_get_cb(3)).
    callback_taken = 8,

    // 9 was foreign_bio.

    /// The virtual host selector has no context for this name. The peer gets the alert unrecognized_name.
    unknown_host = 10,

    /// A ticket key is zero, repeated, shorter than 32 or longer than 256 bytes, or has too few different bytes. Take
    /// it from a random generator.
    weak_ticket_key = 11,

    /// Invalid set of ticket keys: duplicate names, times out of order, or too many keys. `what()` says which.
    bad_ticket_keys = 12,

    /// New ticket keys lack a key whose tickets are still alive. Keep it until they have expired, or allow their loss
    /// with `may_orphan_tickets`.
    tickets_orphaned = 13,

    /// Not a ticket key file in the format of nginx or HAProxy. `what()` says which file and why.
    bad_ticket_key_file = 14,

    /// Not a session file from `export_sessions`, or truncated within its first bytes.
    session_file_foreign = 15,

    /// A session file of another format version. Discard it: sessions live about a day.
    session_file_version = 16,

    /// A session file that was sealed with another key.
    session_file_key = 17,

    /// A session file that other users can read or write, that belongs to another user, or that is not a regular file.
    session_file_not_private = 18,

    /// A session file that is longer than `session_file_max_bytes`.
    session_file_too_large = 19,

    /// The proxy answered CONNECT with a status other than 2xx, 407 or 5xx.
    proxy_refused = 20,

    /// The proxy demands authentication (407), or does not accept `http_proxy::authorization`.
    proxy_authentication_required = 21,

    /// The proxy's answer to CONNECT is malformed, is too long, or is followed by more bytes.
    proxy_malformed = 22,

    /// The proxy answered CONNECT with 5xx: it cannot reach the peer, or has failed itself.
    proxy_failed = 23,

    /// The connection was shut down or closed at this end. Connect the stream again.
    stream_closed = 24,

    /// The stream is already connecting or shaking hands. Wait for that operation, or end it with `close`.
    operation_in_progress = 25,

    /// The host is neither a DNS name nor an address. `what()` and `handshake_info::failure` give the host and the
    /// reason.
    bad_host = 26,

    /// The service is neither a port from 1 to 65535 nor a service name. `what()` and `handshake_info::failure` give
    /// the service.
    bad_service = 27,

    /// A function of the caller (a connector, a selector, a hook) threw an exception other than system_error or
    /// std::bad_alloc.
    callback_threw = 28,

    /// Settings made on `native_handle()` before the first connection do not apply to the next one. Make them in
    /// `client_options::on_ssl`, which is called for each connection.
    settings_lost = 29,

    /// The object was made before fork(2), so this process has a copy that other processes do not see. Make it in the
    /// child.
    made_before_fork = 30,

    /// The replay guard's storage cannot tell whether it has lost a change that it had confirmed; `what()` says why.
    /// Early data is refused.
    guard_unsure = 31,
};

/// The category of `errc`.
[[nodiscard]] boost::system::error_category const& reprise_category() noexcept;

[[nodiscard]] inline error_code make_error_code(errc e) noexcept
{
    return {static_cast<int>(e), reprise_category()};
}

namespace detail {

/// Text of an exception besides the message of its error code. Empty if there is none.
[[nodiscard]] std::string text_of(system_error const& e);

} // namespace detail
} // namespace reprise

template <>
struct boost::system::is_error_code_enum<reprise::errc> : std::true_type
{
};
