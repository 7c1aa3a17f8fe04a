// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "base/openssl.hpp"

namespace test {

/// What OpenSSL hands to a ticket key callback.
struct ticket_contexts
{
    reprise::detail::evp_ptr<EVP_CIPHER_CTX> cipher{EVP_CIPHER_CTX_new()};
    reprise::detail::evp_ptr<EVP_MAC> hmac{EVP_MAC_fetch(nullptr, "HMAC", nullptr)};
    reprise::detail::evp_ptr<EVP_MAC_CTX> mac{EVP_MAC_CTX_new(hmac.get())};
};

} // namespace test
