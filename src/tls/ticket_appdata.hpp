// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <cstddef>

namespace reprise::detail {

/// What a session carries for its server beside itself (SSL_SESSION_get0_ticket_appdata(3)); empty for nothing. As long as the
/// session has it.
[[nodiscard]] inline byte_view ticket_appdata_of(SSL_SESSION const* session) noexcept
{
    void* data = nullptr;
    std::size_t size = 0;
    ::SSL_SESSION_get0_ticket_appdata(const_cast<SSL_SESSION*>(session), &data, &size); // it changes nothing
    return {static_cast<unsigned char const*>(data), size};
}

} // namespace reprise::detail
