// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/tickets/large_session.hpp"

#include <reprise/secret_bytes.hpp>
#include <reprise/ssl_handles.hpp>

#include <openssl/err.h>

#include <cstddef>
#include <memory>
#include <utility>

namespace reprise::detail {

namespace {

constexpr int largest_in_ticket = 0xff00; // construct_stateless_ticket in OpenSSL 3.0 to 3.5

struct aside
{
    secret_bytes content;
    x509_ptr peer; // the caller may have a pointer to it: SSL_get0_peer_certificate(3)
};

void free_aside(void*, void* data, CRYPTO_EX_DATA*, int, long, void*) noexcept
{
    delete static_cast<aside*>(data);
}

int aside_index()
{
    static int const index = ::SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_aside);
    return index;
}

aside* aside_of(SSL const* ssl) noexcept
{
    return static_cast<aside*>(::SSL_get_ex_data(ssl, aside_index()));
}

// Returns an empty result if there is no memory.
secret_bytes encode(SSL_SESSION* session)
{
    int const size = ::i2d_SSL_SESSION(session, nullptr);
    if (size <= 0)
        return {};
    secret_bytes result{static_cast<std::size_t>(size)};
    unsigned char* at = result.data();
    ::i2d_SSL_SESSION(session, &at);
    return result;
}

// Decode into an existing session (d2i_SSL_SESSION(3)). The chain behind the certificate stays, because it is not
// encoded.
bool decode_into(SSL_SESSION* session, byte_view bytes)
{
    unsigned char const* at = bytes.data();
    bool const is_done = ::d2i_SSL_SESSION(&session, &at, static_cast<long>(bytes.size())) != nullptr;
    if (!is_done)
        ::ERR_clear_error();
    return is_done;
}

// Encode a session of the same version and cipher, without anything else.
secret_bytes encode_empty(SSL_SESSION* like)
{
    ssl_session_ptr const empty{::SSL_SESSION_new()};
    unsigned char const key = 0;
    bool const is_made =
        empty && ::SSL_SESSION_set_protocol_version(empty.get(), ::SSL_SESSION_get_protocol_version(like)) == 1 &&
        ::SSL_SESSION_set_cipher(empty.get(), ::SSL_SESSION_get0_cipher(like)) == 1 &&
        ::SSL_SESSION_set1_master_key(empty.get(), &key, sizeof key) == 1;
    return is_made ? encode(empty.get()) : secret_bytes{};
}

} // namespace

bool fits_into_ticket(SSL_SESSION const* session)
{
    constexpr int all_but_certificate = 4096; // a rough bound, so that most sessions are not measured
    X509 const* const peer = ::SSL_SESSION_get0_peer(const_cast<SSL_SESSION*>(session)); // does not modify the session
    if (peer == nullptr || ::i2d_X509(peer, nullptr) < largest_in_ticket - all_but_certificate)
        return true;
    return ::i2d_SSL_SESSION(session, nullptr) <= largest_in_ticket;
}

bool put_session_aside(SSL* ssl) noexcept
try
{
    SSL_SESSION* const session = ::SSL_get_session(ssl);
    auto content = encode(session);
    auto const empty = encode_empty(session);
    if (content.empty() || empty.empty())
        return false;
    if (aside_of(ssl) == nullptr)
    {
        auto made = std::make_unique<aside>();
        if (::SSL_set_ex_data(ssl, aside_index(), made.get()) != 1)
            return false;
        (void)made.release(); // owned by the SSL now
    }
    auto& kept = *aside_of(ssl);
    X509* const peer = ::SSL_SESSION_get0_peer(session);
    if (!kept.peer && peer != nullptr)
        kept.peer = share(peer);
    kept.content = std::move(content);
    if (decode_into(session, empty))
        return true;
    (void)put_session_back(ssl);
    return false;
}
catch (...)
{
    return false;
}

bool put_session_back(SSL* ssl) noexcept
{
    auto const content = std::exchange(aside_of(ssl)->content, {});
    return decode_into(::SSL_get_session(ssl), content);
}

bool is_session_aside(SSL const* ssl) noexcept
{
    aside const* const kept = aside_of(ssl);
    return kept != nullptr && !kept->content.empty();
}

} // namespace reprise::detail
