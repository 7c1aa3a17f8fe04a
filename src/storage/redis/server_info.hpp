// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <array>
#include <string_view>

namespace reprise::detail {

/// The sections of INFO that identify a server's data. Before Redis 7, one INFO takes only one section.
inline constexpr std::array<std::string_view, 3> epoch_sections{"server", "replication", "stats"};

/** Read the epoch of a server from its answers to INFO with these sections, one after the other.

    `run_id` changes with each start: the server then has what its snapshot or its append-only file has. `master_replid`
    changes when a replica takes over, which may lack the last changes. The incarnation of a replica is unknown, because
    a replica is no authority. It is also unknown if an answer lacks one of these fields.
*/
[[nodiscard]] storage_epoch epoch_of(std::string_view info);

} // namespace reprise::detail
