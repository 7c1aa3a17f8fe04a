// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/base/error.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/unordered_set.hpp>

#include <array>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <random>
#include <string_view>
#include <utility>

namespace reprise {

namespace {

namespace bi = boost::intrusive;

std::int64_t to_tick(time_point t) noexcept
{
    return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
}

// One allocation: this header, then the name, then the value.
struct entry : bi::unordered_set_base_hook<bi::store_hash<true>>
{
    bi::list_member_hook<> by_use;
    bi::list_member_hook<> by_expiry;
    time_point expiry;
    std::uint32_t name_size;
    std::uint32_t value_size;

    [[nodiscard]] unsigned char* bytes() noexcept { return reinterpret_cast<unsigned char*>(this + 1); }
    [[nodiscard]] std::string_view name() const noexcept
    {
        return {reinterpret_cast<char const*>(this + 1), name_size};
    }
    [[nodiscard]] byte_view value() const noexcept
    {
        return {reinterpret_cast<unsigned char const*>(this + 1) + name_size, value_size};
    }

    // What malloc takes for it, and its part of the hash table.
    [[nodiscard]] static std::size_t cost(std::size_t name_size, std::size_t value_size) noexcept
    {
        constexpr std::size_t malloc_header = 8;
        constexpr std::size_t bucket = 2 * sizeof(void*);
        return sizeof(entry) + ((name_size + value_size + malloc_header + 15) & ~std::size_t{15}) + bucket;
    }
    [[nodiscard]] std::size_t cost() const noexcept { return cost(name_size, value_size); }

    static entry* make(std::string_view name, byte_view value, time_point expiry)
    {
        auto* const e = new (::operator new(sizeof(entry) + name.size() + value.size())) entry;
        e->expiry = expiry;
        e->name_size = static_cast<std::uint32_t>(name.size());
        e->value_size = static_cast<std::uint32_t>(value.size());
        if (!name.empty())
            std::memcpy(e->bytes(), name.data(), name.size());
        if (!value.empty())
            std::memcpy(e->bytes() + name.size(), value.data(), value.size());
        return e;
    }

    static void destroy(entry* e) noexcept
    {
        wipe({e->bytes() + e->name_size, e->value_size});
        e->~entry();
        ::operator delete(e);
    }
};

struct name_hash
{
    std::size_t salt;
    std::size_t operator()(std::string_view name) const noexcept
    {
        // Session ids are random already; the salt keeps those who choose them from choosing their bucket.
        auto const h = std::hash<std::string_view>{}(name) ^ salt;
        return (h ^ (h >> 32)) * 0x9e3779b97f4a7c15u;
    }
    std::size_t operator()(entry const& e) const noexcept { return (*this)(e.name()); }
};

struct same_name
{
    bool operator()(entry const& a, entry const& b) const noexcept { return a.name() == b.name(); }
    bool operator()(std::string_view a, entry const& b) const noexcept { return a == b.name(); }
};

using table = bi::unordered_set<entry, bi::hash<name_hash>, bi::equal<same_name>, bi::power_2_buckets<true>,
                                bi::store_hash<true>>;
using use_list = bi::list<entry, bi::member_hook<entry, bi::list_member_hook<>, &entry::by_use>>;
using expiry_list =
    bi::list<entry, bi::member_hook<entry, bi::list_member_hook<>, &entry::by_expiry>, bi::constant_time_size<false>>;

/* Entries by the second in which they expire: a wheel of one slot per second. What expires more than a turn away waits
   in its slot and is looked at once per turn, about every hour. */
class expiry_wheel
{
public:
    void add(entry& e) { slot(to_tick(e.expiry)).push_back(e); }
    void remove(entry& e) { slot(to_tick(e.expiry)).erase(expiry_list::s_iterator_to(e)); }

    /// Call `drop` on entries that have expired at `now`, looking at no more than `limit`. True if none are left but those
    /// of the current second, which come later, when their slot is looked at anyway.
    template <class Drop>
    bool sweep(time_point now, std::size_t limit, Drop drop)
    {
        auto const until = to_tick(now);
        if (swept_ == 0 || until - swept_ > turn)
            swept_ = until - turn; // each slot once is enough
        for (; swept_ < until; ++swept_)
            if (!sweep_slot(now, limit, drop))
                return false;
        return true;
    }

    /// The same with those of the current second.
    template <class Drop>
    bool sweep_all(time_point now, std::size_t limit, Drop drop)
    {
        return sweep(now, limit, drop) && sweep_slot(now, limit, drop);
    }

private:
    static constexpr std::int64_t turn = 4096;

    template <class Drop>
    bool sweep_slot(time_point now, std::size_t& limit, Drop& drop)
    {
        auto& due = slot(swept_);
        while (!due.empty())
        {
            if (limit == 0)
                return false;
            --limit;
            auto& e = due.front();
            if (e.expiry <= now)
                drop(e);
            else
                looked_at_.splice(looked_at_.end(), due, due.begin());
        }
        due.swap(looked_at_);
        return true;
    }

    expiry_list& slot(std::int64_t tick) { return slots_[static_cast<std::uint64_t>(tick) % turn]; }

    std::array<expiry_list, turn> slots_;
    expiry_list looked_at_;
    std::int64_t swept_ = 0; // all slots before this second are done
};

} // namespace

class memory_storage::shard
{
public:
    shard(std::size_t max_bytes, std::size_t salt, clock const& now)
        : max_bytes_(max_bytes), now_(now), buckets_(16), table_({buckets_.data(), buckets_.size()}, name_hash{salt})
    {
    }

    ~shard()
    {
        by_use_.clear_and_dispose([this](entry* e) { unlink_but_use(*e), entry::destroy(e); });
    }

    std::optional<secret_bytes> get(std::string_view name)
    {
        std::lock_guard const lock{mutex_};
        entry* const e = find(name);
        if (e == nullptr)
            return std::nullopt;
        by_use_.splice(by_use_.begin(), by_use_, use_list::s_iterator_to(*e));
        return secret_bytes{e->value()};
    }

    std::optional<secret_bytes> take(std::string_view name)
    {
        std::lock_guard const lock{mutex_};
        entry* const e = find(name);
        if (e == nullptr)
            return std::nullopt;
        secret_bytes value{e->value()};
        drop(*e);
        return value;
    }

    bool put(std::string_view name, byte_view value, time_point expiry, bool replace)
    {
        std::lock_guard const lock{mutex_};
        auto const now = now_();
        wheel_.sweep(now, entries_per_sweep, [this](entry& e) { expire(e); });
        if (entry* const old = find(name))
        {
            if (!replace)
                return false;
            drop(*old);
        }
        if (expiry <= now)
            return true;
        auto const cost = entry::cost(name.size(), value.size());
        if (cost > max_bytes_)
        {
            ++stats_.evicted;
            return true;
        }
        while (stats_.bytes + cost > max_bytes_)
        {
            ++stats_.evicted;
            drop(by_use_.back());
        }
        grow_table();
        entry& e = *entry::make(name, value, expiry);
        table_.insert(e);
        by_use_.push_front(e);
        wheel_.add(e);
        stats_.bytes += cost;
        ++stats_.entries;
        return true;
    }

    bool erase(std::string_view name)
    {
        std::lock_guard const lock{mutex_};
        entry* const e = find(name);
        if (e == nullptr)
            return false;
        drop(*e);
        return true;
    }

    std::size_t flush()
    {
        constexpr std::size_t slice = 256; // so that nobody waits long for the lock
        std::size_t dropped = 0;
        for (bool done = false; !done;)
        {
            std::lock_guard const lock{mutex_};
            done = wheel_.sweep_all(now_(), slice,
                                    [&](entry& e)
                                    {
                                        expire(e);
                                        ++dropped;
                                    });
        }
        return dropped;
    }

    storage_stats stats() const
    {
        std::lock_guard const lock{mutex_};
        return stats_;
    }

private:
    static constexpr std::size_t entries_per_sweep = 4; // more than one, so that expiry outruns insertion

    entry* find(std::string_view name)
    {
        auto const at = table_.find(name, table_.hash_function(), same_name{});
        if (at == table_.end())
            return nullptr;
        if (at->expiry > now_())
            return &*at;
        expire(*at);
        return nullptr;
    }

    void expire(entry& e)
    {
        ++stats_.expired;
        drop(e);
    }

    void drop(entry& e)
    {
        by_use_.erase(use_list::s_iterator_to(e));
        unlink_but_use(e);
        stats_.bytes -= e.cost();
        --stats_.entries;
        entry::destroy(&e);
    }

    void unlink_but_use(entry& e)
    {
        table_.erase(table_.iterator_to(e));
        wheel_.remove(e);
    }

    void grow_table()
    {
        if (table_.size() < buckets_.size())
            return;
        std::vector<table::bucket_type> larger(buckets_.size() * 2);
        table_.rehash({larger.data(), larger.size()});
        buckets_.swap(larger);
    }

    std::size_t const max_bytes_;
    clock const& now_;
    mutable std::mutex mutex_;
    std::vector<table::bucket_type> buckets_;
    table table_;
    use_list by_use_; // most recent first
    expiry_wheel wheel_;
    storage_stats stats_;
};

std::shared_ptr<memory_storage> memory_storage::make(memory_storage_options options)
{
    if (options.shards < 1 || options.shards > 256 || !std::has_single_bit(options.shards))
        throw system_error{errc::bad_option, "memory_storage_options::shards: 1 to 256, a power of two"};
    if (options.max_bytes / options.shards < 4096)
        throw system_error{errc::bad_option, "memory_storage_options::max_bytes: at least 4096 for each shard"};
    if (!options.now)
        throw system_error{errc::bad_option, "memory_storage_options::now: a clock"};
    return std::shared_ptr<memory_storage>{new memory_storage{std::move(options)}};
}

memory_storage::memory_storage(memory_storage_options options)
    : options_(std::move(options)), salt_(std::random_device{}())
{
    for (std::size_t i = 0; i < options_.shards; ++i)
        shards_.push_back(std::make_unique<shard>(options_.max_bytes / options_.shards, salt_, options_.now));
}

memory_storage::~memory_storage() = default;

memory_storage::shard& memory_storage::shard_of(std::string const& name) const
{
    // The top bits: the table inside takes the bottom ones.
    auto const hash = name_hash{~salt_}(name);
    return *shards_[(hash >> 40) & (shards_.size() - 1)];
}

asio::awaitable<std::optional<secret_bytes>> memory_storage::get(std::string name)
{
    co_return shard_of(name).get(name);
}

asio::awaitable<void> memory_storage::put(std::string name, secret_bytes value, time_point expiry)
{
    shard_of(name).put(name, value, expiry, true);
    co_return;
}

asio::awaitable<std::optional<secret_bytes>> memory_storage::take(std::string name)
{
    co_return shard_of(name).take(name);
}

asio::awaitable<bool> memory_storage::put_if_absent(std::string name, secret_bytes value, time_point expiry)
{
    co_return shard_of(name).put(name, value, expiry, false);
}

asio::awaitable<bool> memory_storage::erase(std::string name)
{
    co_return shard_of(name).erase(name);
}

asio::awaitable<std::size_t> memory_storage::flush()
{
    std::size_t dropped = 0;
    for (auto const& s : shards_)
        dropped += s->flush();
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
