// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/lmdb/operation.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

namespace reprise::detail {

/** Queue of operations for the threads that carry them out.

    Waking a sleeping thread is the largest cost for the caller. So a thread that has just worked naps before it sleeps,
    and finds operations that are not urgent by itself.
*/
class operation_queue
{
public:
    /// `naps` is how often an idle thread naps, for the length of `nap`, before it sleeps.
    explicit operation_queue(int naps) noexcept : naps_(naps) {}
    static constexpr auto nap = std::chrono::milliseconds{1};

    /// Take all of `ops`. Returns false, and takes nothing, if the queue is closed. Wakes a sleeping thread; wakes a
    /// napping thread only if the operations are urgent.
    [[nodiscard]] bool push(lmdb_operations& ops, bool urgent);

    /// Move operations to the end of `batch`, up to its capacity, until their values reach `most_bytes` in total. Waits
    /// for the first operation until `deadline`, with naps first. Returns false if the queue is closed and empty.
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
