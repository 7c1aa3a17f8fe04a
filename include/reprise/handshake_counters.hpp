// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/observer.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace reprise {

/// Number of handshakes by outcome. Each counter is exact; together they are not one snapshot.
struct handshake_counts
{
    std::uint64_t full = 0;
    std::uint64_t resumed = 0;
    std::uint64_t failed = 0;
    std::uint64_t sessions = 0; ///< sessions kept for later

    std::array<std::uint64_t, resumption_kind_count> resumed_by_kind{}; ///< by `resumption_kind`
    std::array<std::uint64_t, full_reason_count> full_by_reason{};      ///< by `full_handshake_reason`

    std::uint64_t early_accepted = 0;
    std::uint64_t early_rejected = 0;
};

/** An observer that counts. Use one for all clients of a program, or one for each part of it.

    @par Thread Safety
    Distinct and shared objects: safe. Counting takes no lock.
*/
class handshake_counters final : public observer
{
public:
    void on_handshake(std::string_view peer, handshake_info const& info) noexcept override;
    void on_failure(std::string_view peer, error_code why) noexcept override;
    void on_session(std::string_view peer, tls_version version) noexcept override;

    [[nodiscard]] handshake_counts counts() const noexcept;

private:
    using counter = std::atomic<std::uint64_t>;

    std::array<counter, resumption_kind_count> resumed_{};
    std::array<counter, full_reason_count> full_{};
    counter failed_{0};
    counter sessions_{0};
    counter early_accepted_{0};
    counter early_rejected_{0};
};

} // namespace reprise
