// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <array>

namespace reprise::detail {

using sha256_digest = std::array<unsigned char, 32>;

/// Compute a digest. @throws std::bad_alloc, if OpenSSL fails.
[[nodiscard]] sha256_digest sha256(byte_view bytes);

} // namespace reprise::detail
