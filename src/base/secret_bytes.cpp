// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/secret_bytes.hpp>

#include <string.h>

namespace reprise {

void wipe(std::span<unsigned char> bytes) noexcept
{
    if (!bytes.empty())
        ::explicit_bzero(bytes.data(), bytes.size());
}

} // namespace reprise
