// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <array>
#include <string_view>

namespace reprise::detail {

/// The sections of INFO that name the data of a server. Before Redis 7 one INFO takes one section.
inline constexpr std::array<std::string_view, 3> epoch_sections{"server", "replication", "stats"};

/** The epoch of a server that answers INFO with these sections, one after the other.

    `run_id` changes with each start: the server then has what its snapshot or its append-only file has. `master_replid`
    changes when a replica takes over, which may lack the last changes. A replica is no authority, so its incarnation is
    unknown; so is that of a server whose answer lacks a field.
*/
[[nodiscard]] storage_epoch epoch_of(std::string_view info);

} // namespace reprise::detail
