// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/openssl.hpp"

#include <reprise/detail/base/aead.hpp>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::size_t salt_size = 16;
constexpr std::size_t tag_size = 16;
constexpr unsigned char zero_nonce[12] = {}; // each message has its own key
static_assert(aead::overhead == salt_size + tag_size);

int int_size(std::size_t size)
{
    check_openssl(size <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
    return static_cast<int>(size);
}

} // namespace

bool is_plausible_key(byte_view key) noexcept
{
    constexpr std::size_t fewest_values = 16;
    std::bitset<256> seen;
    for (auto const byte : key)
        seen.set(byte);
    return key.size() == secret_key_size && seen.count() >= fewest_values;
}

struct keyed_hash::impl
{
    evp_ptr<EVP_MAC_CTX> keyed; // never used directly: each message takes a copy
};

keyed_hash::keyed_hash(byte_view key)
{
    evp_ptr<EVP_MAC> const hmac{::EVP_MAC_fetch(nullptr, "HMAC", nullptr)};
    check_openssl(hmac != nullptr);
    evp_ptr<EVP_MAC_CTX> keyed{::EVP_MAC_CTX_new(hmac.get())};
    char name[] = "SHA256";
    OSSL_PARAM const params[] = {::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                 ::OSSL_PARAM_construct_end()};
    check_openssl(keyed != nullptr && ::EVP_MAC_init(keyed.get(), key.data(), key.size(), params) == 1);
    impl_ = std::make_unique<impl const>(impl{std::move(keyed)});
}

keyed_hash::keyed_hash(keyed_hash&&) noexcept = default;
keyed_hash& keyed_hash::operator=(keyed_hash&&) noexcept = default;
keyed_hash::~keyed_hash() = default;

keyed_hash::digest keyed_hash::operator()(byte_view message) const
{
    evp_ptr<EVP_MAC_CTX> const context{::EVP_MAC_CTX_dup(impl_->keyed.get())};
    check_openssl(context != nullptr);
    digest result;
    std::size_t size = 0;
    check_openssl(::EVP_MAC_update(context.get(), message.data(), message.size()) == 1 &&
                  ::EVP_MAC_final(context.get(), result.data(), &size, result.size()) == 1 && size == result.size());
    return result;
}

secret_bytes keyed_hash::derive(std::string_view purpose) const
{
    auto key = (*this)(as_bytes(purpose));
    secret_bytes result{byte_view{key}};
    wipe(key);
    return result;
}

struct aead::impl
{
    keyed_hash key_of; // derives each message's key from its salt
    evp_ptr<EVP_CIPHER> cipher;

    [[nodiscard]] evp_ptr<EVP_CIPHER_CTX> begin(byte_view salt, bool encrypt) const
    {
        auto key = key_of(salt);
        evp_ptr<EVP_CIPHER_CTX> context{::EVP_CIPHER_CTX_new()};
        bool const ok = context != nullptr && ::EVP_CipherInit_ex2(context.get(), cipher.get(), key.data(), zero_nonce,
                                                                   encrypt ? 1 : 0, nullptr) == 1;
        wipe(key);
        check_openssl(ok);
        return context;
    }
};

namespace {

// Add associated data: authenticated, not encrypted. A length prefix keeps different inputs distinct.
void add_clear(EVP_CIPHER_CTX* context, byte_view bytes)
{
    std::uint64_t const size = bytes.size();
    unsigned char length[8];
    for (int i = 0; i < 8; ++i)
        length[i] = static_cast<unsigned char>(size >> (56 - 8 * i));
    int out = 0;
    check_openssl(::EVP_CipherUpdate(context, nullptr, &out, length, sizeof length) == 1);
    if (!bytes.empty())
        check_openssl(::EVP_CipherUpdate(context, nullptr, &out, bytes.data(), int_size(bytes.size())) == 1);
}

void transform(EVP_CIPHER_CTX* context, byte_view from, unsigned char* to)
{
    int out = 0;
    if (!from.empty())
        check_openssl(::EVP_CipherUpdate(context, to, &out, from.data(), int_size(from.size())) == 1);
}

} // namespace

aead::aead(byte_view key)
{
    evp_ptr<EVP_CIPHER> cipher{::EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)};
    check_openssl(cipher != nullptr);
    impl_ = std::make_unique<impl const>(impl{keyed_hash{key}, std::move(cipher)});
}

aead::aead(aead&&) noexcept = default;
aead& aead::operator=(aead&&) noexcept = default;
aead::~aead() = default;

secret_bytes aead::seal(byte_view header, byte_view text, byte_view context) const
{
    secret_bytes result(header.size() + text.size() + overhead);
    unsigned char* const salt = std::copy(header.begin(), header.end(), result.data());
    unsigned char* const body = salt + salt_size;
    unsigned char* const tag = body + text.size();
    fill_random({salt, salt_size});

    auto const cipher = impl_->begin({salt, salt_size}, true);
    add_clear(cipher.get(), header);
    add_clear(cipher.get(), context);
    transform(cipher.get(), text, body);
    int out = 0;
    check_openssl(::EVP_CipherFinal_ex(cipher.get(), tag, &out) == 1 &&
                  ::EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_size), tag) == 1);
    return result;
}

std::optional<secret_bytes> aead::open(byte_view sealed, std::size_t header_size, byte_view context) const
{
    if (sealed.size() < overhead || sealed.size() - overhead < header_size)
        return std::nullopt;
    auto const salt = sealed.subspan(header_size, salt_size);
    auto const body = sealed.subspan(header_size + salt_size, sealed.size() - header_size - overhead);
    std::array<unsigned char, tag_size> tag;
    std::ranges::copy(sealed.last(tag_size), tag.begin()); // EVP_CIPHER_CTX_ctrl takes no pointer to const

    auto const cipher = impl_->begin(salt, false);
    add_clear(cipher.get(), sealed.first(header_size));
    add_clear(cipher.get(), context);
    secret_bytes text(body.size());
    transform(cipher.get(), body, text.data());
    int out = 0;
    unsigned char none = 0;
    check_openssl(::EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag_size), tag.data()) ==
                  1);
    if (::EVP_CipherFinal_ex(cipher.get(), &none, &out) != 1)
    {
        ::ERR_clear_error();
        return std::nullopt;
    }
    return text;
}

} // namespace reprise::detail
