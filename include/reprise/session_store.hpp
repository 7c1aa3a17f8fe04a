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

/// What a store answers: a session, or why there is none.
struct take_result
{
    std::optional<session> ticket{};

    /// Why there is none, as far as the store can tell.
    full_handshake_reason reason = full_handshake_reason::nothing_stored;
};

using lease [[deprecated("reprise::take_result")]] = take_result;

/// A session and whose it is.
struct kept_session
{
    session_scope key{};
    session ticket;
};

/// Which sessions are meant. It is called under no lock, and must not throw.
using session_filter = std::function<bool(session_scope const& key)>;

/** Where a client keeps the sessions of its connections: one for the whole program is meant.

    TLS 1.3 tickets are handed out once each, newest first (RFC 8446, C.4); a TLS 1.2 session may be used again. A store
    is bounded and may drop any session at any time: forgetting is a promise, keeping is not.

    A store is always held by shared ownership, for a connection may deliver a ticket after everybody else has let go.

    @par Cancellation
    Every awaitable operation may be cancelled (`terminal`) and then throws `asio::error::operation_aborted`.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class session_store : public std::enable_shared_from_this<session_store>
{
public:
    session_store(session_store const&) = delete;
    session_store& operator=(session_store const&) = delete;
    virtual ~session_store() = default;

    /** Keep a session that a connection has just received.

        Called from inside a TLS read: it must not block, and a `take` that follows in this process finds the session. A
        store that writes to a disk or a network queues it; `drain` waits for that.
    */
    virtual void capture(session_scope const& key, session ticket) noexcept = 0;

    /// Hand out one usable session, the newest, and forget it if it is a TLS 1.3 ticket.
    virtual asio::awaitable<take_result> take(session_scope key) = 0;

    /// Keep again what `take` has handed out, for nothing of it has reached the wire. It must not block.
    virtual void put_back(session_scope const& key, session ticket) noexcept { capture(key, std::move(ticket)); }

    /// Nothing is kept under this key, for this reason; a `take` that finds nothing says so until something is kept. It must
    /// not block.
    virtual void note(session_scope const&, full_handshake_reason) noexcept {}

    /// How many TLS 1.3 tickets to ask the server for on the next connection (RFC 9149); 0 asks for none, and the server
    /// decides.
    [[nodiscard]] virtual unsigned tickets_wanted(session_scope const&) const noexcept { return 0; }

    /// Forget all sessions under this key; returns how many there were.
    virtual asio::awaitable<std::size_t> remove(session_scope key) = 0;

    /// Forget everything.
    virtual asio::awaitable<void> clear() = 0;

    /// Wait until everything that was captured is where it is to be kept.
    virtual asio::awaitable<void> drain() = 0;

    /** Hand out every session under the keys that `wanted` names, oldest first, and forget the TLS 1.3 tickets among
        them: a ticket is used once, by this process or by whoever gets it. Those that have expired may be left out.

        A store that has none to give away, or cannot say which it has, returns none.
    */
    virtual asio::awaitable<std::vector<kept_session>> release(session_filter)
    {
        co_return std::vector<kept_session>{};
    }

    /// How many sessions it holds now.
    [[nodiscard]] virtual std::size_t size() const = 0;

    /// Whether every operation completes without suspending, as one that keeps everything in memory does. Then no
    /// deadline is set for it.
    [[nodiscard]] virtual bool is_immediate() const noexcept { return answers_at_once(); }

    /// The name of `is_immediate` in 0.1, for stores that override it.
    [[nodiscard]] virtual bool answers_at_once() const noexcept { return false; }

    /// `capture`, then `drain`.
    asio::awaitable<void> insert(session_scope key, session ticket)
    {
        capture(key, std::move(ticket));
        co_await drain();
    }

protected:
    session_store() = default;
};

} // namespace reprise
