// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/handshake_info.hpp>
#include <reprise/session.hpp>
#include <reprise/session_scope.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace reprise {

namespace asio = boost::asio;

/// Result of `session_store::take`: a session, or why there is none.
struct take_result
{
    std::optional<session> ticket{}; ///< the session; empty on a miss

    /// Why there is no session, as far as the store can tell.
    full_handshake_reason reason = full_handshake_reason::nothing_stored;
};

using lease [[deprecated("reprise::take_result")]] = take_result;

/// A session and the scope under which it is stored.
struct kept_session
{
    session_scope key{};
    session ticket;
};

/// Selects sessions by their scope. Called without a lock held. Must not throw.
using session_filter = std::function<bool(session_scope const& key)>;

/** Where a client keeps the sessions of its connections. One store is meant for the whole program.

    A TLS 1.3 session is handed out once, the newest first (RFC 8446, C.4). A TLS 1.2 session may be used again. A store
    is bounded and may drop any session at any time: forgetting is a promise, keeping is not.

    A store is always held by shared ownership, because a connection may deliver a ticket after all other owners are
    gone.

    @par Cancellation
    Every awaitable operation can be cancelled (`terminal`), and then throws `asio::error::operation_aborted`.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class session_store : public std::enable_shared_from_this<session_store>
{
public:
    session_store(session_store const&) = delete;
    session_store& operator=(session_store const&) = delete;
    virtual ~session_store() = default;

    /** Store a session that a connection has just received.

        Called from inside a TLS read, so it must not block. A later `take` in this process finds the session. A store
        that writes to a disk or a network queues the session; `drain` waits for the write.
    */
    virtual void capture(session_scope const& key, session ticket) noexcept = 0;

    /// Hand out the newest usable session, and forget it if it is a TLS 1.3 session.
    virtual asio::awaitable<take_result> take(session_scope key) = 0;

    /// Return a session obtained from `take` that was never sent. Must not block.
    virtual void put_back(session_scope const& key, session ticket) noexcept { capture(key, std::move(ticket)); }

    /// Record why no session is stored under this scope. `take` reports this reason until a session is captured. Must
    /// not block.
    virtual void note(session_scope const&, full_handshake_reason) noexcept {}

    /// How many TLS 1.3 tickets to request from the server on the next connection (RFC 9149), at most 255. 0 requests
    /// none, and the server decides.
    [[nodiscard]] virtual unsigned tickets_wanted(session_scope const&) const noexcept { return 0; }

    /// Forget all sessions under this scope. Returns their number.
    virtual asio::awaitable<std::size_t> remove(session_scope key) = 0;

    /// Forget all sessions.
    virtual asio::awaitable<void> clear() = 0;

    /// Wait until every captured session is where the store keeps it.
    virtual asio::awaitable<void> drain() = 0;

    /** Hand out every session whose scope `wanted` selects, oldest first. Sessions of TLS 1.3 are forgotten, because a
        ticket is used once: by this process or by the receiver. Expired sessions may be left out.

        A store that has no sessions to give, or cannot list them, returns none. That is the default.
    */
    virtual asio::awaitable<std::vector<kept_session>> release(session_filter)
    {
        co_return std::vector<kept_session>{};
    }

    /// Number of sessions held now.
    [[nodiscard]] virtual std::size_t size() const = 0;

    /// Whether every operation completes without suspending, as in a store that keeps all sessions in memory. A lookup
    /// then has no timeout.
    [[nodiscard]] virtual bool is_immediate() const noexcept { return answers_at_once(); }

    /// The name of `is_immediate` in 0.1, for stores that override it.
    [[nodiscard]] virtual bool answers_at_once() const noexcept { return false; }

    /// Call `capture`, then `drain`.
    asio::awaitable<void> insert(session_scope key, session ticket)
    {
        capture(key, std::move(ticket));
        co_await drain();
    }

protected:
    session_store() = default;
};

} // namespace reprise
