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

/// Size limit of a session file, in bytes, for writing and reading. A file of this size holds about 20 000 sessions.
inline constexpr std::uint64_t session_file_max_bytes = std::uint64_t{64} << 20;

struct export_options
{
    /// Also export sessions of mutual TLS (`session_scope::identity`). By default they stay in the store. Anyone who
    /// resumes one of them acts as the owner of the client certificate, without having its key.
    bool mutual_tls = false;
};

/// Which sessions an import accepts. It refuses what a client_stream would not have accepted from a server.
struct import_policy
{
    /// Longest reuse since the certificate was verified. Above 0 s, at most 7 days. As
    /// `client_options::max_session_age`.
    std::chrono::seconds max_session_age = std::chrono::hours{24};

    /// Refuse sessions whose peer was not verified. As `client_options::verify_peer`.
    bool verify_peer = true;

    /// Accept sessions of mutual TLS.
    bool mutual_tls = false;

    /// Do not remove the file. Its tickets may then be used twice: by this process and by the next one that imports the
    /// file.
    bool keep_file = false;

    /// The caller's own check, after all others. Returns `full_handshake_reason::none`, or why the session is refused.
    /// Called on a thread of the import. Empty for none.
    std::function<full_handshake_reason(session_scope const& key, session const& ticket)> accepts{};

    /// Clock that supplies the current time.
    clock now = system_clock();
};

/// An entry that was not imported, and why:
/// @li `record_corrupt`, if the entry did not decode or was not sealed for its place in this file;
/// @li `disabled`, if the session is of mutual TLS;
/// @li otherwise the check of `import_policy` that failed.
struct skipped_entry
{
    std::size_t index = 0; ///< position in the file, from 0
    full_handshake_reason reason = full_handshake_reason::none;
};

struct import_report
{
    /// Maximum number of skipped entries that are listed one by one. Further entries are only counted.
    static constexpr std::size_t most_named = 64;

    std::size_t imported = 0;
    std::size_t skipped = 0;
    std::vector<skipped_entry> first_skipped{}; ///< at most `most_named`

    /// Whether the file ends where it should. False: the file was truncated, or damaged so that its end was not found.
    /// The entries before that point are imported.
    bool is_whole = true;
};

/** Move the sessions of a store into one file, for the next process.

    Writes the sessions that `session_store::release` hands out, oldest first. TLS 1.3 sessions are then gone from the
    store, because a ticket is used once: by this process or by the next one. A store with few sessions, or none, also
    makes a file. If the file cannot be written, or would exceed `session_file_max_bytes`, the sessions are put back.

    The file is sealed (AES-256-GCM, with a key of its own for each entry), and its entries are bound to their order.
    Without the key, a reader learns only the number of sessions and the length of each. Only the owner can read the
    file (mode 0600). It appears under its name complete or not at all, and replaces an existing file.

    @param key 32 random bytes, as for sealed_storage.
    @return The number of sessions in the file.

    @par Cancellation
    `terminal`, while the store hands out its sessions; tickets that it was just handing out may be lost. A thread
    writes the file. That takes a short time and is not interrupted.

    @par Errors
    Throws system_error:
    @li `errc::bad_option`, if the key is not valid or the path is empty.
    @li `errc::session_file_too_large`, if the sessions do not fit into the file.
    @li Errors of the system, with the path.

    @par Object Lifetimes
    The store is held by shared ownership.
*/
asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                             export_options options);

/// Move the sessions of a store into one file, with default options.
asio::awaitable<std::size_t> export_sessions(session_store& store, std::filesystem::path path, secret_bytes key);

/** Move the sessions of a file that `export_sessions` has written into a store, and wait until they are stored.

    The file is removed before its first ticket can be used. If several processes import the file, one of them gets the
    sessions. The file stays if one of the errors below is thrown, or if `import_policy::keep_file` is set.

    Entries that were changed, moved or cut off, or are no longer acceptable, are skipped and reported. The other
    entries are imported.

    @par Cancellation
    `terminal`, before a thread begins to read the file, and while the store writes the sessions. Sessions that have
    been read by then are in the store or lost.

    @par Errors
    Throws system_error, and leaves the store unchanged:
    @li `errc::session_file_foreign`, `session_file_version`, `session_file_key`: this process cannot use the file.
    @li `errc::session_file_not_private`: others may read or write the file, so its tickets may have been used.
    @li `errc::session_file_too_large`: the file is longer than `session_file_max_bytes`.
    @li `errc::bad_option`, for the key, the path or the policy.
    @li Errors of the system, with the path. `no_such_file_or_directory` also if another process has just imported the
        file.

    @par Object Lifetimes
    The store is held by shared ownership.
*/
asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key,
                                               import_policy policy);

/// Move the sessions of a file into a store, with the default policy.
asio::awaitable<import_report> import_sessions(session_store& store, std::filesystem::path path, secret_bytes key);

} // namespace reprise
