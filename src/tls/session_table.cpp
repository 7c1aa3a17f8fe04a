// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "tls/session_table.hpp"

#include <cstdint>
#include <new>

namespace reprise::detail {

namespace {

// The value in a context's ex_data slot.
enum class clients : std::uintptr_t
{
    none,             ///< no clients: the mode is the servers' own
    beside_no_table,  ///< the mode is also the clients'; servers store nothing
    beside_the_table, ///< the mode is also the clients'; servers store in the table
};

int index_of_slot()
{
    static int const index = ::SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

clients clients_of(SSL_CTX const* context) noexcept
{
    return static_cast<clients>(reinterpret_cast<std::uintptr_t>(::SSL_CTX_get_ex_data(context, index_of_slot())));
}

void set_clients(SSL_CTX* context, clients value)
{
    auto* const word = reinterpret_cast<void*>(static_cast<std::uintptr_t>(value)); // NOLINT(performance-no-int-to-ptr)
    if (::SSL_CTX_set_ex_data(context, index_of_slot(), word) != 1)
        throw std::bad_alloc{};
}

} // namespace

void tell_client_sessions(SSL_CTX* context)
{
    if (clients_of(context) != clients::none)
        return;
    long const mode = ::SSL_CTX_get_session_cache_mode(context);
    bool const stores = (mode & SSL_SESS_CACHE_SERVER) != 0 && (mode & SSL_SESS_CACHE_NO_INTERNAL_STORE) == 0;
    set_clients(context, stores ? clients::beside_the_table : clients::beside_no_table);
    ::SSL_CTX_set_session_cache_mode(context, mode | SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
}

void set_server_mode(SSL_CTX* context, long mode)
{
    if (clients_of(context) == clients::none)
    {
        long const of_clients = ::SSL_CTX_get_session_cache_mode(context) & SSL_SESS_CACHE_CLIENT;
        ::SSL_CTX_set_session_cache_mode(context, mode | of_clients);
        return;
    }
    bool const stores = (mode & SSL_SESS_CACHE_SERVER) != 0 && (mode & SSL_SESS_CACHE_NO_INTERNAL_STORE) == 0;
    set_clients(context, stores ? clients::beside_the_table : clients::beside_no_table);
    ::SSL_CTX_set_session_cache_mode(context, mode | SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
}

void store_in_table(SSL* ssl, SSL_SESSION* made) noexcept
{
    SSL_CTX* const context = ::SSL_get_SSL_CTX(ssl);
    if (clients_of(context) != clients::beside_the_table || ::SSL_is_server(ssl) != 1)
        return;
    // As OpenSSL does: a TLS 1.3 session sealed into its ticket is not stored, except for anti-replay or for a remove
    // callback.
    auto const options = ::SSL_get_options(ssl);
    bool const is_sealed = ::SSL_version(ssl) == TLS1_3_VERSION && (options & SSL_OP_NO_TICKET) == 0;
    bool const is_register = ::SSL_get_max_early_data(ssl) > 0 && (options & SSL_OP_NO_ANTI_REPLAY) == 0;
    if (!is_sealed || is_register || ::SSL_CTX_sess_get_remove_cb(context) != nullptr)
        ::SSL_CTX_add_session(context, made);
}

} // namespace reprise::detail
