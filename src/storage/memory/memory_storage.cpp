// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/memory/expiry_wheel.hpp"
#include "storage/memory/table_hash.hpp"

#include <reprise/error.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <random>
#include <string_view>
#include <utility>

namespace reprise {

namespace {

namespace bi = boost::intrusive;

struct entry;

/* A pointer to an entry of a bucket. Bits that alignment leaves unused save a look at the entry: three bits of the hash
   of its name, and whether another entry may follow. */
class bucket_link
{
public:
    bucket_link() noexcept = default;
    bucket_link(entry& e, std::uint64_t hash, bucket_link next) noexcept
        : at_(reinterpret_cast<unsigned char*>(&e) + (tag_of(hash) | (next ? follows : 0)))
    {
    }

    explicit operator bool() const noexcept { return at_ != nullptr; }
    [[nodiscard]] entry* get() const noexcept { return reinterpret_cast<entry*>(at_ - bits()); }
    entry* operator->() const noexcept { return get(); }

    [[nodiscard]] bool may_have(std::uint64_t hash) const noexcept { return (bits() & tag) == tag_of(hash); }
    [[nodiscard]] bool may_lead_on() const noexcept { return (bits() & follows) != 0; }

private:
    static constexpr std::uintptr_t tag = 7;
    static constexpr std::uintptr_t follows = 8;
    static_assert(__STDCPP_DEFAULT_NEW_ALIGNMENT__ >= 16);

    // Uses bits that choose neither a shard nor a bucket, in a table of any size that fits into memory.
    static std::uintptr_t tag_of(std::uint64_t hash) noexcept { return (hash >> 48) & tag; }

    [[nodiscard]] std::uintptr_t bits() const noexcept
    {
        return reinterpret_cast<std::uintptr_t>(at_) & (tag | follows);
    }

    unsigned char* at_ = nullptr; // within the first 16 bytes of the entry
};

// One allocation: this header, then the name, then the value.
struct entry
{
    bucket_link next_in_bucket;
    bi::list_member_hook<bi::link_mode<bi::normal_link>> by_use;
    detail::expiry_hook by_expiry;
    time_point expiry;
    std::uint32_t value_size;
    std::uint16_t name_size;
    std::uint16_t used_at; // second of the last use, modulo 2^16

    [[nodiscard]] unsigned char* bytes() noexcept { return reinterpret_cast<unsigned char*>(this + 1); }
    [[nodiscard]] std::string_view name() const noexcept
    {
        return {reinterpret_cast<char const*>(this + 1), name_size};
    }
    [[nodiscard]] byte_view value() const noexcept
    {
        return {reinterpret_cast<unsigned char const*>(this + 1) + name_size, value_size};
    }

    // Prefetch the whole entry at once, instead of one cache line after the other.
    void prefetch() const noexcept
    {
        constexpr std::size_t line = 128;
        constexpr std::size_t typical_size = 320;
        for (std::size_t at = 0; at < typical_size; at += line)
            __builtin_prefetch(reinterpret_cast<unsigned char const*>(this) + at);
    }

    // Prefetch the links and the beginning of the name.
    void prefetch_head() const noexcept
    {
        __builtin_prefetch(this);
        __builtin_prefetch(this + 1);
    }

    // Memory that malloc takes for the entry, in bytes.
    [[nodiscard]] std::size_t cost() const noexcept
    {
        constexpr std::size_t malloc_header = 8;
        return (sizeof(entry) + name_size + value_size + malloc_header + 15) & ~std::size_t{15};
    }

    struct deleter
    {
        void operator()(entry* e) const noexcept
        {
            wipe({e->bytes() + e->name_size, e->value_size});
            e->~entry();
            ::operator delete(e);
        }
    };
    using ptr = std::unique_ptr<entry, deleter>;

    /// Make an entry. Returns null if the name is longer than 65535 bytes.
    static ptr make(std::string_view name, byte_view value, time_point expiry, std::uint16_t used_at)
    {
        if (name.size() > std::numeric_limits<decltype(name_size)>::max())
            return nullptr;
        ptr e{new (::operator new(sizeof(entry) + name.size() + value.size())) entry};
        e->expiry = expiry;
        e->value_size = static_cast<std::uint32_t>(value.size());
        e->name_size = static_cast<std::uint16_t>(name.size());
        e->used_at = used_at;
        if (!name.empty())
            std::memcpy(e->bytes(), name.data(), name.size());
        if (!value.empty())
            std::memcpy(e->bytes() + name.size(), value.data(), value.size());
        return e;
    }
};

/* Entries by name, in chained buckets, about twice as many as entries. With linear hashing (Litwin 1980), an insertion
   adds up to two buckets and a removal takes up to two away, so the table is never rebuilt while a handshake waits. The
   array is as large as the bound on bytes allows. The system provides memory for buckets as they are used. */
class entry_table
{
public:
    entry_table(std::size_t max_bytes, detail::table_hash_key const& key)
        : key_(key), room_(max_bytes / bytes_per_bucket),
          buckets_(static_cast<bucket*>(std::calloc(room_, sizeof(bucket))))
    {
        if (!buckets_)
            throw std::bad_alloc{};
    }

    [[nodiscard]] std::size_t bytes() const noexcept { return room_ * sizeof(bucket); }

    /// Prefetch for an insertion: its bucket, and the entries of the buckets that it may split.
    void prefetch_buckets(std::uint64_t hash) const noexcept
    {
        __builtin_prefetch(&bucket_of(hash));
        auto const used_now = used();
        for (auto added = used_now; added < std::min(used_now + growth, room_); ++added)
            if (auto const link = source_of(added).first())
                link->prefetch_head();
    }

    /// Prefetch for a lookup. May be called without the lock, because an entry that is gone does no harm.
    void prefetch(std::uint64_t hash) const noexcept { prefetch(bucket_of(hash).first(), hash); }

    [[nodiscard]] entry* find(std::string_view name, std::uint64_t hash) const noexcept
    {
        auto link = bucket_of(hash).first();
        while (link && !(link.may_have(hash) && link->name() == name))
        {
            if (!link.may_lead_on())
                return nullptr;
            link = link->next_in_bucket;
            prefetch(link, hash);
        }
        return link.get();
    }

    void insert(entry& e, std::uint64_t hash) noexcept
    {
        push(e, hash);
        ++entries_;
        for (std::size_t i = 0; i < growth && used() < std::min(growth * entries_, room_); ++i)
            add_bucket();
    }

    void erase(entry& e, std::uint64_t hash) noexcept
    {
        auto& chain = bucket_of(hash);
        if (chain.first().get() == &e)
            chain.exchange(e.next_in_bucket);
        else
        {
            entry* before = chain.first().get();
            while (before->next_in_bucket.get() != &e)
                before = before->next_in_bucket.get();
            before->next_in_bucket = e.next_in_bucket;
        }
        --entries_;
        // Not sooner, or an entry that comes and goes would move others each time.
        for (std::size_t i = 0; i < growth && used() / (2 * growth) > entries_; ++i)
            remove_bucket();
    }

private:
    static constexpr std::size_t bytes_per_bucket = 128; // half of a session's size
    static constexpr std::size_t growth = 2;             // buckets per entry

    // Written under the lock. Only the prefetches read it without.
    class bucket
    {
    public:
        [[nodiscard]] bucket_link first() const noexcept
        {
            return std::atomic_ref{const_cast<bucket_link&>(first_)}.load(std::memory_order_relaxed);
        }
        bucket_link exchange(bucket_link link) noexcept
        {
            auto const old = first();
            std::atomic_ref{first_}.store(link, std::memory_order_relaxed);
            return old;
        }

    private:
        bucket_link first_;
    };
    struct deleter
    {
        void operator()(bucket* p) const noexcept { std::free(p); }
    };

    [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

    // Use as many bits of the hash as the index of a bucket in use has, or one less.
    [[nodiscard]] bucket& bucket_of(std::uint64_t hash) const noexcept
    {
        auto const used_now = used();
        auto const half = std::bit_floor(used_now);
        auto const index = hash & (2 * half - 1);
        return buckets_.get()[index < used_now ? index : index - half];
    }

    static void prefetch(bucket_link link, std::uint64_t hash) noexcept
    {
        if (!link)
            return;
        if (link.may_have(hash))
            link->prefetch();
        else if (link.may_lead_on())
            link->prefetch_head();
    }

    void push(entry& e, std::uint64_t hash) noexcept
    {
        auto& chain = bucket_of(hash);
        e.next_in_bucket = chain.first();
        chain.exchange({e, hash, e.next_in_bucket});
    }

    void push_all(bucket_link link) noexcept
    {
        while (link)
        {
            entry& e = *link.get();
            link = e.next_in_bucket;
            push(e, detail::table_hash(key_, e.name()));
        }
    }

    // Return the bucket whose entries a new bucket shares.
    [[nodiscard]] bucket& source_of(std::size_t added) const noexcept
    {
        return buckets_.get()[added - std::bit_floor(added)];
    }

    void add_bucket() noexcept
    {
        auto const added = used();
        auto const split = source_of(added).exchange({});
        used_.store(added + 1, std::memory_order_relaxed);
        push_all(split);
    }

    void remove_bucket() noexcept
    {
        auto const removed = used() - 1;
        used_.store(removed, std::memory_order_relaxed);
        push_all(buckets_.get()[removed].exchange({}));
    }

    detail::table_hash_key const key_;
    std::size_t const room_;
    std::unique_ptr<bucket, deleter> buckets_;
    std::size_t entries_ = 0;
    std::atomic<std::size_t> used_{1}; // number of buckets; written under the lock
};

using use_list = bi::list<entry, bi::member_hook<entry, decltype(entry::by_use), &entry::by_use>>;

/* A mutex that is held for less than a microsecond, so spinning is cheaper than sleeping. (The futex mutex of Drepper,
   "Futexes are tricky", with some tries before. With std::mutex a hit takes a tenth longer.) */
class brief_mutex
{
public:
    void lock() noexcept
    {
        constexpr int tries = 1000; // about a microsecond
        for (int i = 0; i < tries; ++i)
            if (int free = open; state_.load(std::memory_order_relaxed) == open &&
                                 state_.compare_exchange_strong(free, locked, std::memory_order_acquire))
                return;
        while (state_.exchange(awaited, std::memory_order_acquire) != open)
            state_.wait(awaited);
    }

    /// Fetch the cache line from another core in advance, because the mutex will be locked soon.
    void prefetch() const noexcept { __builtin_prefetch(&state_, 1); }

    void unlock() noexcept
    {
        if (state_.exchange(open, std::memory_order_release) == awaited)
            state_.notify_one();
    }

private:
    enum : int
    {
        open,
        locked,
        awaited,
    };
    std::atomic<int> state_ = open;
};

using brief_lock = std::lock_guard<brief_mutex>;

std::uint16_t second_of(time_point now) noexcept
{
    auto const since_epoch = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    return static_cast<std::uint16_t>(since_epoch.count());
}

detail::table_hash_key random_key()
{
    std::random_device device;
    std::uniform_int_distribution<std::uint64_t> any;
    detail::table_hash_key key;
    std::ranges::generate(key, [&] { return any(device); });
    return key;
}

} // namespace

class memory_storage::shard
{
public:
    shard(std::size_t max_bytes, detail::table_hash_key const& key, clock const& now)
        : key_(key), now_(now), table_(max_bytes, key), max_bytes_(max_bytes - table_.bytes()), wheel_(now())
    {
    }

    ~shard() { by_use_.clear_and_dispose(entry::deleter{}); }

    bool read(std::string_view name, std::uint64_t hash, reader const& read)
    {
        mutex_.prefetch();
        table_.prefetch(hash);
        auto const now = now_();
        brief_lock const lock{mutex_};
        entry* const e = find(name, hash, now);
        if (e == nullptr)
            return false;
        // Update the LRU order at most once a second per entry, so that hot entries do not bounce between the caches of
        // cores.
        auto const second = second_of(now);
        bool const is_moved = e->used_at != second;
        auto const at = use_list::s_iterator_to(*e);
        if (is_moved)
        {
            e->used_at = second;
            __builtin_prefetch(std::prev(at).pointed_node());
            __builtin_prefetch(std::next(at).pointed_node());
        }
        read(e->value());
        if (is_moved)
            by_use_.splice(by_use_.begin(), by_use_, at);
        return true;
    }

    std::optional<secret_bytes> take(std::string_view name, std::uint64_t hash)
    {
        auto const now = now_();
        entry::ptr taken;
        {
            brief_lock const lock{mutex_};
            if (entry* const e = find(name, hash, now))
                taken = remove(*e, hash);
        }
        if (!taken)
            return std::nullopt;
        return secret_bytes{taken->value()};
    }

    bool put(std::string_view name, std::uint64_t hash, byte_view value, time_point expiry, bool replace)
    {
        table_.prefetch_buckets(hash);
        auto const now = now_();
        auto made = entry::make(name, value, expiry, second_of(now));
        table_.prefetch(hash);
        brief_lock const lock{mutex_};
        auto budget = entries_per_sweep;
        wheel_.sweep(now, false, budget, [this](entry& e) { expire(e); });
        if (entry* const old = find(name, hash, now))
        {
            if (!replace)
                return false;
            remove(*old, hash);
        }
        if (expiry <= now)
            return true;
        if (!made || made->cost() > max_bytes_)
        {
            ++stats_.evicted;
            return true;
        }
        auto const cost = made->cost();
        while (stats_.bytes + cost > max_bytes_)
        {
            ++stats_.evicted;
            remove(by_use_.back());
        }
        entry& e = *made.release();
        table_.insert(e, hash);
        by_use_.push_front(e);
        wheel_.add(e, now);
        stats_.bytes += cost;
        ++stats_.entries;
        return true;
    }

    bool erase(std::string_view name, std::uint64_t hash)
    {
        auto const now = now_();
        brief_lock const lock{mutex_};
        entry* const e = find(name, hash, now);
        if (e == nullptr)
            return false;
        remove(*e, hash);
        return true;
    }

    /// Drop expired entries, looking at no more than `budget` entries, which counts down. Returns true if no expired
    /// entry is left.
    bool flush(std::size_t& budget, std::size_t& dropped)
    {
        brief_lock const lock{mutex_};
        return wheel_.sweep(now_(), true, budget,
                            [&](entry& e)
                            {
                                expire(e);
                                ++dropped;
                            });
    }

    storage_stats stats() const
    {
        brief_lock const lock{mutex_};
        return stats_;
    }

private:
    static constexpr std::size_t entries_per_sweep = 4; // more than one, so that expiry outruns insertion

    entry* find(std::string_view name, std::uint64_t hash, time_point now)
    {
        entry* const e = table_.find(name, hash);
        if (e == nullptr || e->expiry > now)
            return e;
        ++stats_.expired;
        remove(*e, hash);
        return nullptr;
    }

    void expire(entry& e)
    {
        ++stats_.expired;
        remove(e);
    }

    entry::ptr remove(entry& e) { return remove(e, detail::table_hash(key_, e.name())); }

    entry::ptr remove(entry& e, std::uint64_t hash)
    {
        table_.erase(e, hash);
        by_use_.erase(use_list::s_iterator_to(e));
        e.by_expiry.unlink();
        stats_.bytes -= e.cost();
        --stats_.entries;
        return entry::ptr{&e};
    }

    // Separate cache lines for read-mostly and written members, against false sharing.
    static constexpr std::size_t line = 128;

    detail::table_hash_key const key_;
    clock const& now_;
    alignas(line) mutable brief_mutex mutex_;
    alignas(line) entry_table table_;
    std::size_t const max_bytes_; // for entries
    use_list by_use_;             // most recent first
    detail::expiry_wheel<entry, &entry::by_expiry> wheel_;
    storage_stats stats_;
};

std::shared_ptr<memory_storage> memory_storage::make(memory_storage_options options)
{
    if (options.shards < 1 || options.shards > 256 || !std::has_single_bit(options.shards))
        throw system_error{errc::bad_option, "memory_storage_options::shards must be 1 to 256, a power of two"};
    if (options.max_bytes / options.shards < 4096)
        throw system_error{errc::bad_option, "memory_storage_options::max_bytes must be at least 4096 for each shard"};
    if (!options.now)
        throw system_error{errc::bad_option, "memory_storage_options::now must not be empty"};
    return std::shared_ptr<memory_storage>{new memory_storage{std::move(options)}};
}

memory_storage::memory_storage(memory_storage_options options) : options_(std::move(options)), key_(random_key())
{
    for (std::size_t i = 0; i < options_.shards; ++i)
        shards_.push_back(std::make_unique<shard>(options_.max_bytes / options_.shards, key_, options_.now));
}

memory_storage::~memory_storage() = default;

memory_storage::shard& memory_storage::shard_of(std::uint64_t hash) const
{
    return *shards_[(hash >> 56) & (shards_.size() - 1)]; // the table uses bits of the other end
}

bool memory_storage::read_now(std::string_view name, reader const& read)
{
    auto const hash = detail::table_hash(key_, name);
    return shard_of(hash).read(name, hash, read);
}

void memory_storage::put_now(std::string_view name, byte_view value, time_point expiry)
{
    auto const hash = detail::table_hash(key_, name);
    shard_of(hash).put(name, hash, value, expiry, true);
}

std::optional<secret_bytes> memory_storage::take_now(std::string_view name)
{
    auto const hash = detail::table_hash(key_, name);
    return shard_of(hash).take(name, hash);
}

bool memory_storage::put_if_absent_now(std::string_view name, byte_view value, time_point expiry)
{
    auto const hash = detail::table_hash(key_, name);
    return shard_of(hash).put(name, hash, value, expiry, false);
}

bool memory_storage::erase_now(std::string_view name)
{
    auto const hash = detail::table_hash(key_, name);
    return shard_of(hash).erase(name, hash);
}

asio::awaitable<std::size_t> memory_storage::flush()
{
    return flush_in_slices(shared_from_this());
}

asio::awaitable<std::size_t> memory_storage::flush_in_slices(std::shared_ptr<memory_storage> self)
{
    constexpr std::size_t slice = 256; // entries; limits how long this thread and a lock are kept
    std::size_t dropped = 0;
    auto budget = slice;
    for (auto const& s : self->shards_)
        while (!s->flush(budget, dropped))
        {
            co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            budget = slice;
        }
    co_return dropped;
}

storage_stats memory_storage::stats() const
{
    storage_stats total;
    for (auto const& s : shards_)
    {
        auto const part = s->stats();
        total.entries += part.entries;
        total.bytes += part.bytes;
        total.expired += part.expired;
        total.evicted += part.evicted;
    }
    return total;
}

} // namespace reprise
