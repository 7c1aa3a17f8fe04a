// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace reprise::detail {

/// What a setting of an SSL_CTX has to do with whom a session may be resumed with.
enum class treatment : std::uint8_t
{
    read,           ///< part of the fingerprint, read from the context
    offered,        ///< part of the fingerprint, read from the ClientHello that the context would send
    identity,       ///< part of session_scope::identity
    verified_again, ///< cannot be read, but a verification that is done again obeys it
    unrepeatable,   ///< where it is in use the verification cannot be repeated: no session is kept
    declared,       ///< OpenSSL does not tell: the caller's tag (client) or id context (server) stands for it
    none,           ///< says nothing about who the peers are, or is settled anew by each handshake, or is reprise's own
};

struct setting
{
    std::string_view name; ///< of OpenSSL's function or macro, without "SSL_CTX_"
    treatment on_client;
    treatment on_server;
};

/// Every function by which something of an SSL_CTX can be set, from OpenSSL 3.0 to 3.5. A test compares it with the headers.
[[nodiscard]] std::span<setting const> settings() noexcept;

/// Whether this function only asks, counts, frees or compares, or is the type of a callback.
[[nodiscard]] bool is_question(std::string_view name) noexcept;

} // namespace reprise::detail
