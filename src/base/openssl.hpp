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

/// A text of OpenSSL's that is the caller's to free.
struct openssl_text_deleter
{
    void operator()(char* text) const noexcept { ::OPENSSL_free(text); }
};
using openssl_text = std::unique_ptr<char, openssl_text_deleter>;

/// What is left in OpenSSL's error queue meanwhile is removed: in the middle of a handshake it would be taken for a failure.
struct errors_put_back
{
    errors_put_back() noexcept { ::ERR_set_mark(); }
    errors_put_back(errors_put_back const&) = delete;
    errors_put_back& operator=(errors_put_back const&) = delete;
    ~errors_put_back() { ::ERR_pop_to_mark(); }
};

/// For calls that can lack nothing but memory: algorithms that are there, keys of the right size.
/// @throws std::bad_alloc, unless `ok`. OpenSSL's error queue is then empty.
void check_openssl(bool ok);

/// Bytes that others may see (RAND_bytes(3)). @throws as check_openssl.
void fill_random(std::span<unsigned char> bytes);

/// Bytes that nobody may see (RAND_priv_bytes(3)). @throws as check_openssl.
[[nodiscard]] locked_bytes random_secret(std::size_t size);

} // namespace reprise::detail
