// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_cipher.hpp"

#include "support/ticket_contexts.hpp"
#include "support/ticket_keys.hpp"

#include <doctest/doctest.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

using namespace reprise;
using namespace reprise::detail;
using test::make_ticket_key;
using test::ticket_contexts;

TEST_SUITE_BEGIN("ticket_cipher");

namespace {

struct kdf_deleter
{
    void operator()(EVP_KDF* p) const noexcept { EVP_KDF_free(p); }
    void operator()(EVP_KDF_CTX* p) const noexcept { EVP_KDF_CTX_free(p); }
};

ticket_ring::entry entry_of(std::uint64_t seed)
{
    auto const key = make_ticket_key(seed);
    return {key, ticket_key_id(key.secret)};
}

policy_tag policy(unsigned char of)
{
    policy_tag result;
    result.fill(of);
    return result;
}

std::string text(byte_view bytes)
{
    return {bytes.begin(), bytes.end()};
}

std::string both(ticket_subkeys const& keys)
{
    return text(keys.encryption) + text(keys.integrity);
}

} // namespace

TEST_CASE("a hundred thousand tickets of one key have no key and IV pair in common")
{
    auto const entry = entry_of(1);
    ticket_contexts c;
    std::unordered_set<std::string> pairs;
    std::unordered_set<std::string> keys;
    std::unordered_set<std::string> ivs;
    constexpr int count = 100'000;
    for (int i = 0; i < count; ++i)
    {
        ticket_name name{};
        ticket_iv iv{};
        begin_sealing(entry, policy(1), name, iv, c.cipher.get(), c.mac.get());
        auto const subkeys = derive_subkeys(entry.key.secret, policy(1), name, iv);
        pairs.insert(text(subkeys.encryption) + text(iv));
        keys.insert(both(subkeys));
        ivs.insert(text(iv));
    }
    CHECK(pairs.size() == count);
    CHECK(keys.size() == count); // not even a key
    CHECK(ivs.size() == count);
}

TEST_CASE("what one seals the other opens, under one key, policy, name and IV")
{
    auto const entry = entry_of(1);
    ticket_contexts seal;
    ticket_contexts open;
    ticket_name name{};
    ticket_iv iv{};
    begin_sealing(entry, policy(1), name, iv, seal.cipher.get(), seal.mac.get());
    CHECK(name.id == entry.id);
    CHECK(EVP_CIPHER_CTX_get_block_size(seal.cipher.get()) == 16);
    CHECK(EVP_CIPHER_CTX_get_mode(seal.cipher.get()) == EVP_CIPH_CBC_MODE); // OpenSSL takes no AEAD here
    CHECK(EVP_CIPHER_CTX_get_key_length(seal.cipher.get()) == 32);
    begin_opening(entry, policy(1), name, iv, open.cipher.get(), open.mac.get());

    unsigned char const session[100] = {1, 2, 3};
    std::vector<unsigned char> sealed(128);
    std::vector<unsigned char> opened(128);
    int size = 0;
    int rest = 0;
    REQUIRE(EVP_EncryptUpdate(seal.cipher.get(), sealed.data(), &size, session, sizeof session) == 1);
    REQUIRE(EVP_EncryptFinal_ex(seal.cipher.get(), sealed.data() + size, &rest) == 1);
    int const sealed_size = size + rest;
    REQUIRE(EVP_DecryptUpdate(open.cipher.get(), opened.data(), &size, sealed.data(), sealed_size) == 1);
    REQUIRE(EVP_DecryptFinal_ex(open.cipher.get(), opened.data() + size, &rest) == 1);
    CHECK(std::equal(std::begin(session), std::end(session), opened.begin()));

    auto const tag_of = [&](ticket_contexts& c)
    {
        unsigned char tag[EVP_MAX_MD_SIZE];
        std::size_t tag_size = 0;
        CHECK(EVP_MAC_init(c.mac.get(), nullptr, 0, nullptr) == 1);
        CHECK(EVP_MAC_update(c.mac.get(), sealed.data(), static_cast<std::size_t>(sealed_size)) == 1);
        CHECK(EVP_MAC_final(c.mac.get(), tag, &tag_size, sizeof tag) == 1);
        CHECK(tag_size == 32);
        return text({tag, tag_size});
    };
    auto const tag = tag_of(seal);
    CHECK(tag == tag_of(open));
    ticket_contexts other;
    begin_opening(entry, policy(2), name, iv, other.cipher.get(), other.mac.get());
    CHECK(tag != tag_of(other));
}

TEST_CASE("the keys of a ticket depend on the secret, the policy and every random byte")
{
    auto const secret = test::ticket_secret(1);
    ticket_name const name{ticket_key_id(secret), {1, 2, 3, 4, 5, 6, 7, 8}};
    ticket_iv const iv{9, 8, 7};
    auto const keys = both(derive_subkeys(secret, policy(1), name, iv));
    CHECK(keys == both(derive_subkeys(secret, policy(1), name, iv)));
    CHECK(keys != both(derive_subkeys(test::ticket_secret(2), policy(1), name, iv)));
    CHECK(keys != both(derive_subkeys(secret, policy(2), name, iv)));
    for (std::size_t i = 0; i < name.salt.size(); ++i)
    {
        auto other = name;
        other.salt[i] ^= 1;
        CHECK(keys != both(derive_subkeys(secret, policy(1), other, iv)));
    }
    for (std::size_t i = 0; i < iv.size(); ++i)
    {
        auto other = iv;
        other[i] ^= 1;
        CHECK(keys != both(derive_subkeys(secret, policy(1), name, other)));
    }
    CHECK(ticket_key_id(secret) != ticket_key_id(test::ticket_secret(2)));
}

TEST_CASE("the derivation is HKDF-Expand with SHA-512, as OpenSSL has it")
{
    std::unique_ptr<EVP_KDF, kdf_deleter> const hkdf{EVP_KDF_fetch(nullptr, "HKDF", nullptr)};
    for (std::size_t const size : {32u, 64u, 127u, 128u, 129u, 256u})
    {
        auto secret = test::ticket_secret(size, size);
        ticket_name const name{ticket_key_id(secret), {1, 2, 3, 4, 5, 6, 7, 8}};
        ticket_iv const iv{9, 8, 7};
        auto info = std::string{"reprise ticket 1"} + text(policy(3)) + text(name.id) + text(name.salt) + text(iv);

        std::unique_ptr<EVP_KDF_CTX, kdf_deleter> const context{EVP_KDF_CTX_new(hkdf.get())};
        int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
        char digest[] = "SHA512";
        OSSL_PARAM const params[] = {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                                     OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                     OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), size),
                                     OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
                                     OSSL_PARAM_construct_end()};
        unsigned char expected[64];
        REQUIRE(EVP_KDF_derive(context.get(), expected, sizeof expected, params) == 1);
        CHECK(both(derive_subkeys(secret, policy(3), name, iv)) == text(expected));
    }
}

TEST_SUITE_END();
