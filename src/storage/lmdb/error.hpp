// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/lmdb_error.hpp>

namespace reprise::detail {

/// Convert the result of an LMDB function to an error: LMDB's own, or the system's.
[[nodiscard]] error_code lmdb_error(int returned) noexcept;

/// @throws system_error, unless `returned` is MDB_SUCCESS.
void check_lmdb(int returned, char const* what);

} // namespace reprise::detail
