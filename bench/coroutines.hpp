// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <exception>

namespace bench {

/// The completion handler of a coroutine that must not fail: what it threw comes out of the io_context's run.
inline void rethrow(std::exception_ptr e)
{
    if (e)
        std::rethrow_exception(e);
}

} // namespace bench
