// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/immediate_storage.hpp>

#include <chrono>
#include <memory>

namespace reprise {

struct tiered_storage_options
{
    /// The near storage, which this process reads first: usually a memory_storage. Mandatory.
    std::shared_ptr<immediate_storage> near{};

    /// The far storage, which all processes share and which decides. Mandatory. All processes that share it must use a
    /// tiered_storage, because far values contain their expiry.
    storage_ptr far{};

    /// How long `get` may use a near copy before it reads the far storage again. 1 s to 7 days. So this is also how
    /// long `get` may return a value here that another process has taken, erased or replaced. A longer time saves round
    /// trips, and lets this process resume from memory longer while the far storage is down.
    std::chrono::seconds near_ttl{60};

    /// Clock that supplies the current time.
    clock now = system_clock();
};

/** A storage of this process in front of one that a fleet shares: the second lookup of a name costs no round trip.

    @li `get` reads near, then far, and copies what it finds far to near.
    @li `put` writes near at once, then far. If far fails, `put` fails, but near has the value: a client that comes back
        to this process finds it.
    @li `take`, `put_if_absent` and `erase` are always decided by far and leave no copy in near. So single use holds
        between the tiers and between processes. If far fails, they fail.

    After one of `put`, `take`, `put_if_absent` and `erase` has succeeded here, a `get` that begins later here returns
    no older value from near, however the operations interleave. Between processes the bound is `near_ttl`.

    A far record that was not written by a tiered_storage is a miss and counts in `storage_stats::rejected`. Near and
    far values are 9 bytes longer than the value itself.

    A name that is only taken, as for TLS 1.3 tickets, is read from far each time. `put` nevertheless keeps a near copy,
    for up to `near_ttl`.
*/
class tiered_storage final : public storage
{
public:
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<tiered_storage> make(tiered_storage_options options);

    ~tiered_storage() override;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<bool> erase(std::string name) override;

    /// @name With the epoch of the far storage
    /// @{
    asio::awaitable<with_epoch<bool>> put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                               time_point expiry) override;
    asio::awaitable<with_epoch<std::optional<secret_bytes>>> take_with_epoch(std::string name) override;
    asio::awaitable<storage_epoch> epoch() override;
    /// @}

    [[nodiscard]] bool is_process_local() const noexcept override;

    /// Checks the far storage.
    asio::awaitable<void> check() override;

    /// Flushes both storages. @return The number of dropped entries, including near copies.
    asio::awaitable<std::size_t> flush() override;

    /// Sums of both storages: an entry in both counts twice.
    [[nodiscard]] storage_stats stats() const override;

private:
    class impl;
    class change;

    explicit tiered_storage(tiered_storage_options options);

    std::shared_ptr<impl> const impl_; // shared with operations that go on after this object
};

} // namespace reprise
