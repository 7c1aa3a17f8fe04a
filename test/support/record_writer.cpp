// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/record_writer.hpp"

#include <doctest/doctest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <map>
#include <memory>

namespace test {

namespace {

constexpr std::size_t tag_size = 16;

// The secret of what each client writes, by the connection's random bytes.
std::map<std::string, std::string>& secrets()
{
    static thread_local std::map<std::string, std::string> all;
    return all;
}

void keep_secret(SSL const*, char const* line)
{
    std::string const text = line;
    std::string const label = "CLIENT_TRAFFIC_SECRET_0 ";
    if (!text.starts_with(label))
        return;
    auto const space = text.find(' ', label.size());
    secrets()[text.substr(label.size(), space - label.size())] = text.substr(space + 1);
}

std::string hex(std::vector<unsigned char> const& bytes)
{
    constexpr char digits[] = "0123456789abcdef";
    std::string result;
    for (auto const byte : bytes)
    {
        result += digits[byte >> 4];
        result += digits[byte & 15];
    }
    return result;
}

std::vector<unsigned char> from_hex(std::string const& text)
{
    std::vector<unsigned char> result;
    for (std::size_t at = 0; at < text.size(); at += 2)
        result.push_back(static_cast<unsigned char>(std::stoi(text.substr(at, 2), nullptr, 16)));
    return result;
}

// RFC 8446, 7.1
std::vector<unsigned char> expand_label(std::vector<unsigned char> const& secret, std::string const& label,
                                        std::size_t size)
{
    std::string info{'\0', static_cast<char>(size)};
    auto const full = "tls13 " + label;
    info += static_cast<char>(full.size());
    info += full;
    info += '\0';
    std::vector<unsigned char> result(size);
    EVP_KDF* const hkdf = ::EVP_KDF_fetch(nullptr, "HKDF", nullptr);
    EVP_KDF_CTX* const context = ::EVP_KDF_CTX_new(hkdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digest[] = "SHA256";
    auto key = secret;
    OSSL_PARAM const params[] = {::OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                                 ::OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                 ::OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key.data(), key.size()),
                                 ::OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
                                 ::OSSL_PARAM_construct_end()};
    REQUIRE(::EVP_KDF_derive(context, result.data(), result.size(), params) == 1);
    ::EVP_KDF_CTX_free(context);
    ::EVP_KDF_free(hkdf);
    return result;
}

} // namespace

void record_writer::prepare(SSL_CTX* context)
{
    ::SSL_CTX_set_keylog_callback(context, keep_secret);
    REQUIRE(::SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1);
    REQUIRE(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
}

record_writer::record_writer(SSL const* ssl)
{
    std::vector<unsigned char> random(SSL3_RANDOM_SIZE);
    ::SSL_get_client_random(ssl, random.data(), random.size());
    auto const found = secrets().find(hex(random));
    REQUIRE(found != secrets().end());
    auto const secret = from_hex(found->second);
    key_ = expand_label(secret, "key", 16);
    iv_ = expand_label(secret, "iv", 12);
}

// RFC 8446, 5.2
std::string record_writer::write(std::string_view data, std::size_t padding)
{
    std::string inner{data};
    inner += static_cast<char>(SSL3_RT_APPLICATION_DATA);
    inner.append(padding, '\0');
    auto const size = inner.size() + tag_size;
    std::string record{static_cast<char>(SSL3_RT_APPLICATION_DATA), 3, 3, static_cast<char>(size >> 8),
                       static_cast<char>(size)};
    auto nonce = iv_;
    for (std::size_t i = 0; i < 8; ++i)
        nonce[nonce.size() - 1 - i] ^= static_cast<unsigned char>(sequence_ >> (8 * i));
    ++sequence_;
    std::vector<unsigned char> sealed(size);
    int written = 0;
    EVP_CIPHER_CTX* const cipher = ::EVP_CIPHER_CTX_new();
    auto const* const header = reinterpret_cast<unsigned char const*>(record.data());
    REQUIRE(::EVP_EncryptInit_ex(cipher, ::EVP_aes_128_gcm(), nullptr, key_.data(), nonce.data()) == 1);
    REQUIRE(::EVP_EncryptUpdate(cipher, nullptr, &written, header, static_cast<int>(record.size())) == 1);
    REQUIRE(::EVP_EncryptUpdate(cipher, sealed.data(), &written, reinterpret_cast<unsigned char const*>(inner.data()),
                                static_cast<int>(inner.size())) == 1);
    REQUIRE(::EVP_EncryptFinal_ex(cipher, sealed.data() + written, &written) == 1);
    REQUIRE(::EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, tag_size, sealed.data() + inner.size()) == 1);
    ::EVP_CIPHER_CTX_free(cipher);
    record.append(sealed.begin(), sealed.end());
    return record;
}

} // namespace test
