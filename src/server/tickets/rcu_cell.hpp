// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

namespace reprise::detail {

/** A value that is replaced rarely and read often, by any number of threads without a lock.

    A replaced value is destroyed by the next call of `publish` or `tidy` that finds no reader.
*/
template <class T>
class rcu_cell
{
public:
    explicit rcu_cell(std::unique_ptr<T const> first) : current_(first.release()) {}
    rcu_cell(rcu_cell const&) = delete;
    rcu_cell& operator=(rcu_cell const&) = delete;
    ~rcu_cell() { delete current_.load(); }

    /// Access to the current value, which lives as long as this object. Keep the object for microseconds only.
    class reading
    {
    public:
        explicit reading(rcu_cell const& from) noexcept : readers_(from.readers_)
        {
            readers_.fetch_add(1);
            value_ = from.current_.load();
        }
        reading(reading const&) = delete;
        reading& operator=(reading const&) = delete;
        ~reading() { readers_.fetch_sub(1); }

        T const& operator*() const noexcept { return *value_; }
        T const* operator->() const noexcept { return value_; }

    private:
        std::atomic<unsigned>& readers_;
        T const* value_;
    };

    [[nodiscard]] reading read() const noexcept { return reading{*this}; }

    /// Replace the value. Call from one thread at a time.
    void publish(std::unique_ptr<T const> next)
    {
        retired_.reserve(retired_.size() + 1);
        retired_.emplace_back(current_.exchange(next.release()));
        tidy();
    }

    /// Destroy replaced values if no thread reads. Call from the thread that publishes.
    void tidy() noexcept
    {
        // All these operations are sequentially consistent: a reader that counts itself after this load sees what was
        // published before it.
        if (readers_.load() == 0)
            retired_.clear();
    }

private:
    mutable std::atomic<unsigned> readers_{0};
    std::atomic<T const*> current_;
    std::vector<std::unique_ptr<T const>> retired_;
};

} // namespace reprise::detail
