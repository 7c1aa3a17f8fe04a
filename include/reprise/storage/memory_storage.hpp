// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/storage/immediate_storage.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace reprise {

struct memory_storage_options
{
    /// Memory for all entries and the tables that find them, in bytes; at least 4096 for each shard, which itself takes
    /// about 10 KB more. A TLS session without a client certificate takes about 300 bytes, so the default holds some
    /// 220 000.
    std::size_t max_bytes = 64u << 20;

    /// Independent parts, each with a lock of its own; 1 to 256, a power of two. A few per thread keep threads apart.
    std::size_t shards = 16;

    /// Where "now" comes from.
    clock now = system_clock();
};

/** A storage in this process's memory: bounded in bytes, least recently used (to the second) out first.

    Every operation completes without suspending, except for a `flush` that finds much: between parts of 256 entries it lets
    others run. What has expired is never served; its memory comes back at O(1) per entry, and nobody has to call `flush`:
    each write drops a few entries, at most a sixteenth of their lifetime late, so that there is never one long sweep.
    (`flush` is exact to the second.) Nor is there a table that is ever rebuilt. What is larger than a shard, or has a name
    of more than 65535 bytes, is not kept, and counts as evicted.
*/
class memory_storage final : public immediate_storage, public std::enable_shared_from_this<memory_storage>
{
public:
    /// @throws system_error `errc::bad_option`, if an option is out of bounds.
    [[nodiscard]] static std::shared_ptr<memory_storage> make(memory_storage_options options = {});

    ~memory_storage() override;

    bool read_now(std::string_view name, reader const& read) override;
    void put_now(std::string_view name, byte_view value, time_point expiry) override;
    std::optional<secret_bytes> take_now(std::string_view name) override;
    bool put_if_absent_now(std::string_view name, byte_view value, time_point expiry) override;
    bool erase_now(std::string_view name) override;
    asio::awaitable<std::size_t> flush() override;
    [[nodiscard]] storage_stats stats() const override;

private:
    class shard;

    explicit memory_storage(memory_storage_options options);
    [[nodiscard]] shard& shard_of(std::uint64_t hash) const;
    [[nodiscard]] static asio::awaitable<std::size_t> flush_in_slices(std::shared_ptr<memory_storage> self);

    memory_storage_options const options_;
    std::array<std::uint64_t, 6> const key_; // of the hash: nobody who chooses names can make them meet in one place
    std::vector<std::unique_ptr<shard>> shards_;
};

} // namespace reprise
