// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/ticket_key.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace reprise::detail {

/// The role of a key at one time.
enum class key_role
{
    incoming, ///< opens; another server, whose clock is ahead, may issue with it already
    issuing,  ///< opens, and issues unless a newer key does
    retired,  ///< opens
    over,
};

[[nodiscard]] key_role role_at(ticket_key const& key, time_point now) noexcept;

/// The id of a key in tickets: the first bytes of their name field (RFC 5077, 4), derived from the secret.
using key_id = std::array<unsigned char, 8>;

/// Check that these keys can be used together.
/// @throws system_error `errc::weak_ticket_key`, `errc::bad_ticket_keys`, naming the key.
void check_set(ticket_key_set const& keys);

/** Check that a change of keys orphans no tickets. Tickets live for `ticket_life`.

    @throws system_error `errc::tickets_orphaned`, if live tickets of a key of `from` could not be opened any more,
        because `to` lacks the key or accepts it for a shorter time; `errc::bad_ticket_keys`, if a name has got another
        secret.
*/
void check_step(ticket_key_set const& from, ticket_key_set const& to, time_point now, std::chrono::seconds ticket_life);

/** Keys to look up: the newest that issues, and the key that a ticket names.

    @par Thread Safety
    Shared objects: safe, because a ring does not change.
*/
class ticket_ring
{
public:
    /// Make an empty ring: no key issues and none opens.
    ticket_ring() = default;

    /// @throws as check_set.
    explicit ticket_ring(ticket_key_set keys);

    struct entry
    {
        ticket_key key;
        key_id id;
    };

    /// The key that issues at `now`, or null.
    [[nodiscard]] entry const* issuer(time_point now) const noexcept;

    /// The key that opens a ticket of this name at `now`, or null. In constant time.
    [[nodiscard]] entry const* opener(key_id const& id, time_point now) const noexcept;

    [[nodiscard]] ticket_key_set keys() const;
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    static constexpr std::size_t slots = 4 * max_ticket_keys; // sparse, so that a search ends soon

    [[nodiscard]] static std::size_t slot_of(key_id const& id) noexcept;

    std::vector<entry> entries_;              // newest first
    std::array<std::uint8_t, slots> table_{}; // 1 + index into entries_, open addressing; 0 for none
};

} // namespace reprise::detail
