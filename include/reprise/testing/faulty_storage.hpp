// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace reprise::testing {

/// What is asked of a storage.
enum class storage_operation
{
    get,
    put,
    take,
    put_if_absent,
    erase,
    flush,
};

/// What goes wrong with an operation.
enum class storage_fault
{
    none,

    /// It throws `asio::error::connection_refused`; the inner storage is not asked.
    fail,

    /// The inner storage does it, and the answer is lost: it throws `asio::error::connection_reset`.
    fail_after,

    /// It waits until `release` is called, then it is done.
    hold,

    /// It is done, and its answer waits until `release` is called.
    hold_after,

    /// It never ends, unless it is cancelled.
    hang,

    /// A bit in the middle of the value is flipped, on its way in or out. An empty value, or none, stays as it is.
    corrupt,

    /// What is to be written or erased is confirmed and forgotten (`put_if_absent`, `erase`: true; `flush`: 0), what is to
    /// be read is a miss.
    lose,
};

/// What happens to an operation, which is the `nth` of this storage, from 0. Called from the threads of the operations.
using fault_plan = std::function<storage_fault(storage_operation operation, std::size_t nth)>;

/// This fault for the `nth` operation of all, from 0, and none for the others.
[[nodiscard]] fault_plan nth_operation(std::size_t nth, storage_fault fault);

/// This fault for each operation of this kind, and none for the others.
[[nodiscard]] fault_plan each(storage_operation operation, storage_fault fault);

/** A storage with the faults that a test plans, in front of one that works.

    An operation that is cancelled while it waits throws `operation_aborted`. If its answer was held, it has been done.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class faulty_storage final : public storage
{
public:
    /// In front of `inner`, without faults until there is a plan.
    [[nodiscard]] static std::shared_ptr<faulty_storage> make(storage_ptr inner, fault_plan plan = {});

    ~faulty_storage() override;

    /// From now on. Operations are counted from 0 again.
    void set_plan(fault_plan plan);

    /// Let all operations that are held now go on. Those that come later are held anew.
    void release();

    /// How many are held, or hang, now.
    [[nodiscard]] std::size_t waiting() const;

    /// How many operations have begun under this plan.
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
