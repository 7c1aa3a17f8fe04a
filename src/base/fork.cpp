// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/fork.hpp"

#include <atomic>

#include <pthread.h>

namespace reprise::detail {

namespace {

std::atomic<unsigned> depth{0};

} // namespace

unsigned fork_depth() noexcept
{
    [[maybe_unused]] static int const registered = ::pthread_atfork(nullptr, nullptr, [] { ++depth; });
    return depth.load(std::memory_order_relaxed);
}

} // namespace reprise::detail
