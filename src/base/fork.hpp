// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <thread>

namespace reprise::detail {

/** How often fork(2) has come between the first process and this one, counted from the first call. An object that was made
    at another depth was made in another process.

    pthread_atfork(3) counts, so that asking costs no system call. It does not notice children of clone(2), vfork(2) or
    _Fork(3).
*/
[[nodiscard]] unsigned fork_depth() noexcept;

/** An object that a forked child makes anew, because threads, connections and file locks stay with the parent.

    The child leaves the parent's object alone for good: its destructor would wait for threads that do not exist.

    @par Thread Safety
    Shared objects: safe.
*/
template <class T>
class per_process
{
public:
    per_process() = default;
    per_process(per_process const&) = delete;
    per_process& operator=(per_process const&) = delete;

    ~per_process()
    {
        if (auto* const last = current_.load(); last != nullptr && last->depth == fork_depth())
            delete last;
    }

    /// The object of this process. `make` makes it where there is none. Throws what `make` throws.
    template <class Make>
    [[nodiscard]] T& get(Make make)
    {
        if (auto* const mine = find())
            return *mine;
        lock const held{busy_};
        if (auto* const mine = find())
            return *mine;
        auto* const added = new node{fork_depth(), make(), current_.load()};
        current_ = added;
        return added->value;
    }

    /// The object of this process, or null.
    [[nodiscard]] T* find() const noexcept
    {
        auto* const last = current_.load();
        return last != nullptr && last->depth == fork_depth() ? &last->value : nullptr;
    }

private:
    struct node
    {
        unsigned depth;
        T value;
        node* parents; // keeps the parent's object reachable
    };

    // No mutex: a thread of the parent may have held it when this process was forked off.
    class lock
    {
    public:
        explicit lock(std::atomic<unsigned>& owner) : owner_(owner)
        {
            auto const own = fork_depth() + 1;
            for (auto seen = owner_.load();;)
            {
                if (seen == own)
                {
                    std::this_thread::yield();
                    seen = owner_.load();
                }
                else if (owner_.compare_exchange_weak(seen, own))
                    return;
            }
        }
        lock(lock const&) = delete;
        lock& operator=(lock const&) = delete;
        ~lock() { owner_ = 0; }

    private:
        std::atomic<unsigned>& owner_; // fork_depth() + 1 of the process whose thread holds it
    };

    std::atomic<node*> current_{nullptr};
    std::atomic<unsigned> busy_{0};
};

} // namespace reprise::detail
