// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise {

using byte_view = std::span<unsigned char const>;

/// Overwrite memory in a way that the compiler must not remove (explicit_bzero(3)).
void wipe(std::span<unsigned char> bytes) noexcept;

/** Bytes that are wiped on destruction, for session records and ticket keys.

    There is no stream operator and there never will be, because a session is a secret (RFC 8446, 4.6.1). Copies are
    allowed; each wipes itself.
*/
class secret_bytes
{
public:
    secret_bytes() = default;
    explicit secret_bytes(byte_view bytes) : bytes_(bytes.begin(), bytes.end()) {}
    explicit secret_bytes(std::size_t size) : bytes_(size) {}
    secret_bytes(secret_bytes const&) = default;
    secret_bytes(secret_bytes&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    ~secret_bytes() { wipe(bytes_); }

    secret_bytes& operator=(secret_bytes other) noexcept
    {
        bytes_.swap(other.bytes_);
        return *this;
    }

    [[nodiscard]] unsigned char* data() noexcept { return bytes_.data(); }
    [[nodiscard]] unsigned char const* data() const noexcept { return bytes_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] byte_view view() const noexcept { return bytes_; }
    operator byte_view() const noexcept { return bytes_; }

    friend bool operator==(secret_bytes const&, secret_bytes const&) = default;

private:
    std::vector<unsigned char> bytes_;
};

/// The bytes of a text, unchanged.
[[nodiscard]] inline byte_view as_bytes(std::string_view text) noexcept
{
    return {reinterpret_cast<unsigned char const*>(text.data()), text.size()};
}

} // namespace reprise
