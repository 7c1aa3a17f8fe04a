// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <openssl/ssl.h>

#include <cstddef>

namespace reprise::detail {

/// Return the application data of a session's ticket (SSL_SESSION_get0_ticket_appdata(3)); empty if there is none.
/// Valid as long as the session has the data.
[[nodiscard]] inline byte_view ticket_appdata_of(SSL_SESSION const* session) noexcept
{
    void* data = nullptr;
    std::size_t size = 0;
    ::SSL_SESSION_get0_ticket_appdata(const_cast<SSL_SESSION*>(session), &data, &size); // does not modify the session
    return {static_cast<unsigned char const*>(data), size};
}

} // namespace reprise::detail
