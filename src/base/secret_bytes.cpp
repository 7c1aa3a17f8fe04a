// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/base/secret_bytes.hpp>

#include <openssl/crypto.h>

namespace reprise {

void wipe(std::span<unsigned char> bytes) noexcept
{
    ::OPENSSL_cleanse(bytes.data(), bytes.size());
}

} // namespace reprise
