// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/early_offer.hpp"
#include "tls/versions.hpp"

#include <reprise/base/error.hpp>
#include <reprise/client/client_connection.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

namespace reprise::detail {

namespace {

using new_session_callback = int (*)(SSL*, SSL_SESSION*);

// What a context carries once a client_stream has used it.
struct client_context
{
    std::uint64_t id;
    new_session_callback previous;
};

void free_client_context(void*, void* data, CRYPTO_EX_DATA*, int, long, void*)
{
    delete static_cast<client_context*>(data);
}

// Asio owns the app-data slots of SSL and SSL_CTX, so these are slots of our own.
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

int on_new_session(SSL* ssl, SSL_SESSION* live)
{
    if (auto* connection = static_cast<client_connection*>(::SSL_get_ex_data(ssl, connection_index())))
        connection->on_new_session(live);
    auto const* context =
        static_cast<client_context const*>(::SSL_CTX_get_ex_data(::SSL_get_SSL_CTX(ssl), context_index()));
    // 0: OpenSSL keeps its reference; the snapshot was a copy.
    return context != nullptr && context->previous != nullptr ? context->previous(ssl, live) : 0;
}

std::uint64_t attach(SSL_CTX* context)
{
    static std::mutex mutex;
    static std::uint64_t last_id = 0;
    std::lock_guard const lock{mutex};
    if (auto const* known = static_cast<client_context const*>(::SSL_CTX_get_ex_data(context, context_index())))
        return known->id;
    auto added = std::make_unique<client_context>(client_context{++last_id, ::SSL_CTX_sess_get_new_cb(context)});
    if (::SSL_CTX_set_ex_data(context, context_index(), added.get()) != 1)
        throw std::bad_alloc{};
    auto const id = added.release()->id;
    ::SSL_CTX_sess_set_new_cb(context, on_new_session);
    auto mode = ::SSL_CTX_get_session_cache_mode(context) | SSL_SESS_CACHE_CLIENT;
    if ((mode & SSL_SESS_CACHE_SERVER) == 0)
        mode |= SSL_SESS_CACHE_NO_INTERNAL; // nobody ever looks there
    ::SSL_CTX_set_session_cache_mode(context, mode);
    return id;
}

error_code last_openssl_error()
{
    auto const code = ::ERR_get_error();
    ::ERR_clear_error();
    if (code == 0)
        return asio::error::no_memory;
    return {static_cast<int>(code), asio::error::get_ssl_category()};
}

void require(bool ok, char const* what)
{
    if (!ok)
        throw system_error{last_openssl_error(), what};
}

std::string lower_case(std::string text)
{
    for (char& c : text)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

bool is_address(std::string const& host)
{
    error_code ec;
    (void)asio::ip::make_address(host, ec);
    return !ec;
}

std::vector<unsigned char> alpn_wire_format(std::vector<std::string> const& protocols)
{
    std::vector<unsigned char> wire;
    for (auto const& protocol : protocols)
    {
        if (protocol.empty() || protocol.size() > 255)
            throw system_error{errc::bad_option, "client_options::alpn: a protocol name has 1 to 255 bytes"};
        wire.push_back(static_cast<unsigned char>(protocol.size()));
        wire.insert(wire.end(), protocol.begin(), protocol.end());
    }
    return wire;
}

// What of the policy can change between two streams of one context.
std::string policy_of(SSL* ssl, std::uint64_t context_id, bool verify_peer)
{
    std::string policy;
    policy.reserve(96);
    auto const add = [&policy](std::uint64_t value)
    { policy.append(reinterpret_cast<char const*>(&value), sizeof value); };
    add(context_id);
    add(verify_peer ? 1 : 0);
    add(static_cast<std::uint64_t>(::SSL_get_verify_mode(ssl)));
    add(static_cast<std::uint64_t>(::SSL_get_verify_depth(ssl)));
    add(::SSL_get_options(ssl));
    add(static_cast<std::uint64_t>(SSL_get_min_proto_version(ssl)));
    add(static_cast<std::uint64_t>(SSL_get_max_proto_version(ssl)));
    if (X509* certificate = ::SSL_get_certificate(ssl))
    {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        require(::X509_digest(certificate, ::EVP_sha256(), digest, &size) == 1, "X509_digest");
        policy.append(reinterpret_cast<char const*>(digest), size);
    }
    return policy;
}

/* Whether the server has said that it does not take early data. One that went down to TLS 1.2 has, and takes what comes for
   an attack (RFC 8446, D.3); others may find that it is more than they are willing to throw away. Until it has said so,
   OpenSSL's status is "rejected" as well, so that the state counts: after the EncryptedExtensions, or the flight of TLS 1.2. */
bool has_turned_early_data_down(SSL const* ssl) noexcept
{
    switch (::SSL_get_state(ssl))
    {
    case TLS_ST_CR_CERT:
    case TLS_ST_CR_CERT_REQ:
    case TLS_ST_CR_CERT_VRFY:
    case TLS_ST_CR_FINISHED:
    case TLS_ST_CW_CERT:
    case TLS_ST_CW_CERT_VRFY:
    case TLS_ST_CW_FINISHED:
    case TLS_ST_OK: return ::SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_REJECTED;
    default: return false;
    }
}

bool is_enabled(SSL* ssl, SSL_CIPHER const* cipher)
{
    STACK_OF(SSL_CIPHER)* const enabled = ::SSL_get1_supported_ciphers(ssl);
    bool const result = cipher != nullptr && sk_SSL_CIPHER_find(enabled, const_cast<SSL_CIPHER*>(cipher)) >= 0;
    sk_SSL_CIPHER_free(enabled);
    return result;
}

bool same_ticket(SSL_SESSION const* a, SSL_SESSION const* b)
{
    unsigned char const* ticket_a = nullptr;
    unsigned char const* ticket_b = nullptr;
    std::size_t size_a = 0;
    std::size_t size_b = 0;
    ::SSL_SESSION_get0_ticket(a, &ticket_a, &size_a);
    ::SSL_SESSION_get0_ticket(b, &ticket_b, &size_b);
    return std::equal(ticket_a, ticket_a + size_a, ticket_b, ticket_b + size_b);
}

} // namespace

client_connection::client_connection(SSL_CTX* context, std::shared_ptr<session_store> store, client_options options)
    : context_(share(context)), store_(std::move(store)), options_(std::move(options)), context_id_(attach(context))
{
    if (options_.max_session_age.count() <= 0 || options_.max_session_age > std::chrono::hours{24 * 7})
        throw system_error{errc::bad_option, "client_options::max_session_age: above 0 s, at most 7 days"};
    if (options_.lookup_deadline.count() <= 0 || options_.connect_timeout.count() < 0 ||
        options_.shutdown_timeout.count() < 0 || !options_.now)
        throw system_error{errc::bad_option,
                           "client_options: lookup_deadline is at least 1 ms, timeouts are not negative"};
}

ssl_ptr client_connection::begin(std::string const& host, std::string const& service)
{
    offered_.reset();
    early_size_ = 0;
    unverified_.clear();
    verified_ = false;
    captured_ = false;
    reason_ = store_ ? full_reason::nothing_stored : full_reason::disabled;
    origin_ = {};
    info_ = {};

    ssl_ptr ssl{::SSL_new(context_.get())};
    require(ssl != nullptr, "SSL_new");
    require(::SSL_set_ex_data(ssl.get(), connection_index(), this) == 1, "SSL_set_ex_data");
    ::SSL_set_connect_state(ssl.get());

    bool const numeric = is_address(host);
    std::string const server_name = options_.server_name.value_or(numeric ? "" : host);
    if (!server_name.empty())
        require(SSL_set_tlsext_host_name(ssl.get(), server_name.c_str()) == 1, "server name (SNI)");
    if (options_.verify_peer)
    {
        X509_VERIFY_PARAM* const param = ::SSL_get0_param(ssl.get());
        ::X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (server_name.empty() && numeric)
            require(::X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1, "address to verify");
        else
            require(::SSL_set1_host(ssl.get(), server_name.empty() ? host.c_str() : server_name.c_str()) == 1,
                    "host name to verify");
        ::SSL_set_verify(ssl.get(), ::SSL_get_verify_mode(ssl.get()) | SSL_VERIFY_PEER,
                         ::SSL_get_verify_callback(ssl.get()));
    }
    if (auto const wire = alpn_wire_format(options_.alpn); !wire.empty())
        require(::SSL_set_alpn_protos(ssl.get(), wire.data(), static_cast<unsigned>(wire.size())) == 0, "ALPN");

    key_ = {lower_case(host),
            service,
            lower_case(server_name),
            options_.alpn,
            {},
            policy_of(ssl.get(), context_id_, options_.verify_peer),
            {},
            options_.partition};
    return ssl;
}

std::chrono::milliseconds client_connection::lookup_limit() const noexcept
{
    return store_->answers_at_once() ? std::chrono::milliseconds{0} : options_.lookup_deadline;
}

asio::awaitable<resolved> resolve(std::string host, std::string service)
{
    asio::ip::tcp::resolver resolver{co_await asio::this_coro::executor};
    // This name is loopback whatever /etc/hosts says, and not a question for a name server (RFC 6761, 6.3).
    bool const is_local = host == "localhost";
    std::string const name = is_local ? "127.0.0.1" : host;
    auto const [ec, found] = co_await resolver.async_resolve(name, service, asio::as_tuple(asio::use_awaitable));
    resolved result{ec};
    for (auto const& entry : found)
        result.endpoints.push_back(entry.endpoint());
    if (is_local && !ec)
        result.endpoints.emplace(result.endpoints.begin(), asio::ip::address_v6::loopback(),
                                 result.endpoints.front().port());
    co_return result;
}

asio::awaitable<lease> take_from(std::shared_ptr<session_store> store, session_key key)
{
    co_return co_await store->take(std::move(key));
}

asio::awaitable<std::size_t> remove_from(std::shared_ptr<session_store> store, session_key key)
{
    co_return co_await store->remove(std::move(key));
}

full_reason may_offer(session const& candidate, time_point now, std::chrono::seconds max_age,
                      bool must_be_verified) noexcept
{
    // OpenSSL counts whole seconds and rounds the issue time down, so "in the future" cannot be an accident.
    if (now < candidate.issued_at() || now >= candidate.issued_at() + candidate.lifetime())
        return full_reason::expired;
    if (must_be_verified && candidate.origin().verify_result != X509_V_OK)
        return full_reason::unverified;
    return check_age(candidate.origin(), now, max_age);
}

void client_connection::offer(SSL* ssl, session const& candidate)
{
    bool const must_be_verified = (::SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
    reason_ = may_offer(candidate, options_.now(), options_.max_session_age, must_be_verified);
    if (reason_ != full_reason::none)
        return;
    auto const fresh = candidate.copy();
    if (!fresh || ::SSL_set_session(ssl, fresh.get()) != 1)
    {
        ::ERR_clear_error();
        reason_ = full_reason::record_corrupt;
        return;
    }
    offered_ = candidate;
}

byte_view client_connection::plan_early(SSL* ssl, early_data const& wanted)
{
    byte_view const bytes{static_cast<unsigned char const*>(wanted.bytes().data()), wanted.bytes().size()};
    early_situation s{.has_session = offered_.has_value(),
                      .stream_is_tls13 = speaks_tls13(ssl),
                      .offered_alpn = options_.alpn,
                      .size = bytes.size(),
                      .may_split = wanted.options().split};
    if (offered_)
    {
        s.session_is_tls13 = offered_->protocol() == tls_version::tls13;
        s.allowed = offered_->max_early_data();
        s.session_alpn = offered_->alpn();
        // The store's key holds the name; of another session only the server's acknowledgement tells.
        s.name_is_known =
            !is_exact_ || (!key_.server_name.empty() && lower_case(offered_->server_name()) == key_.server_name);
        s.cipher_is_enabled = is_enabled(ssl, ::SSL_SESSION_get0_cipher(offered_->native_handle()));
        auto const now = std::chrono::system_clock::now(); // OpenSSL asks no other clock
        s.age = std::chrono::floor<std::chrono::seconds>(now - offered_->issued_at());
        s.lifetime = offered_->lifetime();
    }
    auto const plan = plan_early_data(s);
    early_reason_ = plan.reason;
    return bytes.first(plan.size);
}

void client_connection::early_sent(std::size_t size) noexcept
{
    early_size_ = size;
    if (size == 0)
        early_reason_ = early_data_reason::not_allowed;
}

bool client_connection::may_do_without_early(SSL const* ssl) const noexcept
{
    return early_size_ != 0 && has_turned_early_data_down(ssl) && ::SSL_get_verify_result(ssl) == X509_V_OK;
}

void client_connection::on_new_session(SSL_SESSION const* live)
{
    if (!store_)
        return;
    if (!verified_)
    {
        unverified_.emplace_back(::SSL_SESSION_dup(live));
        return;
    }
    if (auto ticket = session::snapshot(live, origin_))
        keep(std::move(*ticket));
}

void client_connection::keep(session ticket)
{
    captured_ = true;
    store_->capture(key_, std::move(ticket));
}

void client_connection::handshake_done(SSL* ssl)
{
    verified_ = true;
    info_ = describe_handshake(ssl);
    auto const now = options_.now();
    SSL_SESSION* const current = ::SSL_get_session(ssl);
    if (info_.resumed() && offered_)
    {
        origin_ = offered_->origin();
        info_.session_age = std::chrono::floor<std::chrono::seconds>(now - origin_.verified_at);
        info_.resumption = info_.protocol == tls_version::tls13 ? resumption_kind::tls13_ticket
                           : offered_->has_ticket()             ? resumption_kind::tls12_ticket
                                                                : resumption_kind::tls12_session_id;
        // OpenSSL does not tell of a TLS 1.2 ticket that was renewed while resuming.
        if (store_ && info_.protocol == tls_version::tls12 && !same_ticket(current, offered_->native_handle()))
            if (auto renewed = session::snapshot(current, origin_))
                keep(std::move(*renewed));
    }
    else
    {
        origin_ = session_origin::of_full_handshake(ssl, now);
        info_.reason = offered_ ? full_reason::declined : reason_;
    }
    info_.early_reason = early_reason_;
    if (early_reason_ == early_data_reason::connection_failed)
        info_.early_data = early_data_status::rejected;
    else if (early_size_ != 0 && ::SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED)
    {
        info_.early_data = early_data_status::accepted;
        info_.early_size = early_size_;
    }
    else if (early_size_ != 0)
    {
        info_.early_data = early_data_status::rejected;
        info_.early_reason = early_data_reason::declined;
    }
    for (auto const& live : std::exchange(unverified_, {}))
        if (auto ticket = session::snapshot(live.get(), origin_))
            keep(std::move(*ticket));
}

bool client_connection::handshake_failed() noexcept
{
    unverified_.clear();
    return store_ && offered_ && offered_->protocol() == tls_version::tls12;
}

void client_connection::capture_before_shutdown(SSL* ssl)
{
    if (!store_ || !verified_ || captured_ || info_.resumed())
        return;
    if (auto ticket = session::snapshot(::SSL_get_session(ssl), origin_))
        keep(std::move(*ticket));
}

bool client_connection::peer_said_goodbye(SSL const* ssl) noexcept
{
    return (::SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

bool is_alive(int socket) noexcept
{
    char byte = 0;
    auto const n = ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK));
}

} // namespace reprise::detail
