// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/cache/pending_writes.hpp"

#include <algorithm>
#include <utility>

namespace reprise::detail {

pending_writes::entry::entry(std::shared_ptr<pending_writes> table, std::string name, secret_bytes record)
    : table_(std::move(table)), name_(std::move(name)), record_(std::move(record))
{
}

// Counts name and record twice, because the write has a copy of its own.
std::size_t pending_writes::entry::size() const noexcept
{
    constexpr std::size_t fixed = 1024; // including the coroutine that writes
    return fixed + 2 * (name_.size() + record_.size());
}

pending_writes::entry::~entry()
{
    if (!is_pending_)
        return;
    std::shared_ptr<event> idle;
    {
        std::lock_guard const lock{table_->mutex_};
        auto const [first, last] = table_->by_name_.equal_range(name_);
        auto const own = std::find_if(first, last, [this](auto const& e) { return e.second == this; });
        if (own != last)
            table_->by_name_.erase(own);
        table_->bytes_ -= size();
        if (--table_->count_ == 0)
            idle.swap(table_->idle_);
    }
    ended_->set();
    if (idle)
        idle->set();
}

std::unique_ptr<pending_writes::entry> pending_writes::begin(std::string name, secret_bytes record)
{
    auto made = std::make_unique<entry>(shared_from_this(), std::move(name), std::move(record));
    std::lock_guard const lock{mutex_};
    if (count_ >= limit_ || made->size() > max_bytes_ - bytes_)
        return nullptr;
    if (!made->name_.empty())
        by_name_.emplace(made->name_, made.get());
    ++count_;
    bytes_ += made->size();
    made->is_pending_ = true;
    return made;
}

std::optional<secret_bytes> pending_writes::find(std::string const& name) const
{
    std::lock_guard const lock{mutex_};
    auto const at = by_name_.find(name);
    return at == by_name_.end() ? std::nullopt : std::optional{at->second->record_};
}

std::shared_ptr<event> pending_writes::end_of(std::string const& name) const
{
    std::lock_guard const lock{mutex_};
    auto const at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : at->second->ended_;
}

asio::awaitable<void> pending_writes::drain(std::shared_ptr<pending_writes> self)
{
    std::shared_ptr<event> idle;
    {
        std::lock_guard const lock{self->mutex_};
        if (self->count_ == 0)
            co_return;
        if (!self->idle_)
            self->idle_ = std::make_shared<event>();
        idle = self->idle_;
    }
    co_await event::wait(std::move(idle));
}

} // namespace reprise::detail
