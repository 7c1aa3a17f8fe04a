// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/sha256.hpp"

#include <openssl/evp.h>

#include <new>

namespace reprise::detail {

sha256_digest sha256(byte_view bytes)
{
    sha256_digest digest{};
    if (::EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, ::EVP_sha256(), nullptr) != 1)
        throw std::bad_alloc{};
    return digest;
}

} // namespace reprise::detail
