// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/early_data_reason.hpp>
#include <reprise/session.hpp>
#include <reprise/storage/storage.hpp>

#include <optional>
#include <string_view>

namespace reprise::detail {

/* Which existence of a storage a session was stored in. A storage that goes back in time has a session again that was
   taken, so a copy of the first flight finds it. A session that is good for one use says at the end of its ticket appdata
   where it was stored, and carries early data only when it is taken there. */

/// The session, bound to an incarnation that is not empty. Nothing, if OpenSSL has no memory.
[[nodiscard]] std::optional<session> bind_to_incarnation(session const& made, std::string_view incarnation);

/// Whether a session that was taken in `taken_in` cannot have been taken before; if not, why early data is refused.
[[nodiscard]] early_data_reason judge_bond(SSL_SESSION* taken, storage_epoch const& taken_in) noexcept;

} // namespace reprise::detail
