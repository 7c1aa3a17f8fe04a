// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>

namespace test {

// Only for a program that has allocations.cpp in it, which replaces operator new and operator delete.

/// Whose allocations are meant.
enum class allocator
{
    ours,     ///< operator new
    openssls, ///< OPENSSL_malloc(3)
};

/// While it is there, one allocation of this thread fails: the n-th of this allocator's, counted from 1.
class failing_allocation
{
public:
    failing_allocation(allocator whose, std::size_t n) noexcept;
    failing_allocation(failing_allocation const&) = delete;
    failing_allocation& operator=(failing_allocation const&) = delete;
    ~failing_allocation();

    /// Whether there were as many allocations.
    [[nodiscard]] bool has_failed() const noexcept;
};

/** While it is there, allocations of all other threads fail: `count` of them, from the n-th on, counted from 1.

    Those of operator new, and those of Asio, which calls aligned_alloc(3).
*/
class failing_elsewhere
{
public:
    explicit failing_elsewhere(std::size_t n, std::size_t count = 1) noexcept;
    failing_elsewhere(failing_elsewhere const&) = delete;
    failing_elsewhere& operator=(failing_elsewhere const&) = delete;
    ~failing_elsewhere();

    /// How many have failed.
    [[nodiscard]] std::size_t failures() const noexcept;
};

/// While it is there, allocations of this thread neither fail nor count.
class undisturbed
{
public:
    undisturbed() noexcept;
    undisturbed(undisturbed const&) = delete;
    undisturbed& operator=(undisturbed const&) = delete;
    ~undisturbed();

private:
    std::size_t const interrupted_[2];
};

} // namespace test
