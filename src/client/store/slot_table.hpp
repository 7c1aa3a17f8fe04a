// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/session.hpp>
#include <reprise/session_scope.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <vector>

namespace reprise::detail {

/** What this process knows of each key's slots, in a storage that other processes use too. Helps to choose the next
    slot to write and the newest to read.

    The knowledge may be wrong at any time. Any key may be forgotten; then its slots are looked through.

    @par Thread Safety
    Shared objects: unsafe.
*/
class slot_table
{
public:
    /// A session that was seen in a slot.
    struct content
    {
        std::size_t slot = 0;
        std::uint64_t kept_at = 0;
        tls_version protocol = tls_version::tls13;
        time_point expiry{};
    };

    /// @param slots Number of slots per key.
    /// @param max_keys Above this number, the least recently used key is forgotten.
    /// @param first Slot where writing begins. It differs between processes, so that they do not all begin in one
    ///     place.
    slot_table(std::size_t slots, std::size_t max_keys, std::size_t first);

    struct place
    {
        std::size_t slot = 0;
        bool may_replace = false; ///< if false, write only if nothing is there
    };

    /** Choose the slot for a session. The session does not count until it is `seen` in the slot.

        A TLS 1.2 session has one fixed slot, because only the newest is of use. A ticket goes into the first that
        exists of:
        @li the slot of a TLS 1.2 session, because the peer speaks TLS 1.3 now;
        @li a free slot;
        @li a slot that this process has not looked into;
        @li a slot that another process has occupied;
        @li the slot of the oldest session;
        @li a slot that is being written.
    */
    [[nodiscard]] place begin_write(session_scope const& key, tls_version protocol);

    /// Record that the slot has an entry that this process has not looked at.
    void taken(session_scope const& key, std::size_t at);

    /// Record that the slot has this session.
    void seen(session_scope const& key, content const& c);

    /// Record that the slot is empty.
    void emptied(session_scope const& key, std::size_t at);

    /// Record that the content of the slot is unknown.
    void doubted(session_scope const& key, std::size_t at);

    /// Return the newest session under this key. A TLS 1.3 ticket is returned only once, because the caller is going to
    /// take it.
    [[nodiscard]] std::optional<content> newest(session_scope const& key);

    /// Return how many sessions are known, under this key or at all.
    [[nodiscard]] std::size_t count(session_scope const& key) const;
    [[nodiscard]] std::size_t count() const;

    [[nodiscard]] std::vector<session_scope> keys() const;
    void forget(session_scope const& key);
    void clear();

    /// Return why there is no session under this key, as far as neighbouring keys tell.
    [[nodiscard]] full_handshake_reason why_not(session_scope const& key) const;

private:
    enum class state
    {
        unknown,
        writing,
        taken,
        empty,
        held,
    };

    struct slot
    {
        state is = state::unknown;
        content holds{};
    };

    struct entry;
    using index = std::map<session_scope, entry>; // ordered for why_not
    struct entry
    {
        std::vector<slot> slots{};
        std::size_t next = 0;
        std::list<index::iterator>::iterator use{};
    };

    [[nodiscard]] entry& used(session_scope const& key);
    [[nodiscard]] static std::size_t held_in(entry const& e);
    void set(session_scope const& key, std::size_t at, state is);

    std::size_t const slots_;
    std::size_t const max_keys_;
    std::size_t const first_;
    index by_key_;
    std::list<index::iterator> by_use_; // most recently used first
};

} // namespace reprise::detail
