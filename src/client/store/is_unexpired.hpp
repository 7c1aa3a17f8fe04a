// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>
#include <reprise/session.hpp>

namespace reprise::detail {

/// Whether the session's own lifetime has not ended. The connection makes the other checks.
[[nodiscard]] inline bool is_unexpired(session const& s, time_point now) noexcept
{
    return now - s.issued_at() < s.lifetime(); // a hostile issue time must not overflow a sum
}

} // namespace reprise::detail
