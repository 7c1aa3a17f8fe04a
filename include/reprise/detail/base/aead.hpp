// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace reprise::detail {

/// Size of a key of `keyed_hash` and `aead`, in bytes.
inline constexpr std::size_t secret_key_size = 32;

/** Whether these bytes may be a key: 32 bytes with at least 16 different values.

    Finds keys that were forgotten or typed: zeros, repeated bytes, hexadecimal text. Cannot find keys of a bad
    generator. Refuses less than one random key in 10^14.
*/
[[nodiscard]] bool is_plausible_key(byte_view key) noexcept;

/** HMAC-SHA-256 (RFC 2104) under one key: makes a name for bytes that reveals nothing about them, or a key for one
    purpose.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class keyed_hash
{
public:
    using digest = std::array<unsigned char, 32>;

    /// @throws std::bad_alloc, also if OpenSSL fails without a reason.
    explicit keyed_hash(byte_view key);
    keyed_hash(keyed_hash&&) noexcept;
    keyed_hash& operator=(keyed_hash&&) noexcept;
    ~keyed_hash();

    [[nodiscard]] digest operator()(byte_view message) const;

    /// Derive a key for this purpose only: the hash of the purpose's name.
    [[nodiscard]] secret_bytes derive(std::string_view purpose) const;

private:
    struct impl;
    std::unique_ptr<impl const> impl_;
};

/** Authenticated encryption: AES-256-GCM, each message under its own key.

    The key of a message is the keyed hash of 16 random bytes in front of the message. So no nonce ever repeats under a
    key. The master key needs no change after any realistic number of messages (2^64). GCM with random nonces is limited
    to 2^32 messages (NIST SP 800-38D, 8.3).

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class aead
{
public:
    /// Bytes that sealing adds to header and text: the random bytes and the tag.
    static constexpr std::size_t overhead = 16 + 16;

    /// @throws std::bad_alloc, also if OpenSSL fails without a reason.
    explicit aead(byte_view key);
    aead(aead&&) noexcept;
    aead& operator=(aead&&) noexcept;
    ~aead();

    /** Seal a text.

        @param header Put in front: readable, but authenticated.
        @param text The text to encrypt.
        @param context Must be equal when the message is opened. Not part of the result.
    */
    [[nodiscard]] secret_bytes seal(byte_view header, byte_view text, byte_view context) const;

    /// Open a sealed message. @return The text, if `sealed` with its first `header_size` bytes and `context` are
    /// unchanged.
    [[nodiscard]] std::optional<secret_bytes> open(byte_view sealed, std::size_t header_size, byte_view context) const;

private:
    struct impl;
    std::unique_ptr<impl const> impl_;
};

} // namespace reprise::detail
