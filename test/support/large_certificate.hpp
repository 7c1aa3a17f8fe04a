// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/testing/certificate.hpp>

#include <cstddef>

namespace test {

/// A certificate that signs itself, with a comment of that many bytes and so many names, and its key.
[[nodiscard]] reprise::testing::identity large_certificate(std::size_t comment, int names = 1);

} // namespace test
