// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/store/slot_table.hpp"

#include "client/store/why_not.hpp"

#include <algorithm>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::size_t tls12_slot = 0; // the same in all processes

} // namespace

slot_table::slot_table(std::size_t slots, std::size_t max_keys, std::size_t first)
    : slots_(slots), max_keys_(max_keys), first_(first % slots)
{
}

slot_table::place slot_table::begin_write(session_scope const& key, tls_version protocol)
{
    auto& e = used(key);
    auto const find = [&](auto const& is_wanted) -> std::optional<std::size_t>
    {
        for (std::size_t i = 0; i < slots_; ++i)
            if (auto const at = (e.next + i) % slots_; is_wanted(e.slots[at]))
                return at;
        return std::nullopt;
    };
    auto const in = [](state wanted) { return [wanted](slot const& s) { return s.is == wanted; }; };

    auto chosen = std::optional<std::size_t>{tls12_slot};
    bool may_replace = true;
    if (protocol == tls_version::tls13)
    {
        auto const& reusable = e.slots[tls12_slot];
        if (reusable.is != state::held || reusable.holds.protocol != tls_version::tls12)
        {
            chosen = find(in(state::empty));
            if (!chosen)
                chosen = find(in(state::unknown));
            may_replace = !chosen;
        }
        if (!chosen)
        {
            auto const order = [](slot const& s)
            { return std::pair{s.is == state::writing, s.holds.kept_at}; }; // a slot that is being written comes last
            chosen = static_cast<std::size_t>(std::ranges::min_element(e.slots, {}, order) - e.slots.begin());
        }
        e.next = (*chosen + 1) % slots_;
    }
    e.slots[*chosen] = {state::writing, {}};
    return {*chosen, may_replace};
}

void slot_table::taken(session_scope const& key, std::size_t at)
{
    set(key, at, state::taken);
}

void slot_table::seen(session_scope const& key, content const& c)
{
    used(key).slots[c.slot] = {state::held, c};
}

void slot_table::emptied(session_scope const& key, std::size_t at)
{
    set(key, at, state::empty);
}

void slot_table::doubted(session_scope const& key, std::size_t at)
{
    set(key, at, state::unknown);
}

void slot_table::set(session_scope const& key, std::size_t at, state is)
{
    if (auto const known = by_key_.find(key); known != by_key_.end())
        known->second.slots[at] = {is, {}};
}

std::optional<slot_table::content> slot_table::newest(session_scope const& key)
{
    auto const at = by_key_.find(key);
    if (at == by_key_.end())
        return std::nullopt;
    auto& e = at->second;
    by_use_.splice(by_use_.begin(), by_use_, e.use);
    slot* result = nullptr;
    for (auto& s : e.slots)
        if (s.is == state::held && (result == nullptr || s.holds.kept_at > result->holds.kept_at))
            result = &s;
    if (result == nullptr)
        return std::nullopt;
    auto const found = result->holds;
    if (found.protocol == tls_version::tls13)
        *result = {};
    return found;
}

std::size_t slot_table::held_in(entry const& e)
{
    return static_cast<std::size_t>(std::ranges::count_if(e.slots, [](slot const& s) { return s.is == state::held; }));
}

std::size_t slot_table::count(session_scope const& key) const
{
    auto const at = by_key_.find(key);
    return at == by_key_.end() ? 0 : held_in(at->second);
}

std::size_t slot_table::count() const
{
    std::size_t result = 0;
    for (auto const& [key, e] : by_key_)
        result += held_in(e);
    return result;
}

std::vector<session_scope> slot_table::keys() const
{
    std::vector<session_scope> result;
    for (auto const& [key, e] : by_key_)
        result.push_back(key);
    return result;
}

void slot_table::forget(session_scope const& key)
{
    auto const at = by_key_.find(key);
    if (at == by_key_.end())
        return;
    by_use_.erase(at->second.use);
    by_key_.erase(at);
}

void slot_table::clear()
{
    by_key_.clear();
    by_use_.clear();
}

full_handshake_reason slot_table::why_not(session_scope const& key) const
{
    return detail::why_not(by_key_, key, [](entry const& e) { return held_in(e) != 0; });
}

slot_table::entry& slot_table::used(session_scope const& key)
{
    if (auto const at = by_key_.find(key); at != by_key_.end())
    {
        by_use_.splice(by_use_.begin(), by_use_, at->second.use);
        return at->second;
    }
    if (by_key_.size() == max_keys_)
    {
        by_key_.erase(by_use_.back());
        by_use_.pop_back();
    }
    entry made{std::vector<slot>(slots_), first_, {}};
    auto const at = by_key_.emplace(key, std::move(made)).first;
    try
    {
        at->second.use = by_use_.insert(by_use_.begin(), at);
    }
    catch (...)
    {
        by_key_.erase(at);
        throw;
    }
    return at->second;
}

} // namespace reprise::detail
