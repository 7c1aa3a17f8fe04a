// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_cipher.hpp"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>

namespace reprise::detail {

namespace {

void check(bool ok)
{
    if (ok)
        return;
    ::ERR_clear_error();
    throw std::bad_alloc{};
}

struct deleter
{
    void operator()(EVP_MAC* p) const noexcept { ::EVP_MAC_free(p); }
    void operator()(EVP_MAC_CTX* p) const noexcept { ::EVP_MAC_CTX_free(p); }
    void operator()(EVP_CIPHER* p) const noexcept { ::EVP_CIPHER_free(p); }
};

template <class T>
using owned = std::unique_ptr<T, deleter>;

owned<EVP_MAC_CTX> hmac_sha512()
{
    owned<EVP_MAC> const hmac{::EVP_MAC_fetch(nullptr, "HMAC", nullptr)};
    check(hmac != nullptr);
    owned<EVP_MAC_CTX> context{::EVP_MAC_CTX_new(hmac.get())};
    char digest[] = "SHA512";
    OSSL_PARAM const params[] = {::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 ::OSSL_PARAM_construct_end()};
    check(context != nullptr && ::EVP_MAC_CTX_set_params(context.get(), params) == 1);
    return context;
}

// Fetched once: looking an algorithm up by its name takes longer than to use it.
struct algorithms
{
    owned<EVP_MAC_CTX> const hkdf = hmac_sha512(); // without a key: each use takes a copy
    owned<EVP_CIPHER> const cipher{::EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)};

    static algorithms const& instance()
    {
        static algorithms const the;
        check(the.cipher != nullptr);
        return the;
    }
};

using hkdf_block = std::array<unsigned char, 64>;

// The first block of HKDF-Expand's output: HMAC(secret, info | 1). The secret is random, so there is nothing to extract
// (RFC 5869, 3.3).
hkdf_block expand(byte_view secret, std::initializer_list<byte_view> info)
{
    owned<EVP_MAC_CTX> const context{::EVP_MAC_CTX_dup(algorithms::instance().hkdf.get())};
    check(context != nullptr && ::EVP_MAC_init(context.get(), secret.data(), secret.size(), nullptr) == 1);
    for (auto const part : info)
        check(::EVP_MAC_update(context.get(), part.data(), part.size()) == 1);
    unsigned char const counter = 1;
    hkdf_block block;
    std::size_t size = 0;
    check(::EVP_MAC_update(context.get(), &counter, 1) == 1 &&
          ::EVP_MAC_final(context.get(), block.data(), &size, block.size()) == 1 && size == block.size());
    return block;
}

void use(ticket_subkeys& keys, ticket_iv const& iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, bool seal)
{
    check(::EVP_CipherInit_ex2(cipher, algorithms::instance().cipher.get(), keys.encryption.data(), iv.data(),
                               seal ? 1 : 0, nullptr) == 1);
    char digest[] = "SHA256";
    OSSL_PARAM const params[] = {
        ::OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, keys.integrity.data(), keys.integrity.size()),
        ::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), ::OSSL_PARAM_construct_end()};
    check(::EVP_MAC_CTX_set_params(mac, params) == 1);
}

} // namespace

ticket_subkeys::~ticket_subkeys()
{
    wipe(encryption);
    wipe(integrity);
}

key_id ticket_key_id(byte_view secret)
{
    auto const block = expand(secret, {as_bytes("reprise ticket key id 1")});
    key_id id;
    std::copy_n(block.begin(), id.size(), id.begin());
    return id;
}

ticket_subkeys derive_subkeys(byte_view secret, policy_tag const& policy, ticket_name const& name, ticket_iv const& iv)
{
    // All but the label are of fixed sizes, so no two of them run into one.
    auto block = expand(secret, {as_bytes("reprise ticket 1"), policy, name.id, name.salt, iv});
    ticket_subkeys keys;
    std::copy_n(block.begin(), keys.encryption.size(), keys.encryption.begin());
    std::copy_n(block.begin() + keys.encryption.size(), keys.integrity.size(), keys.integrity.begin());
    wipe(block);
    return keys;
}

void begin_sealing(ticket_ring::entry const& with, policy_tag const& policy, ticket_name& name, ticket_iv& iv,
                   EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac)
{
    name.id = with.id;
    check(::RAND_bytes(name.salt.data(), static_cast<int>(name.salt.size())) == 1 &&
          ::RAND_bytes(iv.data(), static_cast<int>(iv.size())) == 1);
    auto keys = derive_subkeys(with.key.secret, policy, name, iv);
    use(keys, iv, cipher, mac, true);
}

void begin_opening(ticket_ring::entry const& with, policy_tag const& policy, ticket_name const& name,
                   ticket_iv const& iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac)
{
    auto keys = derive_subkeys(with.key.secret, policy, name, iv);
    use(keys, iv, cipher, mac, false);
}

} // namespace reprise::detail
