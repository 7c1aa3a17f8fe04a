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

/** What this process knows of the slots of each key in a storage that others use too: a help for choosing the next slot
    to write and the newest to read. It may be wrong at any time, and may forget any key: then the slots are looked
    through.

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

    /// @param slots Of each key. @param max_keys The one that was used least recently is forgotten. @param first Where
    ///     to begin to write, so that several processes do not all begin in one place.
    slot_table(std::size_t slots, std::size_t max_keys, std::size_t first);

    struct place
    {
        std::size_t slot = 0;
        bool may_replace = false; ///< else it is to be written if nothing is there
    };

    /** Where a session is going to be written; it counts as none until it is `seen` there.

        A TLS 1.2 session has a place of its own, for only the newest is of use; a ticket takes the place of such a
        session first, for the peer speaks TLS 1.3 now, then a free slot, then one that this process has not looked
        into, then the oldest, or one of which only others know how old it is.
    */
    [[nodiscard]] place begin_write(session_scope const& key, tls_version protocol);

    /// Something is there that this process has not looked at.
    void taken(session_scope const& key, std::size_t at);

    /// A session is known to be there.
    void seen(session_scope const& key, content const& c);

    /// Nothing is there.
    void emptied(session_scope const& key, std::size_t at);

    /// Nobody knows what is there.
    void doubted(session_scope const& key, std::size_t at);

    /// The newest session under this key. A TLS 1.3 ticket is not named twice, for whoever asks is going to take it.
    [[nodiscard]] std::optional<content> newest(session_scope const& key);

    /// How many sessions are known, under this key or at all.
    [[nodiscard]] std::size_t count(session_scope const& key) const;
    [[nodiscard]] std::size_t count() const;

    [[nodiscard]] std::vector<session_scope> keys() const;
    void forget(session_scope const& key);
    void clear();

    /// Why there is nothing under this key, as far as its neighbours tell.
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
