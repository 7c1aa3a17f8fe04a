// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/tickets/generations.hpp"

#include <reprise/detail/base/aead.hpp>
#include <reprise/secret_bytes.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace reprise::detail {

/** The keys of a fleet as a storage holds them: sealed under the fleet's secret, each bound to its name.

    Names depend on the secret too. So servers that have another one by mistake never find these records and take them for
    damaged, no client that guesses names can have one looked up as a session, and what does not open under a name of ours
    has been changed by somebody.
*/
class fleet_records
{
public:
    /// @param secret That `is_plausible_key`.
    fleet_records(byte_view secret, std::string const& fleet, std::chrono::seconds every);

    [[nodiscard]] std::string name_of(generation g) const;
    [[nodiscard]] secret_bytes seal(generation g, ticket_key const& key) const;

    /// The key, if this is one of this fleet and generation.
    [[nodiscard]] std::optional<ticket_key> open(generation g, byte_view record) const;

private:
    fleet_records(keyed_hash const& secret, std::string const& fleet, std::chrono::seconds every);

    std::string prefix_;
    std::chrono::seconds every_;
    aead cipher_;
};

} // namespace reprise::detail
