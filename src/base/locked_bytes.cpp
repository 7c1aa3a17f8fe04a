// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/locked_bytes.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <list>
#include <mutex>
#include <new>
#include <utility>

#include <sys/mman.h>

namespace reprise {

namespace {

// Regions of pages that hold only keys. Regions are few and small, so none is returned to the system.
class pool
{
public:
    static pool& instance()
    {
        static pool& the = *new pool; // never destroyed: keys may be freed after all other objects
        return the;
    }

    unsigned char* allocate(std::size_t size)
    {
        if (size > locked_bytes::max_size)
            throw std::bad_alloc{};
        auto const count = units(size);
        std::lock_guard const lock{mutex_};
        for (auto& r : regions_)
            if (auto const at = r.find(count); at != none)
                return r.take(at, count);
        return add_region().take(0, count);
    }

    void free(unsigned char* data, std::size_t size) noexcept
    {
        wipe({data, size});
        std::lock_guard const lock{mutex_};
        for (auto& r : regions_)
            if (r.holds(data))
                r.give_back(data, units(size));
    }

    [[nodiscard]] bool all_locked() noexcept
    {
        std::lock_guard const lock{mutex_};
        return all_locked_;
    }

private:
    static constexpr std::size_t unit = 64; // a cache line, so that no two keys share one
    static constexpr std::size_t region_size = std::size_t{16} * 1024;
    static constexpr std::size_t units_per_region = region_size / unit;
    static constexpr std::size_t none = units_per_region;

    static std::size_t units(std::size_t size) noexcept { return (size + unit - 1) / unit; }

    struct region
    {
        unsigned char* base;
        std::bitset<units_per_region> used;

        [[nodiscard]] bool holds(unsigned char const* p) const noexcept
        {
            auto const at = reinterpret_cast<std::uintptr_t>(p);
            auto const begin = reinterpret_cast<std::uintptr_t>(base);
            return at >= begin && at < begin + region_size;
        }

        // Return the first of `count` consecutive free units, or `none`.
        [[nodiscard]] std::size_t find(std::size_t count) const noexcept
        {
            std::size_t run = 0;
            for (std::size_t i = 0; i < units_per_region; ++i)
            {
                run = used.test(i) ? 0 : run + 1;
                if (run == count)
                    return i + 1 - count;
            }
            return none;
        }

        unsigned char* take(std::size_t at, std::size_t count) noexcept
        {
            for (std::size_t i = 0; i < count; ++i)
                used.set(at + i);
            return base + at * unit;
        }

        void give_back(unsigned char const* p, std::size_t count) noexcept
        {
            auto const at = static_cast<std::size_t>(p - base) / unit;
            for (std::size_t i = 0; i < count; ++i)
                used.reset(at + i);
        }
    };

    region& add_region()
    {
        void* const base = ::mmap(nullptr, region_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED)
            throw std::bad_alloc{};
        // Go on without mlock(2): a key in memory that may be swapped is better than no key.
        all_locked_ = ::mlock(base, region_size) == 0 && all_locked_;
        (void)::madvise(base, region_size, MADV_DONTDUMP);
        return regions_.emplace_back(region{static_cast<unsigned char*>(base), {}});
    }

    std::mutex mutex_;
    std::list<region> regions_;
    bool all_locked_ = true;
};

} // namespace

locked_bytes::locked_bytes(byte_view bytes) : locked_bytes(bytes.size())
{
    std::ranges::copy(bytes, data_);
}

locked_bytes::locked_bytes(std::size_t size) : data_(size != 0 ? pool::instance().allocate(size) : nullptr), size_(size)
{
}

locked_bytes::locked_bytes(locked_bytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0))
{
}

locked_bytes& locked_bytes::operator=(locked_bytes other) noexcept
{
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

locked_bytes::~locked_bytes()
{
    if (data_ != nullptr)
        pool::instance().free(data_, size_);
}

bool operator==(locked_bytes const& a, locked_bytes const& b) noexcept
{
    return a.size_ == b.size_ && (a.size_ == 0 || ::CRYPTO_memcmp(a.data_, b.data_, a.size_) == 0);
}

bool locked_bytes::all_locked() noexcept
{
    return pool::instance().all_locked();
}

} // namespace reprise
