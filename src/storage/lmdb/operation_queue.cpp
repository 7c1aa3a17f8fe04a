// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/operation_queue.hpp"

namespace reprise::detail {

bool operation_queue::push(lmdb_operations& ops, bool urgent)
{
    bool wake = false;
    {
        std::lock_guard const lock{mutex_};
        if (is_closed_)
            return false;
        ops_.append(ops);
        wake = asleep_ > 0 || (urgent && napping_ > 0);
    }
    if (wake)
        come_.notify_one();
    return true;
}

bool operation_queue::pop(std::vector<lmdb_operation_ptr>& batch, std::size_t most_bytes,
                          std::chrono::steady_clock::time_point deadline)
{
    bool wake = false;
    {
        std::unique_lock lock{mutex_};
        auto const is_due = [this] { return !ops_.empty() || is_closed_; };
        ++napping_;
        for (int i = 0; i < naps_ && !is_due() && std::chrono::steady_clock::now() < deadline; ++i)
            come_.wait_for(lock, nap);
        --napping_;
        ++asleep_;
        come_.wait_until(lock, deadline, is_due);
        --asleep_;
        if (ops_.empty() && is_closed_)
            return false;
        for (std::size_t bytes = 0; !ops_.empty() && batch.size() < batch.capacity() && bytes < most_bytes;)
        {
            bytes += ops_.front().request.value.size();
            batch.push_back(ops_.pop_front());
        }
        wake = !ops_.empty() && asleep_ > 0; // a second reader may take the rest
    }
    if (wake)
        come_.notify_one();
    return true;
}

void operation_queue::close()
{
    {
        std::lock_guard const lock{mutex_};
        is_closed_ = true;
    }
    come_.notify_all();
}

} // namespace reprise::detail
