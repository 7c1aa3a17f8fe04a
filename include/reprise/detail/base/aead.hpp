// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

namespace reprise::detail {

/// Bytes of a key of `keyed_hash` and `aead`.
inline constexpr std::size_t secret_key_size = 32;

/** Whether these bytes may be a key: 32 of them, with at least 16 different values.

    It finds what was forgotten or typed, zeros, repeated bytes, hexadecimal text; nothing finds a key that was chosen by
    a bad generator. Of keys drawn at random it refuses less than one in 10^14.
*/
[[nodiscard]] bool is_plausible_key(byte_view key) noexcept;

/** HMAC-SHA-256 (RFC 2104) under one key: a name for bytes that says nothing about them, or a key for one purpose.

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class keyed_hash
{
public:
    using digest = std::array<unsigned char, 32>;

    /// @throws std::bad_alloc, also where OpenSSL does not say what it lacked.
    explicit keyed_hash(byte_view key);
    keyed_hash(keyed_hash&&) noexcept;
    keyed_hash& operator=(keyed_hash&&) noexcept;
    ~keyed_hash();

    [[nodiscard]] digest operator()(byte_view message) const;

    /// A key that is good for `purpose` alone: the hash of its name.
    [[nodiscard]] secret_bytes derive(std::string_view purpose) const;

private:
    struct impl;
    std::unique_ptr<impl const> impl_;
};

/** Authenticated encryption: AES-256-GCM, each message under a key of its own.

    That key is the keyed hash of 16 random bytes in front of the message. So no nonce can ever repeat under it, and there
    is no number of messages, within reason (2^64), after which the key has to be changed, as there is for GCM with random
    nonces (2^32; NIST SP 800-38D, 8.3).

    @par Thread Safety
    Distinct and shared objects: safe.
*/
class aead
{
public:
    /// How much longer a sealed message is than its header and text together: the random bytes and the tag.
    static constexpr std::size_t overhead = 16 + 16;

    /// @throws std::bad_alloc, also where OpenSSL does not say what it lacked.
    explicit aead(byte_view key);
    aead(aead&&) noexcept;
    aead& operator=(aead&&) noexcept;
    ~aead();

    /** Seal a text.

        @param header Goes in front, readable and protected from change.
        @param text What nobody may read.
        @param context What has to be equal when it is opened; it is not part of the result.
    */
    [[nodiscard]] secret_bytes seal(byte_view header, byte_view text, byte_view context) const;

    /// The text, if all of `sealed`, its first `header_size` bytes included, and `context` are as they were.
    [[nodiscard]] std::optional<secret_bytes> open(byte_view sealed, std::size_t header_size, byte_view context) const;

private:
    struct impl;
    std::unique_ptr<impl const> impl_;
};

} // namespace reprise::detail
