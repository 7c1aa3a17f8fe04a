// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/detail/async/event.hpp>
#include <reprise/session.hpp>
#include <reprise/session_scope.hpp>
#include <reprise/session_store.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace reprise::detail {

/** Sessions whose write to a storage is pending: bounded, found by their key, awaited.

    @par Thread Safety
    Shared objects: safe.
*/
class pending_sessions : public std::enable_shared_from_this<pending_sessions>
{
public:
    /// @param bytes Most memory of all these sessions, as `session::size` counts it.
    /// @param otherwise Captures the sessions whose write never begins, unless they were taken.
    pending_sessions(std::size_t limit, std::size_t bytes, std::shared_ptr<session_store> otherwise);

    /// The pending write of one session. It ends with this object, also if its coroutine is destroyed instead of
    /// resumed.
    class write
    {
    public:
        write(std::shared_ptr<pending_sessions> table, session_scope k, session t, std::uint64_t at);
        write(write const&) = delete;
        write& operator=(write const&) = delete;
        ~write();

        /// Begin to write. Returns false if the session was taken or withdrawn. Otherwise a ticket cannot be taken
        /// until the write has ended.
        [[nodiscard]] bool begin();

        session_scope const key;
        session const ticket;
        std::uint64_t const kept_at;

    private:
        friend class pending_sessions;

        enum class state
        {
            waiting, ///< the session never was in the storage
            writing,
            gone,
        };

        std::shared_ptr<pending_sessions> const table_;
        std::shared_ptr<event> const ended_ = std::make_shared<event>();
        state is_ = state::gone; // guarded by the table's mutex
    };

    /// Add a pending write. Returns null if a bound would be exceeded.
    [[nodiscard]] std::unique_ptr<write> add(session_scope const& key, session const& ticket, std::uint64_t kept_at);

    /// Take the newest session under this key. Another process may already have a ticket that is being written. So the
    /// end of the write is awaited, and the storage decides.
    static asio::awaitable<take_result> take(std::shared_ptr<pending_sessions> self, session_scope key, clock now);

    /// Remove the sessions under this key whose write has not begun. Returns their number.
    std::size_t withdraw(session_scope const& key);

    /// Wait until no write under this key is pending.
    static asio::awaitable<void> wait(std::shared_ptr<pending_sessions> self, session_scope key);

    /// Wait until no write is pending.
    static asio::awaitable<void> drain(std::shared_ptr<pending_sessions> self);

    [[nodiscard]] std::vector<session_scope> keys() const; ///< a key may occur more than once
    [[nodiscard]] std::size_t count(session_scope const& key) const;
    [[nodiscard]] std::size_t count() const;

private:
    [[nodiscard]] write* newest(session_scope const& key) const;
    void leave(write& w) noexcept;

    std::size_t const limit_;
    std::size_t const max_bytes_;
    std::shared_ptr<session_store> const otherwise_;

    mutable std::mutex mutex_;
    std::size_t bytes_ = 0;
    std::multimap<session_scope, write*> by_key_; // the writes of one key are in order
    std::shared_ptr<event> idle_;                 // set while drain() waits
};

} // namespace reprise::detail
