// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>
#include <reprise/session.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace reprise::detail {

/** The sessions that this process has made or decoded last, by their records.

    Decoding is the dearest part of a lookup. The storage is asked all the same: it alone knows what still exists and
    what was taken. This only spares decoding the same bytes again.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class decoded_sessions
{
public:
    /// Keeps at most `capacity` sessions, and no more than `bytes_for_each` of memory for each of these (`session::size`, and
    /// the record); of two that fall on one slot, the later.
    explicit decoded_sessions(std::size_t capacity) : slots_(capacity) {}

    static constexpr std::size_t bytes_for_each = 32 * 1024;

    void keep(byte_view record, session const& decoded);
    [[nodiscard]] std::optional<session> find(byte_view record) const;

    /// The memory that they take.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

    /// Drop the session of a record that is not coming back.
    void forget(byte_view record) noexcept;

private:
    struct slot
    {
        secret_bytes record;
        std::optional<session> decoded;

        [[nodiscard]] std::size_t size() const noexcept { return decoded ? record.size() + decoded->size() : 0; }
    };

    void replace(std::size_t index, slot with) noexcept;
    void make_room() noexcept;

    [[nodiscard]] std::size_t index_of(byte_view record) const noexcept;
    [[nodiscard]] std::mutex& mutex_of(std::size_t index) const noexcept { return mutexes_[index % mutexes_.size()]; }

    std::vector<slot> slots_;
    mutable std::array<std::mutex, 16> mutexes_;
    std::atomic<std::size_t> bytes_{0};
    std::atomic<std::size_t> next_{0}; // to be emptied, if there is too much
};

} // namespace reprise::detail
