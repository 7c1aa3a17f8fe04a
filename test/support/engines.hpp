// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/stream/tls_engine.hpp>

#include <algorithm>

namespace test {

/// Move ciphertext from one engine to the other, as much as the receiver takes at once. False if there is nothing to
/// move.
inline bool deliver(reprise::detail::tls_engine& from, reprise::detail::tls_engine& to)
{
    auto const bytes = from.output();
    if (bytes.empty())
        return false;
    auto const room = to.room();
    auto const size = std::min(bytes.size(), room.size());
    std::copy_n(bytes.begin(), size, room.begin());
    to.feed(size);
    from.sent(size);
    return true;
}

} // namespace test
