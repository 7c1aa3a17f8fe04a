// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/base/error.hpp>
#include <reprise/client/memory_session_store.hpp>

#include <deque>
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace reprise {

struct memory_session_store::state
{
    struct entry
    {
        session_key key;
        std::deque<session> sessions; // newest first
    };
    using entries = std::list<entry>; // most recently used first

    explicit state(memory_session_store_options o) : options(std::move(o)) {}

    memory_session_store_options const options;
    mutable std::mutex mutex;
    entries by_use;
    std::unordered_map<session_key, entries::iterator> by_key;
    std::size_t count = 0;
    std::size_t bytes = 0;

    void put(session_key const& key, session ticket)
    {
        auto const [at, is_new] = by_key.try_emplace(key);
        if (is_new)
        {
            try
            {
                by_use.push_front({key, {}});
            }
            catch (...)
            {
                by_key.erase(at);
                throw;
            }
            at->second = by_use.begin();
        }
        by_use.splice(by_use.begin(), by_use, at->second);
        auto& sessions = by_use.front().sessions;

        // A TLS 1.2 session is reusable, so only the newest is of use; tickets of a version that is no longer spoken
        // with this peer would never be asked for.
        if (!sessions.empty() &&
            (ticket.protocol() == tls_version::tls12 || sessions.front().protocol() == tls_version::tls12))
            drop_all(sessions);
        while (sessions.size() >= options.max_tickets_per_key)
            drop_back(sessions);

        auto const size = ticket.size();
        sessions.push_front(std::move(ticket));
        bytes += size;
        ++count;
        while (count > options.max_sessions || bytes > options.max_bytes)
            evict();
    }

    std::optional<session> take(session_key const& key)
    {
        auto const at = by_key.find(key);
        if (at == by_key.end())
            return std::nullopt;
        auto& sessions = at->second->sessions;
        auto const now = options.now();
        std::optional<session> result;
        while (!result && !sessions.empty())
        {
            auto& newest = sessions.front();
            bool const usable = now < newest.issued_at() + newest.lifetime();
            if (usable)
                result = newest;
            if (usable && newest.protocol() == tls_version::tls12)
                break;
            drop_front(sessions);
        }
        if (sessions.empty())
        {
            by_use.erase(at->second);
            by_key.erase(at);
        }
        else
            by_use.splice(by_use.begin(), by_use, at->second);
        return result;
    }

    std::size_t remove(session_key const& key)
    {
        auto const at = by_key.find(key);
        if (at == by_key.end())
            return 0;
        auto const removed = at->second->sessions.size();
        drop_all(at->second->sessions);
        by_use.erase(at->second);
        by_key.erase(at);
        return removed;
    }

private:
    void evict()
    {
        auto& oldest = by_use.back();
        if (!oldest.sessions.empty()) // it is empty if its only insertion ran out of memory
            drop_back(oldest.sessions);
        if (oldest.sessions.empty())
        {
            by_key.erase(oldest.key);
            by_use.pop_back();
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
        throw system_error{errc::bad_option, "memory_session_store_options: every bound is at least 1, now is a clock"};
    return std::shared_ptr<memory_session_store>{new memory_session_store{std::make_unique<state>(std::move(options))}};
}

memory_session_store::memory_session_store(std::unique_ptr<state> s) : state_(std::move(s)) {}

memory_session_store::~memory_session_store() = default;

void memory_session_store::capture(session_key const& key, session ticket) noexcept
try
{
    std::lock_guard const lock{state_->mutex};
    state_->put(key, std::move(ticket));
}
catch (std::bad_alloc const&)
{
    // A session that could not be kept costs one full handshake.
}

asio::awaitable<std::optional<session>> memory_session_store::take(session_key key)
{
    std::lock_guard const lock{state_->mutex};
    co_return state_->take(key);
}

asio::awaitable<std::size_t> memory_session_store::remove(session_key key)
{
    std::lock_guard const lock{state_->mutex};
    co_return state_->remove(key);
}

asio::awaitable<void> memory_session_store::clear()
{
    std::lock_guard const lock{state_->mutex};
    state_->by_key.clear();
    state_->by_use.clear();
    state_->count = 0;
    state_->bytes = 0;
    co_return;
}

asio::awaitable<void> memory_session_store::drain()
{
    co_return;
}

std::size_t memory_session_store::size() const
{
    std::lock_guard const lock{state_->mutex};
    return state_->count;
}

std::size_t memory_session_store::bytes() const
{
    std::lock_guard const lock{state_->mutex};
    return state_->bytes;
}

} // namespace reprise
