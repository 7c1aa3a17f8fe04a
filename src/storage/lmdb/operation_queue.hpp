// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/lmdb/operation.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

namespace reprise::detail {

/** Operations for the threads that carry them out.

    To wake a thread that sleeps costs the caller more than all the rest. So a thread that has just worked takes naps first,
    and finds by itself what is not urgent.
*/
class operation_queue
{
public:
    /// How often, and how long, a thread that finds nothing looks again before it sleeps.
    explicit operation_queue(int naps) noexcept : naps_(naps) {}
    static constexpr auto nap = std::chrono::milliseconds{1};

    /// Take all of `ops`. False, and nothing is taken, if it is closed. Wakes a thread if it sleeps, or if something urgent
    /// finds it napping.
    [[nodiscard]] bool push(lmdb_operations& ops, bool urgent);

    /// Move operations to the end of `batch`: no more than it has capacity for, and none after their values have come to
    /// `most_bytes`. Waits for the first one until `deadline`, or for some naps. False if it is closed and empty.
    [[nodiscard]] bool pop(std::vector<lmdb_operation_ptr>& batch, std::size_t most_bytes,
                           std::chrono::steady_clock::time_point deadline);

    void close();

private:
    std::mutex mutex_;
    std::condition_variable come_;
    lmdb_operations ops_;
    int const naps_;
    std::size_t asleep_ = 0;
    std::size_t napping_ = 0;
    bool is_closed_ = false;
};

} // namespace reprise::detail
