// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/secret_bytes.hpp>
#include <reprise/session_store.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

namespace reprise {

/// The longest file that is written or read, in bytes. It holds some 20 000 sessions.
inline constexpr std::uint64_t session_file_max_bytes = std::uint64_t{64} << 20;

struct export_options
{
    /// Sessions of mutual TLS (`session_scope::identity`) too. Otherwise they stay in the store: who resumes one is taken
    /// for the owner of the client certificate, without its key.
    bool mutual_tls = false;
};

/// What an importer accepts: what it would not have accepted from a server, it does not accept from a file.
struct import_policy
{
    /// Longest reuse since the certificate was verified; above 0 s, at most 7 days. As
    /// `client_options::max_session_age`.
    std::chrono::seconds max_session_age = std::chrono::hours{24};

    /// Refuse sessions whose peer was not verified. As `client_options::verify_peer`.
    bool verify_peer = true;

    /// Accept sessions of mutual TLS.
    bool mutual_tls = false;

    /// Leave the file where it is. Its tickets may then be used twice, by this process and by the next one that imports
    /// it.
    bool keep_file = false;

    /// The caller's own judgement, after all others: `full_handshake_reason::none`, or why not. It is called on a thread of the
    /// import. Empty: none.
    std::function<full_handshake_reason(session_scope const& key, session const& ticket)> accepts{};

    /// Where "now" comes from.
    clock now = system_clock();
};

/// An entry that was not imported, and why: `record_corrupt` if it did not decode or was not sealed for its place in
/// this file, `disabled` for mutual TLS, else what the policy has against it.
struct skipped_entry
{
    std::size_t index = 0; ///< from 0, in the order of the file
    full_handshake_reason reason = full_handshake_reason::none;
};

struct import_report
{
    /// Skipped entries that are named one by one; the others are only counted.
    static constexpr std::size_t most_named = 64;

    std::size_t imported = 0;
    std::size_t skipped = 0;
    std::vector<skipped_entry> first_skipped{}; ///< at most `most_named`

    /// The file ends where it should. False: it was cut, or damaged so that its end could not be found; the entries
    /// before that count.
    bool is_whole = true;
};

/** Move the sessions of a store into one file, for the next process.

    What `session_store::release` hands out is written, oldest first: TLS 1.3 tickets are gone from the store, for a
    ticket is used by this process or by the next one. A store that has few sessions to give, or none, makes a file all
    the same. If the file cannot be written, or has no room for all (`session_file_max_bytes`), they are put back.

    The file is sealed (AES-256-GCM, a key of its own for each entry) and bound to be read in this order; whoever lacks
    the key learns how many sessions there are, and how long each is. It is for its owner alone (mode 0600), and appears
    under its name whole or not at all, in place of what was there.

    @param key 32 random bytes, as sealed_storage takes them.
    @return How many sessions the file has.

    @par Errors
    Throws system_error `errc::bad_option`, if the key is none or the path is empty; the system's errors, with the path.

    @par Cancellation
    `terminal`, while the store is asked; tickets that the store was just handing out may be lost. The work on the file,
    which a thread does, is short and not interrupted.

    @par Object Lifetimes
    The store is held by shared ownership.
*/
asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                             export_options options);

/// The same with default options.
asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key);

/** Move the sessions of a file that `export_sessions` has written into a store, and wait until they are there.

    The file is removed before its first ticket can be used, and of several processes that import it one gets the
    sessions. It stays if this throws, and if `import_policy::keep_file` says so.

    Entries that were changed, moved, cut off, or are no longer acceptable are skipped and reported; the others count.

    @par Errors
    Throws system_error, and the store is as it was:
    @li `errc::session_file_foreign`, `session_file_version`, `session_file_key`: this file is of no use here.
    @li `errc::session_file_not_private`: others may read or write it, so its tickets may have been used.
    @li `errc::session_file_too_large`; `errc::bad_option`, for the key, the path or the policy.
    @li The system's errors, with the path; `no_such_file_or_directory` also if another process has just imported it.

    @par Cancellation
    `terminal`, before the work on the file, which a thread does, and while the store is waited for. What has been read
    by then is in the store or lost.

    @par Object Lifetimes
    The store is held by shared ownership.
*/
asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                               import_policy policy);

/// The same with the default policy.
asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key);

} // namespace reprise
