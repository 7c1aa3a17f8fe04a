// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/locked_bytes.hpp>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <cstddef>
#include <memory>
#include <span>

namespace reprise::detail {

struct evp_deleter
{
    void operator()(EVP_MD* p) const noexcept { ::EVP_MD_free(p); }
    void operator()(EVP_MD_CTX* p) const noexcept { ::EVP_MD_CTX_free(p); }
    void operator()(EVP_MAC* p) const noexcept { ::EVP_MAC_free(p); }
    void operator()(EVP_MAC_CTX* p) const noexcept { ::EVP_MAC_CTX_free(p); }
    void operator()(EVP_CIPHER* p) const noexcept { ::EVP_CIPHER_free(p); }
    void operator()(EVP_CIPHER_CTX* p) const noexcept { ::EVP_CIPHER_CTX_free(p); }
};

template <class T>
using evp_ptr = std::unique_ptr<T, evp_deleter>;

/// Frees a text that OpenSSL allocated for the caller.
struct openssl_text_deleter
{
    void operator()(char* text) const noexcept { ::OPENSSL_free(text); }
};
using openssl_text = std::unique_ptr<char, openssl_text_deleter>;

/// On destruction, remove what was added to OpenSSL's error queue. During a handshake, an error left in the queue would
/// be taken for a failure of the handshake.
struct errors_put_back
{
    errors_put_back() noexcept { ::ERR_set_mark(); }
    errors_put_back(errors_put_back const&) = delete;
    errors_put_back& operator=(errors_put_back const&) = delete;
    ~errors_put_back() { ::ERR_pop_to_mark(); }
};

/// Check a call that can fail only for lack of memory, because the algorithm exists and the key size is right.
/// @throws std::bad_alloc, unless `ok`. OpenSSL's error queue is then empty.
void check_openssl(bool ok);

/// Fill `bytes` with random bytes that may become public (RAND_bytes(3)). @throws as check_openssl.
void fill_random(std::span<unsigned char> bytes);

/// Make random bytes that stay secret (RAND_priv_bytes(3)). @throws as check_openssl.
[[nodiscard]] locked_bytes random_secret(std::size_t size);

} // namespace reprise::detail
