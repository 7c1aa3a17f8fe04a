// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/secret_bytes.hpp>
#include <reprise/tls/session.hpp>

#include <array>
#include <mutex>
#include <optional>
#include <vector>

namespace reprise::detail {

/** The sessions that this process has made or decoded last, by their records.

    Decoding is the dearest part of a look-up. The storage is asked all the same: it alone knows what still exists and
    what was taken. This only spares decoding the same bytes again.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class decoded_sessions
{
public:
    /// Keeps at most `capacity` sessions; of two that fall on one slot, the later.
    explicit decoded_sessions(std::size_t capacity) : slots_(capacity) {}

    void keep(byte_view record, session const& decoded);
    [[nodiscard]] std::optional<session> find(byte_view record) const;

    /// Drop the session of a record that is not coming back.
    void forget(byte_view record) noexcept;

private:
    struct slot
    {
        secret_bytes record;
        std::optional<session> decoded;
    };

    [[nodiscard]] std::size_t index_of(byte_view record) const noexcept;
    [[nodiscard]] std::mutex& mutex_of(std::size_t index) const noexcept { return mutexes_[index % mutexes_.size()]; }

    std::vector<slot> slots_;
    mutable std::array<std::mutex, 16> mutexes_;
};

} // namespace reprise::detail
