// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace reprise::detail {

/// How a setting of an SSL_CTX bears on who may resume a session.
enum class treatment : std::uint8_t
{
    read,           ///< part of the fingerprint, read from the context
    offered,        ///< part of the fingerprint, read from the ClientHello that the context would send
    identity,       ///< part of session_scope::identity
    verified_again, ///< cannot be read, but verifying again obeys the setting
    unrepeatable,   ///< where in use, a verification cannot be repeated: no session is kept
    declared,       ///< OpenSSL does not tell: the caller's tag (client) or id context (server) stands for it
    none,           ///< does not decide who the peers are, or is negotiated by each handshake, or is reprise's own
};

struct setting
{
    std::string_view name; ///< of OpenSSL's function or macro, without "SSL_CTX_"
    treatment on_client;
    treatment on_server;
};

/// Every function that sets something of an SSL_CTX, from OpenSSL 3.0 to 3.5. A test compares the table with the
/// headers.
[[nodiscard]] std::span<setting const> settings() noexcept;

/// Whether the function only reads, counts, frees or compares, or the name is that of a callback type.
[[nodiscard]] bool is_question(std::string_view name) noexcept;

} // namespace reprise::detail
