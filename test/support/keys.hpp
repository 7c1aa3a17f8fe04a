// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/detail/base/aead.hpp>

namespace test {

/// A key that looks random enough, one for each number.
inline reprise::secret_bytes key_of(unsigned char number)
{
    reprise::secret_bytes key(reprise::detail::secret_key_size);
    for (std::size_t i = 0; i < key.size(); ++i)
        key.data()[i] = static_cast<unsigned char>(number + 7 * i);
    return key;
}

} // namespace test
