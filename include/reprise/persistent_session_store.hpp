// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/secret_bytes.hpp>
#include <reprise/session_store.hpp>
#include <reprise/storage/storage.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace reprise {

struct persistent_session_store_options
{
    /// Where the sessions are stored; mandatory. Processes that share the storage share the sessions: each TLS 1.3
    /// ticket is used by one of them.
    storage_ptr storage{};

    /// 1 to 16 different keys of 32 random bytes each, as for sealed_storage. The first key seals, all keys open. To
    /// change keys, put the new one first, and remove the old one when the longest-lived session has expired.
    std::vector<secret_bytes> keys{};

    /// Key that hides the names in the storage; 32 random bytes. Empty: derived from the first of `keys`, so that
    /// changing that key loses all sessions. Set a fixed name_key to keep the sessions when `keys` change.
    secret_bytes name_key{};

    /// Seal the records with a sealed_storage, unless they stay in the process (immediate_storage) or `storage` is a
    /// sealed_storage. False leaves sealing to the caller: anyone who can read an unsealed storage can resume its
    /// sessions.
    bool sealed = true;

    /// Also write sessions of mutual TLS (`session_scope::identity`) to the storage. By default they stay in the memory
    /// of this process. Anyone who resumes one of them acts as the owner of the client certificate, without having its
    /// key.
    bool persist_mutual_tls = false;

    /// Storage slots of each scope, and so the maximum number of TLS 1.3 sessions under it. 1 to 16, and equal in all
    /// processes. If this process knows no session of a peer, a connection to that peer reads each slot once.
    std::size_t max_tickets_per_key = 4;

    /// Ask servers for tickets (RFC 9149) until this many sessions are known under a scope. At most
    /// max_tickets_per_key. 0 asks for none.
    unsigned request_tickets = 0;

    /// Bound of two tables, each of which drops the least recently used entry first. At least 1.
    /// @li Scopes whose slots this process remembers. A dropped scope is looked up in the storage when needed.
    /// @li Sessions that this process keeps in memory because they must not or could not be written; also at most
    ///     64 MiB.
    std::size_t max_keys = 4096;

    /// Number of recent sessions that are also kept decoded, because decoding costs 250 us. Each takes about 16 KB; all
    /// together take at most 32 KB times this number. 0 for none.
    std::size_t decoded_sessions = 256;

    /// Maximum number of sessions that wait to be written. Further sessions are kept in memory only, and counted as
    /// dropped. At least 1.
    std::size_t max_pending_writes = 256;

    /// Maximum memory of sessions that wait to be written, in bytes, as `session::size` counts it. Further sessions are
    /// kept in memory only, and counted as dropped. At least 1.
    std::size_t max_pending_bytes = 8u << 20;

    /// Timeout of each write. After it the write is abandoned and counted as a storage error. At least 1 ms.
    std::chrono::milliseconds write_timeout{5000};

    /// The name of `write_timeout` in 0.1. Deprecated.
    std::optional<std::chrono::milliseconds> write_deadline{};

    /// Executor that writes sessions in the background, after `capture`; mandatory unless the storage is an
    /// immediate_storage. When its execution context is gone, sessions stay in memory and count as dropped. `run` of an
    /// io_context does not return while a session is being written.
    asio::any_io_executor executor{};

    /// Clock that supplies the current time.
    clock now = system_clock();
};

/// Counters of one store. Each is exact; together they are not one snapshot.
struct persistent_session_store_stats
{
    std::uint64_t stored = 0; ///< sessions written to the storage

    /// Sessions that were not written and are kept in memory, because too many writes were pending or the executor's
    /// context is gone; and sessions that were lost for lack of memory.
    std::uint64_t dropped = 0;

    std::uint64_t storage_errors = 0; ///< storage operations that failed or timed out
    std::uint64_t rejected = 0; ///< records that were not sealed with these keys, did not decode, or have another scope
};

/** A session_store on a storage: its sessions survive the process, and processes may share them.

    Names in the storage are keyed hashes, so that the storage does not show which hosts are visited. Records carry a
    version and their session scope, and are sealed. Without the keys, a record can neither be read, forged nor moved.
    sealed_storage lists what the owner of the storage can still do.

    Each scope has a few slots. A TLS 1.3 session is handed out after the storage's `take` has given it to this process.
    The newest session that this process knows is handed out first. A TLS 1.2 session stays in the storage.

    `take` finds a session from `capture` on:
    @li A ticket whose write has not begun is handed out, and never reaches the storage.
    @li A ticket whose write is in progress is handed out after the write. Only the storage can then tell that no other
        process has it.

    A session whose write failed stays in memory, and is handed out after the others. It is erased from the storage,
    unless the error is `storage_condition::unchanged`. If the failed write reached the storage, another process may
    take the session before it is erased. A ticket is left to the storage if it can be neither written nor erased, or if
    its write is late. The process that finds the ticket there has it.

    A process that has just started looks up sessions in the storage when they are needed. It cannot list them: `size`,
    `release` and `clear` cover the sessions that this process has captured or seen. To forget all other sessions too,
    change the keys.

    A failing storage costs resumptions: `take` then returns `full_handshake_reason::lookup_failed`. `remove` and
    `clear` throw, because the storage may still have the sessions.

    @par Cancellation
    As for session_store. A cancelled `take` may have removed a ticket, which is then never used.

    @par Object Lifetimes
    Operations own what they use. If the execution context is destroyed, a session whose write has not begun stays in
    memory. A session whose write is in progress may be in the storage.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class persistent_session_store final : public session_store
{
public:
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<persistent_session_store> make(persistent_session_store_options options);

    ~persistent_session_store() override;

    void capture(session_scope const& key, session ticket) noexcept override;
    asio::awaitable<take_result> take(session_scope key) override;
    void note(session_scope const& key, full_handshake_reason why) noexcept override;
    [[nodiscard]] unsigned tickets_wanted(session_scope const& key) const noexcept override;
    asio::awaitable<std::size_t> remove(session_scope key) override;
    asio::awaitable<void> clear() override;

    /// Wait until every captured session has been written, or its write has failed or been abandoned.
    asio::awaitable<void> drain() override;

    asio::awaitable<std::vector<kept_session>> release(session_filter wanted) override;
    [[nodiscard]] std::size_t size() const override;

    /// Whether the storage is an immediate_storage.
    [[nodiscard]] bool is_immediate() const noexcept override;

    [[nodiscard]] persistent_session_store_stats stats() const;

private:
    class impl;

    explicit persistent_session_store(std::shared_ptr<impl> c);

    std::shared_ptr<impl> const impl_; // shared with operations that outlive this object
};

} // namespace reprise
