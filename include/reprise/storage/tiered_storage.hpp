// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/immediate_storage.hpp>

#include <chrono>
#include <memory>

namespace reprise {

struct tiered_storage_options
{
    /// What this process asks first: a memory_storage, as a rule. Mandatory.
    std::shared_ptr<immediate_storage> near{};

    /// What all processes share, and what decides. Mandatory. All who share it use a tiered_storage: values carry their
    /// expiry in it.
    storage_ptr far{};

    /// How long a copy near by may serve `get` before the far storage is asked again, and so how long `get` may serve here
    /// what was taken, erased or replaced by another process. 1 s to 7 days. Longer saves round trips; it also is how long
    /// this process resumes from memory while the far storage is down.
    std::chrono::seconds near_ttl{60};

    /// Where "now" comes from.
    clock now = system_clock();
};

/** A storage of this process in front of one that a fleet shares: the second lookup of a name costs no round trip.

    @li `get` asks near, then far, and keeps what it finds far away near by as well.
    @li `put` writes near at once, then far. If far fails, so does `put`, but near has the value: a client that comes back
        to this process finds it.
    @li `take`, `put_if_absent` and `erase` are decided by far, always, and nothing near is left: single use holds between
        the tiers and between processes. If far fails, they fail.

    Once one of these three, or `put`, has succeeded here, a `get` that begins here later serves no older value from near,
    however the steps of all of them run into one another. Between processes the bound is `near_ttl`. A far record that was not written by a tiered_storage is a miss
    and counted in `storage_stats::rejected`. Far values are 9 bytes longer, and so are near ones.

    A name that is only ever taken, as those of TLS 1.3 tickets are, is asked for far away each time; `put` keeps a copy
    near by all the same, for up to `near_ttl`.
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

    /// Of the far storage.
    asio::awaitable<void> check() override;

    /// Both; the number counts copies near by as well.
    asio::awaitable<std::size_t> flush() override;

    /// Sums of both: what is in both counts twice.
    [[nodiscard]] storage_stats stats() const override;

private:
    class impl;
    class change;

    explicit tiered_storage(tiered_storage_options options);

    std::shared_ptr<impl> const impl_; // shared with operations that go on after this object
};

} // namespace reprise
