// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/store/why_not.hpp"

#include <reprise/error.hpp>
#include <reprise/memory_session_store.hpp>

#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace reprise {

struct memory_session_store::impl
{
    struct entry;
    // Ordered, so that the keys of one peer are neighbours: on a miss, neighbours tell the reason.
    using index = std::map<session_scope, entry>;
    struct entry
    {
        std::deque<session> sessions;                                       // newest first
        full_handshake_reason note = full_handshake_reason::nothing_stored; // why there is no session
        std::list<index::iterator>::iterator use;
    };

    explicit impl(memory_session_store_options o) : options(std::move(o)) {}

    memory_session_store_options const options;
    mutable std::mutex mutex;
    index by_key;
    std::list<index::iterator> by_use; // most recently used first
    std::size_t count = 0;
    std::size_t bytes = 0;

    void put(session_scope const& key, session ticket)
    {
        auto& e = used(key);
        // A TLS 1.2 session is reusable, so only the newest is of use. Tickets of a version that the peer no longer
        // speaks would never be taken.
        if (!e.sessions.empty() &&
            (ticket.protocol() == tls_version::tls12 || e.sessions.front().protocol() == tls_version::tls12))
            drop_all(e.sessions);
        while (e.sessions.size() >= options.max_tickets_per_key)
            drop_back(e.sessions);

        auto const size = ticket.size();
        e.sessions.push_front(std::move(ticket));
        bytes += size;
        ++count;
        while (count > options.max_sessions || bytes > options.max_bytes || by_key.size() > options.max_sessions)
            evict();
    }

    take_result take(session_scope const& key)
    {
        auto const at = by_key.find(key);
        if (at == by_key.end())
            return {{}, detail::why_not(by_key, key, [](entry const& e) { return !e.sessions.empty(); })};
        auto& e = at->second;
        by_use.splice(by_use.begin(), by_use, e.use);
        auto const now = options.now();
        take_result result;
        while (!result.ticket && !e.sessions.empty())
        {
            auto& newest = e.sessions.front();
            bool const usable = now < newest.issued_at() + newest.lifetime();
            if (usable)
                result.ticket = newest;
            if (usable && newest.protocol() == tls_version::tls12)
                break;
            drop_front(e.sessions);
            e.note = usable ? full_handshake_reason::tickets_in_use : full_handshake_reason::expired;
        }
        result.reason = result.ticket ? full_handshake_reason::none : e.note;
        return result;
    }

    std::size_t remove(session_scope const& key)
    {
        auto const at = by_key.find(key);
        if (at == by_key.end())
            return 0;
        auto const removed = at->second.sessions.size();
        drop_all(at->second.sessions);
        by_use.erase(at->second.use);
        by_key.erase(at);
        return removed;
    }

    void note(session_scope const& key, full_handshake_reason why)
    {
        used(key).note = why;
        if (by_key.size() > options.max_sessions)
            evict();
    }

    // Return the keys that have sessions, least recently used first.
    [[nodiscard]] std::vector<session_scope> keys() const
    {
        std::lock_guard const lock{mutex};
        std::vector<session_scope> result;
        for (auto at = by_use.rbegin(); at != by_use.rend(); ++at)
            if (!(*at)->second.sessions.empty())
                result.push_back((*at)->first);
        return result;
    }

    void release(session_scope const& key, std::vector<kept_session>& into)
    {
        auto const at = by_key.find(key);
        if (at == by_key.end())
            return;
        auto& e = at->second;
        auto const now = options.now();
        for (auto ticket = e.sessions.rbegin(); ticket != e.sessions.rend(); ++ticket)
            if (now < ticket->issued_at() + ticket->lifetime())
                into.push_back({key, *ticket});
        if (e.sessions.empty() || e.sessions.front().protocol() == tls_version::tls12)
            return;
        drop_all(e.sessions);
        e.note = full_handshake_reason::tickets_in_use;
    }

    [[nodiscard]] std::size_t held(session_scope const& key) const
    {
        auto const at = by_key.find(key);
        return at != by_key.end() ? at->second.sessions.size() : 0;
    }

private:
    entry& used(session_scope const& key)
    {
        auto const [at, is_new] = by_key.try_emplace(key);
        auto& e = at->second;
        if (is_new)
        {
            try
            {
                e.use = by_use.insert(by_use.begin(), at);
            }
            catch (...)
            {
                by_key.erase(at);
                throw;
            }
        }
        else
            by_use.splice(by_use.begin(), by_use, e.use);
        return e;
    }

    // Drops the oldest ticket of the least recently used entry, and the entry itself once it is empty.
    void evict()
    {
        auto const oldest = by_use.back();
        if (!oldest->second.sessions.empty())
            drop_back(oldest->second.sessions);
        if (oldest->second.sessions.empty())
        {
            by_use.pop_back();
            by_key.erase(oldest);
        }
    }

    void drop_front(std::deque<session>& sessions)
    {
        bytes -= sessions.front().size();
        --count;
        sessions.pop_front();
    }

    void drop_back(std::deque<session>& sessions)
    {
        bytes -= sessions.back().size();
        --count;
        sessions.pop_back();
    }

    void drop_all(std::deque<session>& sessions)
    {
        while (!sessions.empty())
            drop_back(sessions);
    }
};

std::shared_ptr<memory_session_store> memory_session_store::make(memory_session_store_options options)
{
    if (options.max_sessions == 0 || options.max_bytes == 0 || options.max_tickets_per_key == 0 || !options.now)
        throw system_error{errc::bad_option, "memory_session_store_options: max_sessions, max_bytes and "
                                             "max_tickets_per_key must be at least 1, and now must not be empty"};
    if (options.request_tickets > options.max_tickets_per_key || options.request_tickets > 255)
        throw system_error{
            errc::bad_option,
            "memory_session_store_options::request_tickets must be at most max_tickets_per_key and at most 255"};
    return std::shared_ptr<memory_session_store>{new memory_session_store{std::make_unique<impl>(std::move(options))}};
}

memory_session_store::memory_session_store(std::unique_ptr<impl> s) : impl_(std::move(s)) {}

memory_session_store::~memory_session_store() = default;

void memory_session_store::capture(session_scope const& key, session ticket) noexcept
try
{
    std::lock_guard const lock{impl_->mutex};
    impl_->put(key, std::move(ticket));
}
catch (std::bad_alloc const&)
{
    // A session that is not kept costs one full handshake.
}

void memory_session_store::note(session_scope const& key, full_handshake_reason why) noexcept
try
{
    std::lock_guard const lock{impl_->mutex};
    impl_->note(key, why);
}
catch (std::bad_alloc const&)
{
    // Only a report lacks the reason.
}

unsigned memory_session_store::tickets_wanted(session_scope const& key) const noexcept
{
    if (impl_->options.request_tickets == 0)
        return 0;
    std::lock_guard const lock{impl_->mutex};
    auto const held = impl_->held(key);
    auto const wanted = std::size_t{impl_->options.request_tickets};
    return static_cast<unsigned>(held < wanted ? wanted - held : 1); // one to replace the ticket that is used
}

asio::awaitable<take_result> memory_session_store::take(session_scope key)
{
    std::lock_guard const lock{impl_->mutex};
    co_return impl_->take(key);
}

asio::awaitable<std::size_t> memory_session_store::remove(session_scope key)
{
    std::lock_guard const lock{impl_->mutex};
    co_return impl_->remove(key);
}

asio::awaitable<void> memory_session_store::clear()
{
    std::lock_guard const lock{impl_->mutex};
    impl_->by_key.clear();
    impl_->by_use.clear();
    impl_->count = 0;
    impl_->bytes = 0;
    co_return;
}

asio::awaitable<void> memory_session_store::drain()
{
    co_return;
}

asio::awaitable<std::vector<kept_session>> memory_session_store::release(session_filter wanted)
{
    auto const keys = impl_->keys();
    std::vector<kept_session> result;
    for (auto const& key : keys)
    {
        if (!wanted(key))
            continue;
        std::lock_guard const lock{impl_->mutex};
        impl_->release(key, result);
    }
    co_return result;
}

std::size_t memory_session_store::size() const
{
    std::lock_guard const lock{impl_->mutex};
    return impl_->count;
}

std::size_t memory_session_store::bytes() const
{
    std::lock_guard const lock{impl_->mutex};
    return impl_->bytes;
}

} // namespace reprise
