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
    /// Where the sessions go; mandatory. Processes that share it share the sessions: each ticket is used by one of
    /// them.
    storage_ptr storage{};

    /// Keys of 32 random bytes, 1 to 16 different ones, as sealed_storage takes them: the first seals, all of them
    /// open. To change keys put the new one first, and leave the old one out when the longest session has expired.
    std::vector<secret_bytes> keys{};

    /// What hides the names; 32 random bytes. Empty: it comes from the first of `keys`, so that changing that forgets
    /// all sessions. Give one that stays, and the sessions stay.
    secret_bytes name_key{};

    /// Seal the records (sealed_storage), unless they do not leave the process (immediate_storage), or `storage` is a
    /// sealed_storage. False leaves that to the caller: whoever can read the storage can resume the sessions in it.
    bool sealed = true;

    /// Keep sessions of mutual TLS (`session_scope::identity`) in the storage too. Otherwise this process's memory alone
    /// has them: who resumes one is taken for the owner of the client certificate, without its key.
    bool persist_mutual_tls = false;

    /// Slots of each key, and so the most TLS 1.3 tickets under it; 1 to 16, and the same in all processes. A
    /// connection to a peer of which this process knows no session asks the storage once for each.
    std::size_t max_tickets_per_key = 4;

    /// Ask servers for tickets until so many are known under a key (RFC 9149); 0 asks for none; at most
    /// max_tickets_per_key.
    unsigned request_tickets = 0;

    /// Keys of which this process remembers where their sessions are, and sessions that it keeps in memory because they
    /// are not to be or could not be written, of at most 64 MiB; at least 1. Those used least recently are forgotten, and
    /// looked for when asked for.
    std::size_t max_keys = 4096;

    /// How many of the last sessions are kept decoded beside their records: decoding costs 250 us. About 16 KB each,
    /// and all together never more than 32 KB for each; 0 for none.
    std::size_t decoded_sessions = 256;

    /// Sessions that may wait to be written; further ones are kept in memory alone, and counted. At least 1.
    std::size_t max_pending_writes = 256;

    /// Most memory for them, in bytes, as `session::size` counts it; what does not fit is kept in memory alone, too. At
    /// least 1.
    std::size_t max_pending_bytes = 8u << 20;

    /// Longest wait for a session to be written; then the write is given up, and counted as a storage error. At least 1
    /// ms.
    std::chrono::milliseconds write_timeout{5000};

    [[deprecated("write_timeout")]] std::optional<std::chrono::milliseconds> write_deadline{};

    /// Where sessions are written, behind `capture`; mandatory, unless the storage is an immediate_storage. When its
    /// context is gone, sessions stay in memory and count as dropped. An io_context's `run` does not return while a session
    /// is being written.
    asio::any_io_executor executor{};

    /// Where "now" comes from.
    clock now = system_clock();
};

/// Counters of one store. Each is exact; together they are not one snapshot.
struct persistent_session_store_stats
{
    std::uint64_t stored = 0;  ///< sessions written to the storage
    std::uint64_t dropped = 0; ///< not written, because too many writes were pending or the executor's context is
                               ///< gone, and kept in memory; or lost for lack of memory
    std::uint64_t storage_errors = 0; ///< operations that the storage failed, or that were late
    std::uint64_t rejected = 0; ///< records that were not sealed with these keys, did not decode, or are another key's
};

/** The session_store over a storage: its sessions survive the process, and processes may share them.

    Names are keyed hashes, so that the storage does not show which hosts are visited; records carry a version and whose
    they are, and are sealed. Nobody who lacks the keys can read, make or move one; what the storage's owner can do all
    the same is said at sealed_storage.

    Each key has a few slots. A TLS 1.3 ticket is handed out after the storage's `take` has given it to this process,
    the newest first as far as this process knows; a TLS 1.2 session stays where it is. A session is found from
    `capture` on: one whose write has not begun never reaches the storage if it is taken first, and a ticket that is
    being written is waited for, because only the storage can then say that nobody else has it. Sessions whose write has
    failed stay in memory, to be handed out after the others, and are erased in the storage unless it says that it has
    changed nothing (`storage_condition::unchanged`). (Should the storage have kept one all the same, another process may
    take it within the moment before.) A ticket that can be neither written nor erased, or whose write is late, is left to
    the storage: whoever finds it there has it.

    A process that has just started looks for sessions in the storage when they are asked for. It cannot list them:
    `size`, `release` and `clear` mean the sessions that this process has kept or seen. To forget all others too, change
    the keys.

    A failing storage costs resumptions: `take` then answers `full_handshake_reason::lookup_failed`, while `remove` and `clear`,
    which have not forgotten, throw.

    @par Cancellation
    As the contract says. A cancelled `take` may have removed a ticket; it is then not used by anybody.

    @par Object Lifetimes
    Operations own what they use. Writes that are destroyed with their context have not happened, or the storage knows.

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

    /// Wait until everything that was captured has been written, or its write has failed or been given up.
    asio::awaitable<void> drain() override;

    asio::awaitable<std::vector<kept_session>> release(session_filter wanted) override;
    [[nodiscard]] std::size_t size() const override;

    /// True for an immediate_storage.
    [[nodiscard]] bool is_immediate() const noexcept override;

    [[nodiscard]] persistent_session_store_stats stats() const;

private:
    class impl;

    explicit persistent_session_store(std::shared_ptr<impl> c);

    std::shared_ptr<impl> const impl_; // shared with operations that go on after this object
};

} // namespace reprise
