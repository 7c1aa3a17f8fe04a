// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/require_option.hpp"
#include "expiry_field.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/tiered_storage.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>

namespace reprise {

namespace {

// A record: version, expiry, value. `get` returns no expiry, and a near copy must not outlive the far entry.
constexpr unsigned char record_version = 1;
constexpr std::size_t header_size = 1 + detail::expiry_field_size;

secret_bytes make_record(secret_bytes const& value, time_point expiry)
{
    secret_bytes record(header_size + value.size());
    *record.data() = record_version;
    detail::write_expiry(std::span<unsigned char, detail::expiry_field_size>{record.data() + 1, header_size - 1},
                         expiry);
    std::ranges::copy(value.view(), record.data() + header_size);
    return record;
}

bool is_record(byte_view bytes)
{
    return bytes.size() >= header_size && bytes.front() == record_version;
}

time_point expiry_of(byte_view record)
{
    return detail::read_expiry(record.subspan<1, detail::expiry_field_size>());
}

secret_bytes value_of(byte_view record)
{
    return secret_bytes{record.subspan(header_size)};
}

/* Tracks the pending operations on each name, so that a near copy is made only if no other writer interfered.

   A name has an entry while an operation on it waits for the far storage. A change of the near storage under the
   entry's lock cannot race with other operations on the name. */
class pending_operations
{
    struct entry
    {
        std::size_t operations = 0;
        std::size_t writers = 0;
        std::uint64_t changes = 0; // writers that have begun or ended
    };

    struct shard
    {
        std::mutex mutex;
        std::unordered_map<std::string, entry> pending;
    };

public:
    enum class role
    {
        reader,
        writer,
    };

    class operation
    {
    public:
        operation(pending_operations& table, std::string const& name, role r) : shard_(table.shard_of(name)), role_(r)
        {
            std::lock_guard const guard{shard_.mutex};
            entry_ = &*shard_.pending.try_emplace(name).first;
            ++state().operations;
            count_writer(1);
            seen_ = state().changes;
        }
        operation(operation const&) = delete;
        operation& operator=(operation const&) = delete;

        // Also runs if the coroutine is destroyed instead of resumed.
        ~operation()
        {
            std::lock_guard const guard{shard_.mutex};
            count_writer(static_cast<std::size_t>(-1));
            if (--state().operations == 0)
                shard_.pending.erase(shard_.pending.find(entry_->first));
        }

        [[nodiscard]] std::unique_lock<std::mutex> lock() const { return std::unique_lock{shard_.mutex}; }

        /// Whether no other writer has begun or ended since this operation began, and none is pending. Call under the
        /// lock.
        [[nodiscard]] bool is_undisturbed() const
        {
            return state().changes == seen_ && state().writers == (role_ == role::writer ? 1 : 0);
        }

    private:
        [[nodiscard]] entry& state() const { return entry_->second; }

        void count_writer(std::size_t change)
        {
            if (role_ == role::reader)
                return;
            state().writers += change;
            ++state().changes;
        }

        shard& shard_;
        role const role_;
        std::pair<std::string const, entry>* entry_ = nullptr; // stays valid while the table changes
        std::uint64_t seen_ = 0;
    };

private:
    shard& shard_of(std::string const& name)
    {
        return shards_[std::hash<std::string>{}(name) >> 16 & (shards_.size() - 1)];
    }

    std::array<shard, 16> shards_;
};

} // namespace

class tiered_storage::impl
{
public:
    explicit impl(tiered_storage_options options)
        : near(std::move(options.near)), far(std::move(options.far)), near_ttl_(options.near_ttl),
          now_(std::move(options.now))
    {
    }

    std::shared_ptr<immediate_storage> const near;
    storage_ptr const far;
    pending_operations pending;
    std::atomic<std::uint64_t> rejected{0};

    [[nodiscard]] time_point near_expiry(time_point expiry) const { return std::min(expiry, now_() + near_ttl_); }

    [[nodiscard]] bool is_usable(std::optional<secret_bytes> const& record)
    {
        if (!record)
            return false;
        if (is_record(*record) && expiry_of(*record) > now_())
            return true;
        rejected.fetch_add(1, std::memory_order_relaxed);
        return false;
    }

private:
    std::chrono::seconds const near_ttl_;
    clock const now_;
};

// A change of the far entry. It begins by erasing the near copy.
class tiered_storage::change : public pending_operations::operation
{
public:
    change(impl& of, std::string const& name) : operation(of.pending, name, pending_operations::role::writer)
    {
        auto const guard = lock();
        (void)of.near->erase_now(name);
    }
};

std::shared_ptr<tiered_storage> tiered_storage::make(tiered_storage_options options)
{
    constexpr std::chrono::seconds week = std::chrono::hours{24 * 7};
    detail::require_option(options.near != nullptr, "tiered_storage_options::near must not be null");
    detail::require_option(options.far != nullptr && options.far != options.near,
                           "tiered_storage_options::far must not be null, nor the storage of near");
    detail::require_option(options.near_ttl.count() >= 1 && options.near_ttl <= week,
                           "tiered_storage_options::near_ttl must be 1 s to 7 days");
    detail::require_option(options.now != nullptr, "tiered_storage_options::now must not be empty");
    return std::shared_ptr<tiered_storage>{new tiered_storage{std::move(options)}};
}

tiered_storage::tiered_storage(tiered_storage_options options) : impl_(std::make_shared<impl>(std::move(options))) {}

tiered_storage::~tiered_storage() = default;

asio::awaitable<std::optional<secret_bytes>> tiered_storage::get(std::string name)
{
    using enum pending_operations::role;
    auto const self = impl_;
    auto record = self->near->get_now(name);
    if (self->is_usable(record))
        co_return value_of(*record);

    pending_operations::operation const reading{self->pending, name, reader};
    record = co_await self->far->get(name);
    if (!self->is_usable(record))
        co_return std::nullopt;
    auto value = value_of(*record);
    auto const expiry = self->near_expiry(expiry_of(*record));
    auto const lock = reading.lock();
    if (reading.is_undisturbed())
        self->near->put_now(name, *record, expiry);
    co_return value;
}

asio::awaitable<void> tiered_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    using enum pending_operations::role;
    auto const self = impl_;
    auto record = make_record(value, expiry);
    pending_operations::operation const writing{self->pending, name, writer};
    {
        // Of two concurrent writes, it is unknown here which will be the last in the far storage.
        auto const lock = writing.lock();
        if (writing.is_undisturbed())
            self->near->put_now(name, record, self->near_expiry(expiry));
        else
            (void)self->near->erase_now(name);
    }
    co_await self->far->put(std::move(name), std::move(record), expiry);
}

asio::awaitable<std::optional<secret_bytes>> tiered_storage::take(std::string name)
{
    auto const self = impl_;
    change const changing{*self, name};
    auto const record = co_await self->far->take(std::move(name));
    if (!self->is_usable(record))
        co_return std::nullopt;
    co_return value_of(*record);
}

asio::awaitable<bool> tiered_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    auto const self = impl_;
    auto record = make_record(value, expiry);
    change const changing{*self, name};
    co_return co_await self->far->put_if_absent(std::move(name), std::move(record), expiry);
}

asio::awaitable<bool> tiered_storage::erase(std::string name)
{
    auto const self = impl_;
    change const changing{*self, name};
    co_return co_await self->far->erase(std::move(name));
}

asio::awaitable<with_epoch<bool>> tiered_storage::put_if_absent_with_epoch(std::string name, secret_bytes value,
                                                                           time_point expiry)
{
    auto const self = impl_;
    auto record = make_record(value, expiry);
    change const changing{*self, name};
    co_return co_await self->far->put_if_absent_with_epoch(std::move(name), std::move(record), expiry);
}

asio::awaitable<with_epoch<std::optional<secret_bytes>>> tiered_storage::take_with_epoch(std::string name)
{
    auto const self = impl_;
    change const changing{*self, name};
    auto taken = co_await self->far->take_with_epoch(std::move(name));
    if (self->is_usable(taken.value))
        taken.value = value_of(*taken.value);
    else
        taken.value.reset();
    co_return taken;
}

asio::awaitable<storage_epoch> tiered_storage::epoch()
{
    return impl_->far->epoch();
}

bool tiered_storage::is_process_local() const noexcept
{
    return impl_->far->is_process_local();
}

asio::awaitable<void> tiered_storage::check()
{
    return impl_->far->check();
}

asio::awaitable<std::size_t> tiered_storage::flush()
{
    auto const self = impl_;
    auto const dropped = co_await self->near->flush();
    co_return dropped + co_await self->far->flush();
}

storage_stats tiered_storage::stats() const
{
    auto result = impl_->far->stats();
    auto const near = impl_->near->stats();
    result.entries += near.entries;
    result.bytes += near.bytes;
    result.expired += near.expired;
    result.evicted += near.evicted;
    result.rejected += near.rejected + impl_->rejected.load(std::memory_order_relaxed);
    return result;
}

} // namespace reprise
