// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/store/pending_sessions.hpp"

#include "client/store/is_unexpired.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace reprise::detail {

pending_sessions::pending_sessions(std::size_t limit, std::size_t bytes, std::shared_ptr<session_store> otherwise)
    : limit_(limit), max_bytes_(bytes), otherwise_(std::move(otherwise))
{
}

pending_sessions::write::write(std::shared_ptr<pending_sessions> table, session_scope k, session t, std::uint64_t at)
    : key(std::move(k)), ticket(std::move(t)), kept_at(at), table_(std::move(table))
{
}

pending_sessions::write::~write()
{
    std::lock_guard const lock{table_->mutex_};
    if (is_ == state::waiting)
        table_->otherwise_->capture(key, ticket); // before it leaves the table, so that the session can always be found
    table_->leave(*this);
}

bool pending_sessions::write::begin()
{
    std::lock_guard const lock{table_->mutex_};
    if (is_ == state::gone)
        return false;
    is_ = state::writing;
    return true;
}

std::unique_ptr<pending_sessions::write> pending_sessions::add(session_scope const& key, session const& ticket,
                                                               std::uint64_t kept_at)
{
    auto made = std::make_unique<write>(shared_from_this(), key, ticket, kept_at);
    std::lock_guard const lock{mutex_};
    if (by_key_.size() >= limit_ || ticket.size() > max_bytes_ - bytes_)
        return nullptr;
    by_key_.emplace(key, made.get());
    bytes_ += ticket.size();
    made->is_ = write::state::waiting;
    return made;
}

asio::awaitable<take_result> pending_sessions::take(std::shared_ptr<pending_sessions> self, session_scope key,
                                                    clock now)
{
    take_result result;
    for (;;)
    {
        std::shared_ptr<event> ended;
        {
            std::lock_guard const lock{self->mutex_};
            auto* const w = self->newest(key);
            if (w == nullptr)
                co_return result;
            bool const is_ours = w->is_ == write::state::waiting;
            bool const is_reusable = w->ticket.protocol() == tls_version::tls12;
            bool const is_usable = is_unexpired(w->ticket, now());
            if (is_usable && (is_ours || is_reusable))
                result = {w->ticket, full_handshake_reason::none};
            if (is_ours && !(is_usable && is_reusable))
                self->leave(*w);
            if (result.ticket)
                co_return result;
            if (!is_usable)
                result.reason = full_handshake_reason::expired;
            if (is_ours)
                continue;
            ended = w->ended_;
        }
        co_await event::wait(std::move(ended));
    }
}

std::size_t pending_sessions::withdraw(session_scope const& key)
{
    std::lock_guard const lock{mutex_};
    std::vector<write*> waiting;
    auto const [first, last] = by_key_.equal_range(key);
    for (auto at = first; at != last; ++at)
        if (at->second->is_ == write::state::waiting)
            waiting.push_back(at->second);
    for (auto* const w : waiting)
        leave(*w);
    return waiting.size();
}

asio::awaitable<void> pending_sessions::wait(std::shared_ptr<pending_sessions> self, session_scope key)
{
    for (;;)
    {
        std::shared_ptr<event> ended;
        {
            std::lock_guard const lock{self->mutex_};
            auto const* const w = self->newest(key);
            if (w == nullptr)
                co_return;
            ended = w->ended_;
        }
        co_await event::wait(std::move(ended));
    }
}

asio::awaitable<void> pending_sessions::drain(std::shared_ptr<pending_sessions> self)
{
    std::shared_ptr<event> idle;
    {
        std::lock_guard const lock{self->mutex_};
        if (self->by_key_.empty())
            co_return;
        if (!self->idle_)
            self->idle_ = std::make_shared<event>();
        idle = self->idle_;
    }
    co_await event::wait(std::move(idle));
}

std::vector<session_scope> pending_sessions::keys() const
{
    std::lock_guard const lock{mutex_};
    std::vector<session_scope> result;
    for (auto const& [key, w] : by_key_)
        result.push_back(key);
    return result;
}

std::size_t pending_sessions::count(session_scope const& key) const
{
    std::lock_guard const lock{mutex_};
    return by_key_.count(key);
}

std::size_t pending_sessions::count() const
{
    std::lock_guard const lock{mutex_};
    return by_key_.size();
}

pending_sessions::write* pending_sessions::newest(session_scope const& key) const
{
    auto const [first, last] = by_key_.equal_range(key);
    return first == last ? nullptr : std::prev(last)->second;
}

void pending_sessions::leave(write& w) noexcept
{
    if (std::exchange(w.is_, write::state::gone) == write::state::gone)
        return;
    auto const [first, last] = by_key_.equal_range(w.key);
    by_key_.erase(std::find_if(first, last, [&](auto const& e) { return e.second == &w; }));
    bytes_ -= w.ticket.size();
    w.ended_->set();
    if (by_key_.empty() && idle_)
        std::exchange(idle_, nullptr)->set();
}

} // namespace reprise::detail
