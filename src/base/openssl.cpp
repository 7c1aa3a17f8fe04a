// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/openssl.hpp"

#include <openssl/err.h>
#include <openssl/rand.h>

#include <new>

namespace reprise::detail {

void check_openssl(bool ok)
{
    if (ok)
        return;
    ::ERR_clear_error();
    throw std::bad_alloc{};
}

void fill_random(std::span<unsigned char> bytes)
{
    check_openssl(::RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
}

locked_bytes random_secret(std::size_t size)
{
    locked_bytes secret{size};
    check_openssl(::RAND_priv_bytes(secret.data(), static_cast<int>(size)) == 1);
    return secret;
}

} // namespace reprise::detail
