// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <openssl/ssl.h>

#include <ctime>

namespace reprise::detail {

/// SSL_SESSION_get_time(3), whose `long` is deprecated since OpenSSL 3.4. Seconds since the epoch.
[[nodiscard]] inline std::time_t issued_at(SSL_SESSION const* session)
{
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    return ::SSL_SESSION_get_time_ex(session);
#else
    return static_cast<std::time_t>(::SSL_SESSION_get_time(session));
#endif
}

inline void set_issued_at(SSL_SESSION* session, std::time_t time)
{
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    (void)::SSL_SESSION_set_time_ex(session, time);
#else
    (void)::SSL_SESSION_set_time(session, static_cast<long>(time));
#endif
}

/// SSL_CTX_flush_sessions(3), whose `long` is deprecated since OpenSSL 3.4.
inline void flush_sessions(SSL_CTX* context, std::time_t now)
{
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    ::SSL_CTX_flush_sessions_ex(context, now);
#else
    ::SSL_CTX_flush_sessions(context, static_cast<long>(now));
#endif
}

} // namespace reprise::detail
