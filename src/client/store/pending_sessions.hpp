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

/** Sessions that are on their way to a storage: bounded, found by their key, waited for.

    @par Thread Safety
    Shared objects: safe.
*/
class pending_sessions : public std::enable_shared_from_this<pending_sessions>
{
public:
    /// @param bytes Most memory for all of them, as `session::size` counts it.
    /// @param otherwise Gets the sessions whose write never begins, unless somebody has taken them.
    pending_sessions(std::size_t limit, std::size_t bytes, std::shared_ptr<session_store> otherwise);

    /// The write of one session. It ends with this object, be it with a coroutine that is not resumed any more.
    class write
    {
    public:
        write(std::shared_ptr<pending_sessions> table, session_scope k, session t, std::uint64_t at);
        write(write const&) = delete;
        write& operator=(write const&) = delete;
        ~write();

        /// False if the session has been taken, or withdrawn. Otherwise a ticket is nobody's until the write has ended.
        [[nodiscard]] bool begin();

        session_scope const key;
        session const ticket;
        std::uint64_t const kept_at;

    private:
        friend class pending_sessions;

        enum class state
        {
            waiting, ///< it never was in the storage
            writing,
            gone,
        };

        std::shared_ptr<pending_sessions> const table_;
        std::shared_ptr<event> const ended_ = std::make_shared<event>();
        state is_ = state::gone; // changes under the table's mutex
    };

    /// Null, if there are as many as there may be.
    [[nodiscard]] std::unique_ptr<write> add(session_scope const& key, session const& ticket, std::uint64_t kept_at);

    /// The newest session under this key. A ticket that is being written may be another process's already: its end is
    /// waited for, and the storage knows.
    static asio::awaitable<take_result> take(std::shared_ptr<pending_sessions> self, session_scope key, clock now);

    /// Forget what waits under this key; returns how many there were.
    std::size_t withdraw(session_scope const& key);

    /// Wait until nothing is being written under this key.
    static asio::awaitable<void> wait(std::shared_ptr<pending_sessions> self, session_scope key);

    /// Wait until nothing is on its way.
    static asio::awaitable<void> drain(std::shared_ptr<pending_sessions> self);

    [[nodiscard]] std::vector<session_scope> keys() const; ///< perhaps more than once
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
    std::multimap<session_scope, write*> by_key_; // of one key: in order
    std::shared_ptr<event> idle_;                 // if anybody waits for it
};

} // namespace reprise::detail
