// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "client/store/session_record.hpp"
#include "client/store/slot_table.hpp"
#include "tls/decoded_sessions.hpp"

#include <reprise/clock.hpp>
#include <reprise/detail/base/aead.hpp>
#include <reprise/session_store.hpp>
#include <reprise/storage/immediate_storage.hpp>
#include <reprise/storage/sealed_storage.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace reprise::detail {

/// The outcome of writing a session.
enum class write_result
{
    written,
    undone,    ///< the session is not in the storage
    uncertain, ///< the storage may have the session, or may still get it
};

/** The sessions of each key in a storage that other processes use too. Each key has a few slots, each under a name of
    its own.

    Failures of the storage are counted and reported as `full_handshake_reason::lookup_failed`. Cancellations are
    thrown.

    @par Thread Safety
    Shared objects: safe.
*/
class session_slots
{
public:
    struct settings
    {
        storage_ptr storage{}; ///< a sealed_storage, if records are to be sealed
        secret_bytes name_key{};
        std::size_t slots = 0; ///< slots per key
        std::size_t max_keys = 0;
        std::size_t decoded_sessions = 0;
        clock now{};
    };

    explicit session_slots(settings s);

    using pointer = std::shared_ptr<session_slots>;

    /// Return the time in microseconds, made unique: it orders the sessions of a key.
    [[nodiscard]] std::uint64_t stamp();

    /// Write a session into the next slot. A storage operation that takes longer than `limit` is given up.
    static asio::awaitable<write_result> write(pointer self, session_scope key, session ticket, std::uint64_t kept_at,
                                               std::chrono::milliseconds limit);

    /// Write a session into an immediate_storage. Throws what the storage throws.
    void write_now(immediate_storage& into, session_scope const& key, session const& ticket, std::uint64_t kept_at);

    /// Take the newest of the sessions that this process has seen or written.
    static asio::awaitable<take_result> take_known(pointer self, session_scope key);

    /// Read all slots, because other processes may have written there. Then take the newest session.
    static asio::awaitable<take_result> look_through(pointer self, session_scope key);

    /// Erase all slots. Returns how many had an entry. Throws an error of the storage after all slots have been tried.
    static asio::awaitable<std::size_t> erase(pointer self, session_scope key);

    /// Return why there is no session under this key, as far as neighbouring keys tell.
    [[nodiscard]] full_handshake_reason why_not(session_scope const& key) const;

    /// What this process knows: keys, and numbers of sessions.
    [[nodiscard]] std::vector<session_scope> keys() const;
    [[nodiscard]] std::size_t count(session_scope const& key) const;
    [[nodiscard]] std::size_t count() const;

    [[nodiscard]] std::uint64_t written() const noexcept { return written_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t errors() const noexcept { return errors_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t rejected() const;

private:
    // A record to be written, and its slot.
    struct pending_record
    {
        slot_table::place at{};
        std::string name{};
        secret_bytes record{};
        time_point expiry{};
    };

    [[nodiscard]] std::string name_of(session_scope const& key, std::size_t slot) const
    {
        return detail::name_of(names_, key, slot);
    }
    [[nodiscard]] pending_record place(session_scope const& key, session const& ticket, std::uint64_t kept_at);
    void committed(pending_record const& l, session_scope const& key, session const& ticket, std::uint64_t kept_at);

    static asio::awaitable<take_result> fetch(pointer self, session_scope key, slot_table::content at);
    [[nodiscard]] std::optional<session_record> read(std::optional<secret_bytes> const& record,
                                                     session_scope const& key);
    [[nodiscard]] take_result open(secret_bytes const& record, session_record const& read);

    [[nodiscard]] std::uint64_t rejected_by_seal() const noexcept { return seal_ ? seal_->rejected() : 0; }
    void count_error() noexcept { errors_.fetch_add(1, std::memory_order_relaxed); }
    void count_rejected() noexcept { rejected_.fetch_add(1, std::memory_order_relaxed); }
    void count_failure();

    storage_ptr const storage_;
    std::shared_ptr<sealed_storage> const seal_; // storage_, if it is sealed
    keyed_hash const names_;
    std::size_t const slots_;
    clock const now_;
    decoded_sessions decoded_;

    mutable std::mutex mutex_;
    slot_table table_;
    std::uint64_t last_stamp_ = 0;

    std::atomic<std::uint64_t> written_{0};
    std::atomic<std::uint64_t> errors_{0};
    std::atomic<std::uint64_t> rejected_{0};
};

} // namespace reprise::detail
