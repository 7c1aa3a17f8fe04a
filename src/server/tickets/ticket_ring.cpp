// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_ring.hpp"

#include "server/tickets/ticket_cipher.hpp"

#include <reprise/detail/base/aead.hpp>
#include <reprise/error.hpp>

#include <algorithm>
#include <cstring>
#include <ranges>
#include <string>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::size_t min_secret_size = 32;
constexpr std::size_t max_secret_size = 256;
constexpr std::size_t max_name_size = 64;

[[noreturn]] void refuse(errc why, std::string const& name, std::string const& what)
{
    throw system_error{why, "key '" + name + "': " + what};
}

void check_secret(ticket_key const& key)
{
    auto const secret = key.secret.view();
    if (secret.size() < min_secret_size || secret.size() > max_secret_size)
        refuse(errc::weak_ticket_key, key.name, std::to_string(secret.size()) + " bytes, not 32 to 256");
    for (std::size_t at = 0; at + min_secret_size <= secret.size(); at += min_secret_size)
        if (!is_plausible_key(secret.subspan(at, min_secret_size)))
            refuse(errc::weak_ticket_key, key.name, "fewer than 16 different byte values in 32 bytes");
    if (std::ranges::equal(secret.first(secret.size() / 2), secret.last(secret.size() / 2)))
        refuse(errc::weak_ticket_key, key.name, "its halves are equal");
}

// Return until when a ticket of the key may be alive. Servers whose clocks are ahead may have used a key that has not
// begun here, but not for tickets that matter to this server.
time_point alive_until(ticket_key const& key, time_point now, std::chrono::seconds ticket_life)
{
    if (now < key.not_before)
        return now;
    auto const last_issue = std::min(key.issue_until, now);
    return std::min(key.accept_until, last_issue + ticket_life);
}

} // namespace

key_role role_at(ticket_key const& key, time_point now) noexcept
{
    if (now >= key.accept_until)
        return key_role::over;
    if (now >= key.issue_until)
        return key_role::retired;
    return now < key.not_before ? key_role::incoming : key_role::issuing;
}

void check_set(ticket_key_set const& keys)
{
    if (keys.size() > max_ticket_keys)
        throw system_error{errc::bad_ticket_keys,
                           std::to_string(keys.size()) + " keys, more than " + std::to_string(max_ticket_keys)};
    for (auto at = keys.begin(); at != keys.end(); ++at)
    {
        if (at->name.empty() || at->name.size() > max_name_size)
            refuse(errc::bad_ticket_keys, at->name,
                   "its name must have 1 to 64 bytes, not " + std::to_string(at->name.size()));
        check_secret(*at);
        if (at->issue_until < at->not_before)
            refuse(errc::bad_ticket_keys, at->name, "issue_until is before not_before");
        if (at->accept_until < at->issue_until)
            refuse(errc::bad_ticket_keys, at->name, "accept_until is before issue_until");
        for (auto other = keys.begin(); other != at; ++other)
        {
            if (other->name == at->name)
                refuse(errc::bad_ticket_keys, at->name, "two keys have this name");
            if (other->secret == at->secret)
                refuse(errc::weak_ticket_key, at->name, "it has the same secret as key '" + other->name + "'");
        }
    }
}

void check_step(ticket_key_set const& from, ticket_key_set const& to, time_point now, std::chrono::seconds ticket_life)
{
    for (auto const& old : from)
    {
        auto const kept = std::ranges::find(to, old.secret, &ticket_key::secret);
        if (kept == to.end() && std::ranges::find(to, old.name, &ticket_key::name) != to.end())
            refuse(errc::bad_ticket_keys, old.name, "its secret has changed, so it needs another name");
        auto const needed = alive_until(old, now, ticket_life);
        if (now >= needed)
            continue;
        if (kept == to.end())
            refuse(errc::tickets_orphaned, old.name, "it is missing");
        if (kept->accept_until < needed)
            refuse(errc::tickets_orphaned, old.name, "its accept_until is before the end of its tickets");
    }
}

ticket_ring::ticket_ring(ticket_key_set keys)
{
    check_set(keys);
    std::ranges::stable_sort(keys, std::ranges::greater{}, &ticket_key::not_before);
    entries_.reserve(keys.size());
    for (auto& key : keys)
    {
        auto const id = ticket_key_id(key.secret);
        entries_.push_back({std::move(key), id});
        auto slot = slot_of(id);
        while (table_[slot] != 0)
            slot = (slot + 1) % slots;
        table_[slot] = static_cast<std::uint8_t>(entries_.size());
    }
}

ticket_ring::entry const* ticket_ring::issuer(time_point now) const noexcept
{
    auto const at =
        std::ranges::find_if(entries_, [&](entry const& e) { return role_at(e.key, now) == key_role::issuing; });
    return at != entries_.end() ? &*at : nullptr;
}

ticket_ring::entry const* ticket_ring::opener(key_id const& id, time_point now) const noexcept
{
    for (auto slot = slot_of(id); table_[slot] != 0; slot = (slot + 1) % slots)
        if (auto const& e = entries_[table_[slot] - 1u]; e.id == id)
            return role_at(e.key, now) != key_role::over ? &e : nullptr;
    return nullptr;
}

ticket_key_set ticket_ring::keys() const
{
    ticket_key_set result;
    result.reserve(entries_.size());
    std::ranges::transform(entries_, std::back_inserter(result), &entry::key);
    return result;
}

std::size_t ticket_ring::slot_of(key_id const& id) noexcept
{
    std::size_t word = 0;
    static_assert(sizeof word <= sizeof(key_id));
    std::memcpy(&word, id.data(), sizeof word);
    return word % slots;
}

} // namespace reprise::detail
