// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "server/tickets/generations.hpp"

#include <reprise/detail/base/aead.hpp>
#include <reprise/secret_bytes.hpp>

#include <chrono>
#include <optional>
#include <string>

namespace reprise::detail {

/** The ticket keys of a fleet as records of a storage: sealed under the fleet's secret, each bound to its name.

    Names depend on the secret too:
    @li Servers with a wrong secret never find these records, so they do not take them for damaged.
    @li A client that guesses names cannot have a record looked up as a session.
    @li A record that does not open under such a name was changed from outside.
*/
class fleet_records
{
public:
    /// @param secret Must pass `is_plausible_key`.
    fleet_records(byte_view secret, std::string const& fleet, std::chrono::seconds every);

    [[nodiscard]] std::string name_of(generation g) const;
    [[nodiscard]] secret_bytes seal(generation g, ticket_key const& key) const;

    /// Return the key, if the record is one of this fleet and generation.
    [[nodiscard]] std::optional<ticket_key> open(generation g, byte_view record) const;

private:
    fleet_records(keyed_hash const& secret, std::string const& fleet, std::chrono::seconds every);

    std::string prefix_;
    std::chrono::seconds every_;
    aead cipher_;
};

} // namespace reprise::detail
