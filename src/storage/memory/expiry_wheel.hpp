// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/clock.hpp>

#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace reprise::detail {

/** Entries by expiry, with O(1) for each operation.

    A hierarchy of wheels with 64 slots each: slots of 1 s, of 4 s, of 16 s, and so on. An entry waits in the finest
    wheel that reaches its expiry. It is looked at once, when its slot has passed entirely: late by at most a sixteenth
    of its life. So code that serves entries must check `expiry` itself. (Linux keeps its timers like this.) An entry
    that expires in more than a month and a half is looked at more than once.

    `Entry` has `time_point expiry` and the hook. An entry may be destroyed while it is in a wheel.
*/
using expiry_hook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

template <class Entry, expiry_hook Entry::* Hook>
class expiry_wheel
{
public:
    explicit expiry_wheel(time_point now)
    {
        for (std::size_t level = 0; level < levels; ++level)
            next_[level] = position(to_tick(now), level);
    }

    void add(Entry& e, time_point now)
    {
        auto const tick = to_tick(e.expiry);
        auto const wait = tick - to_tick(now);
        std::size_t level = 0;
        while (level + 1 < levels && position(wait, level) >= slots - 1)
            ++level;
        auto const at = std::clamp(position(tick, level), next_[level], next_[level] + slots - 1);
        slot(level, at).push_back(e);
    }

    /** Take out the entries that have expired at `now` and call `drop` with each. Stops when `budget`, which counts
        down with each entry looked at, is used up.

        @param to_the_second Look also at slots that have not passed entirely, so that no entry is left that expired
            before the current second.
        @return True if all due slots were looked at.
    */
    template <class Drop>
    bool sweep(time_point now, bool to_the_second, std::size_t& budget, Drop drop)
    {
        auto const tick = to_tick(now);
        if (tick == swept_ && !to_the_second)
            return true;
        for (std::size_t level = 0; level < levels; ++level)
        {
            // An entry in the current slot that is not due yet moves to a finer wheel, so this wheel does not look at
            // it again.
            auto const end = position(tick, level) + (to_the_second && level > 0 ? 1 : 0);
            next_[level] = std::max(next_[level], end - slots); // each slot once is enough
            for (; next_[level] < end; ++next_[level])
                if (!sweep_slot(slot(level, next_[level]), now, budget, drop))
                    return false;
        }
        swept_ = tick;
        return true;
    }

private:
    static constexpr std::size_t levels = 9;
    static constexpr std::int64_t slots = 64;

    using list = boost::intrusive::list<Entry, boost::intrusive::member_hook<Entry, expiry_hook, Hook>,
                                        boost::intrusive::constant_time_size<false>>;

    static std::int64_t to_tick(time_point t) noexcept
    {
        return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count();
    }
    static std::int64_t position(std::int64_t tick, std::size_t level) noexcept { return tick >> (2 * level); }

    list& slot(std::size_t level, std::int64_t position)
    {
        return wheels_[level][static_cast<std::uint64_t>(position) % slots];
    }

    template <class Drop>
    bool sweep_slot(list& due, time_point now, std::size_t& budget, Drop& drop)
    {
        while (!due.empty())
        {
            if (budget == 0)
                return false;
            --budget;
            Entry& e = due.front();
            due.pop_front();
            if (e.expiry <= now)
                drop(e);
            else
                add(e, now);
        }
        return true;
    }

    std::array<std::array<list, slots>, levels> wheels_;
    std::array<std::int64_t, levels> next_{}; // the next slot of each wheel to look at; all before it are empty
    std::int64_t swept_ = 0;
};

} // namespace reprise::detail
