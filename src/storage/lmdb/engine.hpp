// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "storage/lmdb/environment.hpp"
#include "storage/lmdb/operation.hpp"
#include "storage/lmdb/operation_queue.hpp"
#include "storage/lmdb/table.hpp"

#include <reprise/storage/lmdb_storage.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace reprise::detail {

class lmdb_departure;

/** The threads of an lmdb_storage and their shared state.

    Shared by the storage, its threads and the operations. The files are closed when the last thread ends.

    Operations are passed on together. The first operation of an executor posts a task there. The task passes on all
    operations that have come by then, also those of other executors. So one wake-up serves all coroutines that were
    ready. This adds no latency: an answer could not reach the caller before the handlers that were ready already.
*/
class lmdb_engine : public std::enable_shared_from_this<lmdb_engine>
{
public:
    /// Open the files. @throws system_error.
    explicit lmdb_engine(lmdb_storage_options options);

    /// Start the threads. Call once.
    void start();

    /// Finish queued operations, then end the threads. Waits for the threads, unless one of them makes this call.
    void stop() noexcept;

    /// Reserve room for an operation, in bytes. Returns false if there is none.
    [[nodiscard]] bool reserve(std::size_t bytes) noexcept;
    void release(std::size_t bytes) noexcept { queued_bytes_ -= bytes; }

    /// Take over an operation that was begun on `executor`. The operation will complete.
    void start(lmdb_operation_ptr op, asio::any_io_executor const& executor) noexcept;

    [[nodiscard]] storage_stats stats() const noexcept;
    [[nodiscard]] lmdb_stats more_stats() const noexcept;
    /// The incarnation of the files, until they are closed.
    [[nodiscard]] std::string_view incarnation() const noexcept { return incarnation_; }
    [[nodiscard]] std::string path() const { return options_.path.string(); }

private:
    friend class lmdb_departure;
    using ops_span = std::span<lmdb_operation_ptr>;

    void pass_on() noexcept;
    void queue(operation_queue& to, lmdb_operations& ops, bool urgent) noexcept;
    using batch = std::vector<lmdb_operation_ptr>;

    void launch(char const* name, void (lmdb_engine::*work)(batch&), std::size_t most);
    void read(batch& ops);
    void write(batch& ops);

    void answer_reads(lmdb_read& txn, ops_span ops) noexcept;
    void write_all(ops_span ops) noexcept;
    void write_at_once(ops_span ops);
    void write_one(lmdb_table& table, lmdb_operation& op, time_point now, lmdb_dropped& dropped);
    void keep(lmdb_table& table, index_key const& name, lmdb_request const& r, time_point now, lmdb_dropped& dropped);
    void fail(ops_span ops, error_code ec) noexcept;
    [[nodiscard]] bool make_room(std::size_t entries) noexcept;
    void expire_slice() noexcept;
    void keep_house() noexcept;
    void finish(lmdb_write& txn, lmdb_table& table, lmdb_dropped const& dropped);
    static std::size_t drop_until(lmdb_table& table, time_point not_after, std::size_t most, lmdb_dropped& dropped);

    lmdb_storage_options const options_;
    std::uint64_t const largest_value_;
    std::unique_ptr<lmdb_environment> env_;
    std::string const incarnation_;
    std::uint64_t unique_;     // used by the writer only
    lmdb_operations flushing_; // used by the writer only

    std::mutex leaving_mutex_; // guards leaving_ and departure_
    lmdb_operations leaving_;
    lmdb_departure* departure_ = nullptr; // the last one that was posted, until it has run

    operation_queue reads_{0};
    operation_queue writes_{20};
    std::vector<std::thread> threads_;
    std::atomic<std::size_t> running_{0};
    std::atomic<std::size_t> queued_bytes_{0};

    std::atomic<std::uint64_t> entries_{0};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> expired_{0};
    std::atomic<std::uint64_t> evicted_{0};
    std::atomic<std::uint64_t> batches_{0};
    std::atomic<std::uint64_t> queue_full_{0};
    std::atomic<std::uint64_t> failed_{0};
    std::atomic<std::uint64_t> unreadable_{0};
};

} // namespace reprise::detail
