// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <string_view>

namespace reprise {

/** Make the storage that a line of text names, with default options: for configuration files and command lines.

    | line | storage |
    |---|---|
    | `memory` | memory_storage: this process |
    | `lmdb:PATH` | lmdb_storage in the directory PATH: survives a restart; shared by the processes of one machine |
    | `redis:URL` | redis_storage at URL, as `parse_redis_url` takes it: a fleet |

    `redis:` may be omitted before `redis://`, `rediss://` and `unix://`.

    The function is in the target `reprise::storages`, which links the storages of this build of reprise.

    @throws system_error `errc::bad_option`, if the line names no storage, or one that this build lacks; the exceptions
        of the storage's own `make`.
*/
[[nodiscard]] storage_ptr make_storage(std::string_view line);

} // namespace reprise
