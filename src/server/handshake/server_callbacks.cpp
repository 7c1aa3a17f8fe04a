// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/handshake/server_context.hpp"
#include "server/tickets/large_session.hpp"
#include "tls/session_table.hpp"
#include "tls/session_time.hpp"
#include "tls/ticket_appdata.hpp"
#include "tls/ticket_request.hpp"

#include <reprise/client_hello.hpp>
#include <reprise/detail/server/server_handshake.hpp>
#include <reprise/error.hpp>

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <new>
#include <numeric>

// Callbacks of OpenSSL. No exception may leave them. Most failures here cost only a full handshake.

namespace reprise::detail {

namespace {

using new_session_callback = int (*)(SSL*, SSL_SESSION*);

struct attachment
{
    std::shared_ptr<server_context> server;
    new_session_callback previous;
};

void free_attachment(void*, void* data, CRYPTO_EX_DATA*, int, long, void*) noexcept
{
    delete static_cast<attachment*>(data);
}

// Asio owns the app-data slots of SSL and SSL_CTX, so reprise allocates slots of its own.
int context_index()
{
    static int const index = ::SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_attachment);
    return index;
}

int handshake_index()
{
    static int const index = ::SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

attachment* attachment_of(SSL_CTX const* context) noexcept
{
    return static_cast<attachment*>(::SSL_CTX_get_ex_data(context, context_index()));
}

/* Data that a ticket carries beside the session: the times that OpenSSL resets on renewal, and the verify result. The
   ticket is sealed, so only an owner of its key can have written the data. In a storage, more data may follow:
   session_bond.hpp. */
struct ticket_appdata
{
    std::int64_t verified_at;
    std::int64_t chain_expiry;
    std::int64_t verify_result;
};

std::optional<session_origin> read_appdata(SSL_SESSION* from)
{
    auto const carried = ticket_appdata_of(from);
    ticket_appdata appdata{};
    if (carried.size() < sizeof appdata)
        return std::nullopt;
    std::memcpy(&appdata, carried.data(), sizeof appdata);
    return session_origin{time_point{time_point::duration{appdata.verified_at}},
                          time_point{time_point::duration{appdata.chain_expiry}},
                          static_cast<long>(appdata.verify_result)};
}

// Bind the sessions of a plain asio::ssl::stream to policy and server name. Nothing else is decided for it here.
void bind_to_policy(SSL* ssl, server_context& server)
{
    unsigned char const* extension = nullptr;
    std::size_t size = 0;
    std::string name;
    if (::SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &size) == 1)
        name = read_server_name({extension, size});
    auto const context = server.policy_of(ssl, name).context;
    ::SSL_set_session_id_context(ssl, context.data(), static_cast<unsigned>(context.size()));
}

int on_client_hello(SSL* ssl, int* alert, void*) noexcept
try
{
    if (auto* const a = handshake_of(ssl))
        return a->on_client_hello(ssl, alert);
    if (auto* const server = server_of(::SSL_get_SSL_CTX(ssl)))
        bind_to_policy(ssl, *server);
    return SSL_CLIENT_HELLO_SUCCESS;
}
catch (...) // without the ClientHello nothing can be decided
{
    if (auto* const a = handshake_of(ssl))
        a->on_no_memory();
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

SSL_SESSION* on_get_session(SSL* ssl, unsigned char const* id, int size, int* copy) noexcept
{
    *copy = 1; // we keep our reference, because OpenSSL asks again after a HelloRetryRequest
    auto* const a = handshake_of(ssl);
    return a != nullptr ? a->on_get_session({id, static_cast<std::size_t>(size)}) : nullptr;
}

// Count a session that is lost: memory is missing, or the session is too large for a ticket.
void count_loss(SSL* ssl) noexcept
{
    auto* const a = handshake_of(ssl);
    if (auto* const server = a != nullptr ? &a->server() : server_of(::SSL_get_SSL_CTX(ssl)))
        server->dropped.fetch_add(1, std::memory_order_relaxed);
}

int on_new_session(SSL* ssl, SSL_SESSION* live) noexcept
try
{
    store_in_table(ssl, live);
    if (auto* const a = handshake_of(ssl))
        a->on_new_session(live);
    else if (auto const* const attached = attachment_of(::SSL_get_SSL_CTX(ssl)); attached && attached->previous)
        return attached->previous(ssl, live);
    return 0;
}
catch (...)
{
    count_loss(ssl);
    return 0;
}

// On resumption OpenSSL keeps the appdata of the opened ticket. So a plain asio::ssl::stream, which has no
// server_handshake, also renews its tickets under the original times.
session_origin origin_of(SSL* ssl, server_context const& server)
{
    if (auto* const a = handshake_of(ssl))
        return a->origin();
    if (::SSL_session_reused(ssl) == 1)
        if (auto const origin = read_appdata(::SSL_get_session(ssl)))
            return *origin;
    return session_origin::of_full_handshake(ssl, server.options.now());
}

// The lifetime of a ticket: no longer than its key opens it.
std::chrono::seconds ticket_lifetime(SSL* ssl, server_context const& server, session_origin const& origin)
{
    auto const lifetime = server.lifetime(origin);
    if (!server.tickets || (::SSL_get_options(ssl) & SSL_OP_NO_TICKET) != 0)
        return lifetime;
    auto const now = server.options.now();
    auto const end = server.tickets->issued_until(now);
    return end ? std::min(lifetime, std::chrono::floor<std::chrono::seconds>(*end - now)) : lifetime;
}

int on_ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                  int seal) noexcept
try
{
    auto* const a = handshake_of(ssl);
    auto* const server = a != nullptr ? &a->server() : server_of(::SSL_get_SSL_CTX(ssl));
    bool const is_wanted = seal == 0 || a == nullptr || a->seals_ticket();
    if (seal != 0 && is_session_aside(ssl))
        return put_session_back(ssl) ? 0 : -1;
    if (!is_wanted || server == nullptr || !server->tickets)
        return 0;
    auto const policy = a != nullptr ? a->policy() : server->policy_of(ssl, "").tag;
    auto const now = server->options.now();
    ticket_name name_field{};
    ticket_iv iv_field{};
    if (seal != 0)
    {
        auto const result = server->tickets->seal(policy, name_field, iv_field, cipher, mac, now);
        std::memcpy(name, &name_field, sizeof name_field);
        std::memcpy(iv, iv_field.data(), iv_field.size());
        return result;
    }
    std::memcpy(&name_field, name, sizeof name_field);
    std::memcpy(iv_field.data(), iv, iv_field.size());
    return server->tickets->open(policy, name_field, iv_field, cipher, mac, now);
}
catch (...) // as if there were no key
{
    return 0;
}

// Add to the session what its ticket carries: issue time, lifetime and appdata. Returns false on failure.
bool complete_session(SSL* ssl, server_context const& server) noexcept
try
{
    auto const origin = origin_of(ssl, server);
    ticket_appdata const appdata{origin.verified_at.time_since_epoch().count(),
                                 origin.chain_expiry.time_since_epoch().count(), origin.verify_result};
    SSL_SESSION* const made = ::SSL_get_session(ssl);
    set_issued_at(made, issue_time(server.options.now(), std::time(nullptr)));
    ::SSL_SESSION_set_timeout(made, static_cast<long>(ticket_lifetime(ssl, server, origin).count()));
    return ::SSL_SESSION_set1_ticket_appdata(made, &appdata, sizeof appdata) == 1;
}
catch (...)
{
    return false;
}

bool is_stateful(SSL* ssl)
{
    return ::SSL_version(ssl) == TLS1_3_VERSION && (::SSL_get_options(ssl) & SSL_OP_NO_TICKET) != 0;
}

/* Never returns 0, because that would end the connection. The callback for the ticket's key omits a ticket that is not
   wanted. A plain stream seals even such a ticket, which then opens as corrupt. */
int on_ticket_sealing(SSL* ssl, void*) noexcept
{
    auto* const a = handshake_of(ssl);
    auto const* const server = a != nullptr ? &a->server() : server_of(::SSL_get_SSL_CTX(ssl));
    if (server == nullptr)
        return 1;
    SSL_SESSION* const made = ::SSL_get_session(ssl);
    // Ask before complete_session: what it adds distinguishes a session from an external PSK.
    bool const is_due = ::SSL_version(ssl) >= TLS1_2_VERSION && !(a != nullptr && a->used_external_psk());
    bool const is_complete = is_due && complete_session(ssl, *server);
    bool const fits = fits_into_ticket(made);
    bool const is_wanted = is_complete && (fits || is_stateful(ssl));
    if (is_due && !is_wanted)
        count_loss(ssl);
    if (a != nullptr)
        a->on_ticket_sealing(made, is_wanted); // turns an unwanted stateful ticket into a sealed one
    if (!fits && !is_stateful(ssl))
        (void)put_session_aside(ssl); // otherwise OpenSSL ends the connection
    return 1;
}

// If the key is known and the ticket does not open, its keys were derived under another policy, or the ticket was
// changed.
full_handshake_reason why_not_opened(server_context const& server, byte_view name)
{
    return server.tickets && server.tickets->knows(name, server.options.now())
               ? full_handshake_reason::policy_differs
               : full_handshake_reason::unknown_ticket_key;
}

SSL_TICKET_RETURN on_ticket_opened(SSL* ssl, SSL_SESSION* opened, unsigned char const* name, std::size_t name_size,
                                   SSL_TICKET_STATUS status, void*) noexcept
try
{
    auto* const a = handshake_of(ssl);
    auto const* const server = a != nullptr ? &a->server() : server_of(::SSL_get_SSL_CTX(ssl));
    bool const is_open = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (server == nullptr || !is_open)
    {
        if (a != nullptr && status == SSL_TICKET_NO_DECRYPT)
            a->on_ticket(why_not_opened(*server, {name, name_size}), {});
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    if (a != nullptr)
        a->on_session_offered(opened);
    auto const origin = read_appdata(opened);
    auto judgement = origin ? server->judge(opened, *origin) : full_handshake_reason::record_corrupt;
    if (judgement == full_handshake_reason::none && a != nullptr)
        judgement = a->check_policy(opened, *origin);
    if (a != nullptr)
        a->on_ticket(judgement, origin.value_or(session_origin{}));
    if (judgement != full_handshake_reason::none)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    // A TLS 1.3 client uses a ticket once, so it needs another one.
    bool const renew =
        ::SSL_SESSION_get_protocol_version(opened) == TLS1_3_VERSION || status == SSL_TICKET_SUCCESS_RENEW;
    return renew ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}
catch (...)
{
    return SSL_TICKET_RETURN_IGNORE_RENEW;
}

// The request was already read in the ClientHello callback. It consists of two counts (RFC 9149, 3).
int check_ticket_request(SSL*, unsigned, unsigned, unsigned char const*, std::size_t size, X509*, std::size_t,
                         int* alert, void*) noexcept
{
    *alert = SSL_AD_DECODE_ERROR;
    return size == 2 ? 1 : 0;
}

int answer_ticket_request(SSL* ssl, unsigned, unsigned, unsigned char const** out, std::size_t* size, X509*,
                          std::size_t, int*, void*) noexcept
{
    static constexpr auto counts = []
    {
        std::array<unsigned char, 17> all{};
        std::iota(all.begin(), all.end(), static_cast<unsigned char>(0));
        return all;
    }();
    auto const* const a = handshake_of(ssl);
    auto const count = a != nullptr ? a->answer_to_ticket_request() : std::nullopt;
    if (!count)
        return 0;
    bool const renews = ::SSL_session_reused(ssl) == 1; // OpenSSL then sends one ticket
    *out = &counts.at(renews ? std::min(1u, *count) : *count);
    *size = 1;
    return 1;
}

// A plain stream has no replay guard, so it accepts no early data.
int on_early_data(SSL* ssl, void*) noexcept
{
    auto* const a = handshake_of(ssl);
    return a != nullptr && a->allows_early_data() ? 1 : 0;
}

} // namespace

bool carries_origin(SSL_SESSION* session) noexcept
{
    return read_appdata(session).has_value();
}

server_handshake* handshake_of(SSL const* ssl) noexcept
{
    return static_cast<server_handshake*>(::SSL_get_ex_data(ssl, handshake_index()));
}

void set_handshake(SSL* ssl, server_handshake* a)
{
    if (::SSL_set_ex_data(ssl, handshake_index(), a) != 1)
        throw std::bad_alloc{};
}

server_context* server_of(SSL_CTX const* context) noexcept
{
    auto const* const attached = attachment_of(context);
    return attached != nullptr ? attached->server.get() : nullptr;
}

void attach(SSL_CTX* context, std::shared_ptr<server_context> const& server)
{
    if (server_of(context) != nullptr)
        throw system_error{errc::already_attached};
    if (::SSL_CTX_sess_get_get_cb(context) != nullptr)
        throw system_error{errc::callback_taken, "SSL_CTX_sess_set_get_cb"};
    auto attached = std::make_unique<attachment>(attachment{server, ::SSL_CTX_sess_get_new_cb(context)});
    if (::SSL_CTX_set_ex_data(context, context_index(), attached.get()) != 1)
        throw std::bad_alloc{};
    (void)attached.release(); // owned by the context now
    ::SSL_CTX_set_client_hello_cb(context, on_client_hello, nullptr);
    ::SSL_CTX_sess_set_get_cb(context, on_get_session);
    ::SSL_CTX_sess_set_new_cb(context, on_new_session);
    ::SSL_CTX_set_session_ticket_cb(context, on_ticket_sealing, on_ticket_opened, nullptr);
    ::SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket_key);
    ::SSL_CTX_set_allow_early_data_cb(context, on_early_data, nullptr);
    // Fails if the caller answers this extension already. The caller's answer then stays.
    ::SSL_CTX_add_custom_ext(context, ticket_request_extension,
                             SSL_EXT_TLS1_3_ONLY | SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_3_ENCRYPTED_EXTENSIONS,
                             answer_ticket_request, nullptr, nullptr, check_ticket_request, nullptr);
    ::ERR_clear_error();
}

} // namespace reprise::detail
