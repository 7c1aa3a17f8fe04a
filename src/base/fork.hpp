// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <thread>

namespace reprise::detail {

/** How many calls of fork(2) lie between the first process and this one, counted from the first call of this function.
    An object made at another depth was made in another process.

    pthread_atfork(3) counts, so the call needs no system call. Children of clone(2), vfork(2) and _Fork(3) are not
    noticed.
*/
[[nodiscard]] unsigned fork_depth() noexcept;

/** An object that a forked child makes anew, because threads, connections and file locks stay with the parent.

    The child never destroys the parent's object: the destructor would wait for threads that do not exist in the child.

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

    /// Return the object of this process; `make` creates the object if there is none. Throws what `make` throws.
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

    /// Return the object of this process, or null.
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

    // Not a mutex: a thread of the parent may hold a mutex during fork(2), and the child could never lock that mutex.
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
        std::atomic<unsigned>& owner_; // fork_depth() + 1 of the process that holds the lock; 0 if free
    };

    std::atomic<node*> current_{nullptr};
    std::atomic<unsigned> busy_{0};
};

} // namespace reprise::detail
