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

/** Caches the sessions that this process made or decoded last, by their records.

    Decoding is the most expensive part of a lookup. The storage is read nevertheless, because only the storage knows
    which sessions exist and which were taken. The cache only avoids decoding the same bytes again.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class decoded_sessions
{
public:
    /// Keep at most `capacity` sessions, and at most `capacity * bytes_for_each` bytes (`session::size` and the
    /// record). Of two sessions in the same slot, the later stays.
    explicit decoded_sessions(std::size_t capacity) : slots_(capacity) {}

    static constexpr std::size_t bytes_for_each = 32 * 1024;

    void keep(byte_view record, session const& decoded);
    [[nodiscard]] std::optional<session> find(byte_view record) const;

    /// Memory in use, in bytes.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

    /// Drop the session of a record that will not be read again.
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
    std::atomic<std::size_t> next_{0}; // slot to empty next, if the memory limit is exceeded
};

} // namespace reprise::detail
