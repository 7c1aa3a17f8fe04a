// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/handshake/client_context.hpp"

#include "base/openssl.hpp"
#include "tls/context_use.hpp"
#include "tls/session_table.hpp"
#include "tls/ticket_request.hpp"

#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/policy_changed.hpp>

#include <openssl/err.h>

#include <memory>
#include <mutex>
#include <new>

namespace reprise::detail {

namespace {

// Callbacks of OpenSSL. No exception may leave them.

void free_client_context(void*, void* data, CRYPTO_EX_DATA*, int, long, void*) noexcept
{
    delete static_cast<client_context*>(data);
}

// Asio owns the app-data slots of SSL and SSL_CTX, so reprise allocates slots of its own.
int context_index()
{
    static int const index = ::SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_client_context);
    return index;
}

int connection_index()
{
    static int const index = ::SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

client_handshake* connection_of(SSL const* ssl) noexcept
{
    return static_cast<client_handshake*>(::SSL_get_ex_data(ssl, connection_index()));
}

int on_new_session(SSL* ssl, SSL_SESSION* live) noexcept
{
    store_in_table(ssl, live);
    if (auto* const connection = connection_of(ssl))
        connection->on_new_session(ssl, live);
    auto const* const context = client_context::find(::SSL_get_SSL_CTX(ssl));
    // 0: OpenSSL keeps its reference, because the snapshot is a copy.
    return context != nullptr && context->previous != nullptr ? context->previous(ssl, live) : 0;
}

int add_ticket_request(SSL* ssl, unsigned, unsigned, unsigned char const** out, std::size_t* size, X509*, std::size_t,
                       int*, void*) noexcept
{
    auto const* const connection = connection_of(ssl);
    auto const request = connection != nullptr ? connection->ticket_request() : byte_view{};
    *out = request.data();
    *size = request.size();
    return request.empty() ? 0 : 1;
}

// The server says how many tickets it will send. The number is not needed, because tickets are captured as they arrive.
int ignore_answer(SSL*, unsigned, unsigned, unsigned char const*, std::size_t, X509*, std::size_t, int*, void*) noexcept
{
    return 1;
}

void attach(SSL_CTX* context)
{
    ::SSL_CTX_sess_set_new_cb(context, on_new_session);
    tell_client_sessions(context);
    // Fails if the caller sends this extension already. The caller's extension then stays.
    ::SSL_CTX_add_custom_ext(context, ticket_request_extension,
                             SSL_EXT_TLS1_3_ONLY | SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS,
                             add_ticket_request, nullptr, nullptr, ignore_answer, nullptr);
    ::ERR_clear_error();
}

} // namespace

client_context* client_context::find(SSL_CTX const* context) noexcept
{
    return static_cast<client_context*>(::SSL_CTX_get_ex_data(context, context_index()));
}

client_context& client_context::of(SSL_CTX* context)
{
    static std::mutex mutex;
    std::lock_guard const lock{mutex};
    if (auto* const known = find(context))
        return *known;
    require_end(context, tls_end::client);
    auto added = std::make_unique<client_context>();
    fill_random(added->id);
    added->previous = ::SSL_CTX_sess_get_new_cb(context);
    if (::SSL_CTX_set_ex_data(context, context_index(), added.get()) != 1)
        throw std::bad_alloc{};
    attach(context);
    return *added.release(); // owned by the context now
}

void set_connection(SSL* ssl, client_handshake* connection)
{
    if (::SSL_set_ex_data(ssl, connection_index(), connection) != 1)
        throw std::bad_alloc{};
}

} // namespace reprise::detail

void reprise::policy_changed(boost::asio::ssl::context& tls)
{
    if (auto* const known = detail::client_context::find(tls.native_handle()))
        known->policy.forget();
}
