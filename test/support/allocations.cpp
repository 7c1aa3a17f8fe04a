// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/allocations.hpp"

#include <openssl/crypto.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr std::size_t never = 0;

thread_local std::size_t until_failure[2] = {never, never}; // by test::allocator
thread_local bool failed = false;

bool fails(test::allocator whose) noexcept
{
    auto& rest = until_failure[static_cast<std::size_t>(whose)];
    bool const result = rest != never && --rest == never;
    failed = failed || result;
    return result;
}

// Of other threads than the one that is exempt.
thread_local bool is_exempt = false;
std::atomic<std::size_t> allocations = 0;
std::atomic<std::size_t> first_failure = never;
std::atomic<std::size_t> last_failure = never;
std::atomic<std::size_t> failures_elsewhere = 0;

bool fails_elsewhere() noexcept
{
    auto const first = first_failure.load();
    if (first == never || is_exempt)
        return false;
    auto const nth = ++allocations;
    bool const result = nth >= first && nth <= last_failure;
    failures_elsewhere += result ? 1 : 0;
    return result;
}

void* allocate(std::size_t size)
{
    if (!fails(test::allocator::ours) && !fails_elsewhere())
        if (void* const made = std::malloc(size != 0 ? size : 1))
            return made;
    throw std::bad_alloc{};
}

void* openssl_malloc(std::size_t size, char const*, int)
{
    return fails(test::allocator::openssls) ? nullptr : std::malloc(size);
}

void* openssl_realloc(void* p, std::size_t size, char const*, int)
{
    if (size == 0)
    {
        std::free(p);
        return nullptr;
    }
    return fails(test::allocator::openssls) ? nullptr : std::realloc(p, size);
}

void openssl_free(void* p, char const*, int)
{
    std::free(p);
}

// Before OpenSSL's first allocation; later it refuses.
[[maybe_unused]] int const replaced = ::CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);

} // namespace

// What Asio allocates handlers and coroutines with. In the place of the C library's.
extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
    void* made = nullptr;
    int const error = fails_elsewhere() ? ENOMEM : ::posix_memalign(&made, alignment, size);
    errno = error;
    return error == 0 ? made : nullptr;
}

void* operator new(std::size_t size)
{
    return allocate(size);
}

void* operator new[](std::size_t size)
{
    return allocate(size);
}

// The standard library's call the ones above, those of a sanitizer do not.
void* operator new(std::size_t size, std::nothrow_t const&) noexcept
try
{
    return allocate(size);
}
catch (std::bad_alloc const&)
{
    return nullptr;
}

void* operator new[](std::size_t size, std::nothrow_t const&) noexcept
try
{
    return allocate(size);
}
catch (std::bad_alloc const&)
{
    return nullptr;
}

void operator delete(void* p) noexcept
{
    std::free(p);
}

void operator delete[](void* p) noexcept
{
    std::free(p);
}

void operator delete(void* p, std::size_t) noexcept
{
    std::free(p);
}

void operator delete[](void* p, std::size_t) noexcept
{
    std::free(p);
}

namespace test {

failing_allocation::failing_allocation(allocator whose, std::size_t n) noexcept
{
    failed = false;
    until_failure[static_cast<std::size_t>(whose)] = n;
}

failing_allocation::~failing_allocation()
{
    until_failure[0] = until_failure[1] = never;
}

bool failing_allocation::has_failed() const noexcept
{
    return failed;
}

failing_elsewhere::failing_elsewhere(std::size_t n, std::size_t count) noexcept
{
    is_exempt = true;
    allocations = 0;
    failures_elsewhere = 0;
    last_failure =
        count > std::numeric_limits<std::size_t>::max() - n ? std::numeric_limits<std::size_t>::max() : n + count - 1;
    first_failure = n;
}

failing_elsewhere::~failing_elsewhere()
{
    first_failure = never;
    is_exempt = false;
}

std::size_t failing_elsewhere::failures() const noexcept
{
    return failures_elsewhere;
}

undisturbed::undisturbed() noexcept : interrupted_{until_failure[0], until_failure[1]}
{
    until_failure[0] = until_failure[1] = never;
}

undisturbed::~undisturbed()
{
    until_failure[0] = interrupted_[0];
    until_failure[1] = interrupted_[1];
}

} // namespace test
