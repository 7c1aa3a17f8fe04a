// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/early_data_reason.hpp>
#include <reprise/session.hpp>
#include <reprise/storage/storage.hpp>

#include <optional>
#include <string_view>

namespace reprise::detail {

/* Binds a session to the incarnation of the storage that stores it. A storage that goes back in time again has a
   session that was taken, so a copy of the first flight finds it. So a single-use session names its incarnation at the
   end of its ticket appdata. It carries early data only if it is taken in that incarnation. */

/// Return the session, bound to an incarnation that is not empty. Returns nothing if OpenSSL has no memory.
[[nodiscard]] std::optional<session> bind_to_incarnation(session const& made, std::string_view incarnation);

/// Return `none` if a session that was taken in `taken_in` cannot have been taken before; else why early data is
/// refused.
[[nodiscard]] early_data_reason judge_bond(SSL_SESSION* taken, storage_epoch const& taken_in) noexcept;

} // namespace reprise::detail
