// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <string_view>

namespace reprise {

/** The storage that one line names, with its default options: for configuration files and command lines.

    | line | storage |
    |---|---|
    | `memory` | memory_storage: this process |
    | `lmdb:PATH` | lmdb_storage in the directory PATH: survives a restart, and the processes of one machine share it |
    | `redis:URL` | redis_storage at URL, as `parse_redis_url` takes it: a fleet. `redis:` may be left out before `redis://`, `rediss://` and `unix://` |

    It is in the target `reprise::storages`, which links what this build of reprise has.

    @throws system_error `errc::bad_option`, if the line names no storage, or one that this build lacks; what the storage's
        own `make` throws.
*/
[[nodiscard]] storage_ptr make_storage(std::string_view line);

} // namespace reprise
