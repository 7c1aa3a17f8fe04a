// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/ticket_cipher.hpp"

#include "base/openssl.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>

namespace reprise::detail {

namespace {

// Fetched once, because looking an algorithm up by its name takes longer than using it.
struct algorithms
{
    evp_ptr<EVP_MD> const sha512{::EVP_MD_fetch(nullptr, "SHA512", nullptr)};
    evp_ptr<EVP_CIPHER> const cipher{::EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)};

    static algorithms const& instance()
    {
        static algorithms const the;
        check_openssl(the.sha512 != nullptr && the.cipher != nullptr);
        return the;
    }
};

template <std::size_t size>
struct wiped_array : std::array<unsigned char, size>
{
    ~wiped_array() { wipe(*this); }
};

using hkdf_block = wiped_array<64>;

// Computes one digest after the other. OpenSSL wipes the context when it is freed.
class sha512
{
public:
    sha512() { check_openssl(context_ != nullptr); }

    void begin()
    {
        check_openssl(::EVP_DigestInit_ex2(context_.get(), algorithms::instance().sha512.get(), nullptr) == 1);
    }
    void update(byte_view part) { check_openssl(::EVP_DigestUpdate(context_.get(), part.data(), part.size()) == 1); }
    void finish(unsigned char* to) { check_openssl(::EVP_DigestFinal_ex(context_.get(), to, nullptr) == 1); }

private:
    evp_ptr<EVP_MD_CTX> const context_{::EVP_MD_CTX_new()};
};

// The first block of HKDF-Expand's output: HMAC(secret, info | 1). HKDF-Extract is not needed, because the secret is
// random (RFC 5869, 3.3). HMAC (RFC 2104, 2) is spelled out, because OpenSSL's HMAC makes three digest contexts, which
// takes almost as long as the digests. It must not be kept, because its state is as good as the secret.
hkdf_block expand(byte_view secret, std::initializer_list<byte_view> info)
{
    sha512 hash;
    wiped_array<128> pad{}; // a block of SHA-512
    if (secret.size() <= pad.size())
        std::ranges::copy(secret, pad.begin());
    else
    {
        hash.begin();
        hash.update(secret);
        hash.finish(pad.data());
    }
    auto const flip = [&pad](unsigned char bits)
    {
        for (auto& byte : pad)
            byte ^= bits;
    };
    constexpr unsigned char inner = 0x36;
    constexpr unsigned char outer = 0x5c;
    constexpr unsigned char counter[] = {1};

    hkdf_block block;
    flip(inner);
    hash.begin();
    hash.update(pad);
    for (auto const part : info)
        hash.update(part);
    hash.update(counter);
    hash.finish(block.data());

    flip(inner ^ outer);
    hash.begin();
    hash.update(pad);
    hash.update(block);
    hash.finish(block.data());
    return block;
}

void use(ticket_subkeys const& keys, ticket_iv const& iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, bool seal)
{
    check_openssl(::EVP_CipherInit_ex2(cipher, algorithms::instance().cipher.get(), keys.encryption.data(), iv.data(),
                                       seal ? 1 : 0, nullptr) == 1);
    char digest[] = "SHA256";
    OSSL_PARAM const params[] = {::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 ::OSSL_PARAM_construct_end()};
    check_openssl(::EVP_MAC_init(mac, keys.integrity.data(), keys.integrity.size(), params) == 1);
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
    // All parts but the label have fixed sizes, so two inputs never run into one.
    auto const block = expand(secret, {as_bytes("reprise ticket 1"), policy, name.id, name.salt, iv});
    ticket_subkeys keys;
    std::copy_n(block.begin(), keys.encryption.size(), keys.encryption.begin());
    std::copy_n(block.begin() + keys.encryption.size(), keys.integrity.size(), keys.integrity.begin());
    return keys;
}

void begin_sealing(ticket_ring::entry const& with, policy_tag const& policy, ticket_name& name, ticket_iv& iv,
                   EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac)
{
    name.id = with.id;
    // One call for both, because the call takes time, not the bytes.
    std::array<unsigned char, sizeof name.salt + sizeof iv> random;
    fill_random(random);
    std::copy_n(random.begin(), name.salt.size(), name.salt.begin());
    std::copy_n(random.begin() + name.salt.size(), iv.size(), iv.begin());
    auto const keys = derive_subkeys(with.key.secret, policy, name, iv);
    use(keys, iv, cipher, mac, true);
}

void begin_opening(ticket_ring::entry const& with, policy_tag const& policy, ticket_name const& name,
                   ticket_iv const& iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac)
{
    auto const keys = derive_subkeys(with.key.secret, policy, name, iv);
    use(keys, iv, cipher, mac, false);
}

} // namespace reprise::detail
