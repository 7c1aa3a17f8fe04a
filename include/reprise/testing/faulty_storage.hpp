// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace reprise::testing {

/// An operation of a storage.
enum class storage_operation
{
    get,
    put,
    take,
    put_if_absent,
    erase,
    flush,
};

/// The fault that an operation has.
enum class storage_fault
{
    none,

    /// Throw `asio::error::connection_refused`, without calling the inner storage.
    fail,

    /// Perform the operation in the inner storage, but lose the answer: throw `asio::error::connection_reset`.
    fail_after,

    /// Wait until `release` is called, then perform the operation.
    hold,

    /// Perform the operation, then hold its answer until `release` is called.
    hold_after,

    /// Never complete, unless the operation is cancelled.
    hang,

    /// Flip a bit in the middle of the value that is written or read. An empty or missing value stays as it is.
    corrupt,

    /// Lose the operation. Writes and erasures are confirmed but not performed (`put_if_absent`, `erase`: true;
    /// `flush`: 0). Reads are misses.
    lose,
};

/// Chooses the fault of an operation, which is the `nth` of this storage, from 0. Called from the threads of the
/// operations.
using fault_plan = std::function<storage_fault(storage_operation operation, std::size_t nth)>;

/// A plan with this fault for the `nth` operation of all, from 0, and none for the others.
[[nodiscard]] fault_plan nth_operation(std::size_t nth, storage_fault fault);

/// A plan with this fault for each operation of this kind, and none for the others.
[[nodiscard]] fault_plan each(storage_operation operation, storage_fault fault);

/** A storage that adds planned faults to another storage, for tests.

    An operation that is cancelled while it waits throws `operation_aborted`. If its answer was held, the operation has
    been performed.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class faulty_storage final : public storage
{
public:
    /// Create a faulty storage in front of `inner`. Without a plan there are no faults.
    [[nodiscard]] static std::shared_ptr<faulty_storage> make(storage_ptr inner, fault_plan plan = {});

    ~faulty_storage() override;

    /// Set the plan for later operations. Operations are counted from 0 again.
    void set_plan(fault_plan plan);

    /// Release all operations that are held now. Later operations are held anew.
    void release();

    /// Number of operations that are held or hang now.
    [[nodiscard]] std::size_t waiting() const;

    /// Number of operations that have begun under the current plan.
    [[nodiscard]] std::size_t operations() const;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<bool> erase(std::string name) override;

    /// @name With the epoch of the inner storage
    /// @{
    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) override;
    asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name) override;
    asio::awaitable<storage_epoch> epoch() override;
    /// @}

    [[nodiscard]] bool is_process_local() const noexcept override;
    asio::awaitable<std::size_t> flush() override;
    [[nodiscard]] storage_stats stats() const override;

private:
    class impl;

    faulty_storage(storage_ptr inner, fault_plan plan);

    storage_ptr const inner_;
    std::shared_ptr<impl> const impl_; // shared with operations that go on after this object
};

} // namespace reprise::testing
