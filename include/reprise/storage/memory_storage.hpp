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
    /// Memory for all entries and their index tables, in bytes. At least 4096 for each shard; a shard itself takes
    /// about 10 KB more. A TLS session without a client certificate takes about 300 bytes, so the default holds about
    /// 220 000 sessions.
    std::size_t max_bytes = 64u << 20;

    /// Independent parts, each with its own lock. 1 to 256, a power of two. A few shards per thread avoid lock
    /// contention.
    std::size_t shards = 16;

    /// Clock that supplies the current time.
    clock now = system_clock();
};

/** A storage in the memory of this process, bounded in bytes. Evicts the least recently used entry first, to the
    second.

    Every operation completes without suspending, except a `flush` that finds many expired entries: it yields after
    every 256 entries.

    Expired entries are never served. Each write drops a few expired entries, at most a sixteenth of their lifetime
    late, at O(1) per entry. So there is never one long sweep, and `flush` is optional; `flush` is exact to the second.
    No table is ever rebuilt.

    An entry that is larger than a shard, or has a name of more than 65535 bytes, is not stored and counts as evicted.
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
    std::array<std::uint64_t, 6> const key_; // of the hash: stops attackers from choosing colliding names
    std::vector<std::unique_ptr<shard>> shards_;
};

} // namespace reprise
