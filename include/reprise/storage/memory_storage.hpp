// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/storage.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace reprise {

struct memory_storage_options
{
    /// Memory for all entries, in bytes, with their overhead; at least 4096 for each shard. A TLS session without a client
    /// certificate takes about 300 bytes, so the default holds some 200 000.
    std::size_t max_bytes = 64u << 20;

    /// Independent parts, each with a lock of its own; 1 to 256, a power of two. A few per thread keep threads apart.
    std::size_t shards = 16;

    /// Where "now" comes from.
    clock now = system_clock();
};

/** A storage in this process's memory: bounded in bytes, least recently used out first.

    Every operation completes without suspending. Expiry costs O(1) per entry: each write sweeps the few entries whose time
    has come, so that there is never one long sweep.
*/
class memory_storage final : public storage
{
public:
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<memory_storage> make(memory_storage_options options = {});

    ~memory_storage() override;

    asio::awaitable<std::optional<secret_bytes>> get(std::string name) override;
    asio::awaitable<void> put(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<std::optional<secret_bytes>> take(std::string name) override;
    asio::awaitable<bool> put_if_absent(std::string name, secret_bytes value, time_point expiry) override;
    asio::awaitable<bool> erase(std::string name) override;
    asio::awaitable<std::size_t> flush() override;
    [[nodiscard]] bool answers_at_once() const noexcept override { return true; }
    [[nodiscard]] storage_stats stats() const override;

private:
    class shard;

    explicit memory_storage(memory_storage_options options);
    [[nodiscard]] shard& shard_of(std::string const& name) const;

    memory_storage_options const options_;
    std::size_t const salt_; // names come from the wire: nobody may choose them to meet in one shard
    std::vector<std::unique_ptr<shard>> shards_;
};

} // namespace reprise
