// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/byte_codec.hpp"
#include "base/openssl.hpp"
#include "base/require_option.hpp"
#include "client/handshake/client_context.hpp"
#include "client/handshake/client_setup.hpp"
#include "client/handshake/early_offer.hpp"
#include "tls/client_offer.hpp"
#include "tls/external_psk.hpp"
#include "tls/verify_again.hpp"
#include "tls/verify_failure.hpp"
#include "tls/versions.hpp"

#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/detail/client/proxy_handshake.hpp>
#include <reprise/error.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <mutex>
#include <new>
#include <system_error>
#include <utility>

namespace reprise::detail {

namespace {

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

// Whether a name or an address that a certificate must be valid for was set on these parameters.
bool checks_a_name(X509_VERIFY_PARAM* param)
{
    openssl_text const address{::X509_VERIFY_PARAM_get1_ip_asc(param)};
    return address || ::X509_VERIFY_PARAM_get0_host(param, 0) != nullptr;
}

std::vector<unsigned char> alpn_wire_format(std::vector<std::string> const& protocols)
{
    std::vector<unsigned char> wire;
    for (auto const& protocol : protocols)
    {
        if (protocol.empty() || protocol.size() > 255)
            throw system_error{errc::bad_option,
                               "client_options::alpn: a protocol name must have 1 to 255 bytes, not " +
                                   std::to_string(protocol.size())};
        wire.push_back(static_cast<unsigned char>(protocol.size()));
        wire.insert(wire.end(), protocol.begin(), protocol.end());
    }
    return wire;
}

// A null name clears all names (X509_VERIFY_PARAM_set1_host(3)).
void clear_names(X509_VERIFY_PARAM* param) noexcept
{
    ::X509_VERIFY_PARAM_set1_host(param, nullptr, 0);
}

bool is_only_name(X509_VERIFY_PARAM* param, std::string const& name)
{
    char const* const first = ::X509_VERIFY_PARAM_get0_host(param, 0);
    return first != nullptr && name == first && ::X509_VERIFY_PARAM_get0_host(param, 1) == nullptr;
}

/* Whether the server has said that it rejects early data. A server that negotiates TLS 1.2 has said so, and fails on
   early data (RFC 8446, D.3). Other servers may fail because the early data is more than they are willing to skip.
   OpenSSL's status is "rejected" also before the server has answered, so the state decides: after the
   EncryptedExtensions, or in the server's flight of TLS 1.2. */
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

bool must_verify(SSL const* ssl) noexcept
{
    return (::SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
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

client_handshake::client_handshake(client const& of)
    : setup_(of.setup()), route_(setup_->options.proxy ? route_of(*setup_->options.proxy) : "")
{
}

client_options const& client_handshake::options() const noexcept
{
    return setup_->options;
}

double client_handshake::random()
{
    if (!random_)
        random_.emplace(std::random_device{}());
    return std::generate_canonical<double, 32>(*random_);
}

ssl_ptr client_handshake::make_ssl()
{
    ssl_ptr ssl{::SSL_new(setup_->context.get())};
    require(ssl != nullptr, "SSL_new");
    set_connection(ssl.get(), this);
    ::SSL_set_connect_state(ssl.get());
    if (setup_->options.verify_peer)
        ::SSL_set_verify(ssl.get(), ::SSL_get_verify_mode(ssl.get()) | SSL_VERIFY_PEER,
                         ::SSL_get_verify_callback(ssl.get()));
    return ssl;
}

SSL* client_handshake::prepare()
{
    if (!prepared_)
        prepared_ = make_ssl();
    return prepared_.get();
}

std::string client_handshake::default_server_name(host_name const& host) const
{
    return setup_->server_name.value_or(host.address ? std::string{} : host.identity);
}

/* Set SNI, ALPN and the host check. Settings of the caller stay: a server name on the SSL, and names on the SSL or the
   context that the certificate must be valid for. An option of the stream overrides both. */
void client_handshake::name_peer(SSL* ssl, host_name const& host) const
{
    auto const& option = setup_->server_name;
    auto const sni = default_server_name(host);
    bool const is_named = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != nullptr;
    if (!sni.empty() && (option || !is_named))
        require(SSL_set_tlsext_host_name(ssl, sni.c_str()) == 1, "cannot set the server name (SNI)");
    if (auto const wire = alpn_wire_format(setup_->options.alpn); !wire.empty())
        require(::SSL_set_alpn_protos(ssl, wire.data(), static_cast<unsigned>(wire.size())) == 0, "cannot set ALPN");
    if (!setup_->options.verify_peer)
        return;
    X509_VERIFY_PARAM* const param = ::SSL_get0_param(ssl);
    ::X509_VERIFY_PARAM_set_hostflags(param,
                                      ::X509_VERIFY_PARAM_get_hostflags(param) | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool const is_set_by_option = option && !option->empty();
    if (checks_a_name(param) && !is_set_by_option)
        return;
    if (!is_set_by_option && host.address)
        require(::X509_VERIFY_PARAM_set1_ip_asc(param, host.identity.c_str()) == 1, "cannot set the address to verify");
    else
        require(::SSL_set1_host(ssl, is_set_by_option ? option->c_str() : host.identity.c_str()) == 1,
                "cannot set the host name to verify");
}

/* Remove names that the caller has set and the stream would set itself: SSL_set_tlsext_host_name(3) and
   SSL_set1_host(3), as in OpenSSL's examples. The next connection does not lack these settings. */
void client_handshake::forget_default_names(SSL* ssl, host_name const& host) const
{
    X509_VERIFY_PARAM* const param = ::SSL_get0_param(ssl);
    if (is_only_name(param, host.identity))
        clear_names(param);
    char const* const sni = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (sni != nullptr && lower_case(sni) == default_server_name(host))
        SSL_set_tlsext_host_name(ssl, nullptr);
}

client_handshake::settings client_handshake::read_settings(SSL* ssl, bool may_differ)
{
    now_.policy = setup_->shared->policy.read(ssl);
    char const* const sni = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    // If the offer of the context cannot be read, the offer of its SSLs cannot be read either.
    bool const is_own = may_differ && now_.policy->offer.has_value();
    return {now_.policy->verification, is_own ? read_offer(ssl) : now_.policy->offer, now_.policy->identity,
            sni != nullptr ? sni : ""};
}

/* Readable settings, then the caller's policy_tag or else this context's random id, then the settings of the stream.
   OpenSSL hides some settings. Without a tag, or if the offer cannot be read, sessions stay in this context. */
std::string client_handshake::policy_of(SSL* ssl, settings const& s, bool may_differ)
{
    bool const has_word = !setup_->options.policy_tag.empty();
    now_.is_shared = s.offer && has_word;
    std::string policy;
    policy.reserve(192);
    policy.append(s.verification.begin(), s.verification.end());
    if (s.offer)
        policy.append(s.offer->begin(), s.offer->end());
    if (now_.is_shared)
        policy.append("t").append(setup_->options.policy_tag);
    else
        policy.append("c").append(setup_->shared->id.begin(), setup_->shared->id.end());
    if (may_differ && !s.offer && !has_word) // the SSL may have settings that cannot be read
        policy.append("s").append(own_id());
    append_little_endian(policy, setup_->options.verify_peer ? 1 : 0);
    append_little_endian(policy, static_cast<std::uint64_t>(::SSL_get_verify_mode(ssl)));
    return policy;
}

std::string const& client_handshake::own_id()
{
    if (own_id_.empty())
    {
        std::array<unsigned char, 16> random{};
        fill_random(random);
        own_id_.assign(random.begin(), random.end());
    }
    return own_id_;
}

ssl_ptr client_handshake::begin(host_name const& host, std::string const& service, connection_options options)
{
    now_ = {.early_reason = options.early_reason};
    now_.exact = std::move(options.exactly);
    now_.asks_store = options.asks_store;

    bool const by_hand = prepared_ != nullptr;
    if (!by_hand && has_lost_settings_)
        throw system_error{errc::settings_lost};
    auto ssl = by_hand ? std::move(prepared_) : make_ssl();
    if (by_hand)
        forget_default_names(ssl.get(), host);
    auto const set = by_hand ? std::optional{read_settings(ssl.get(), true)} : std::nullopt;
    if (setup_->options.on_ssl)
        setup_->options.on_ssl(ssl.get());
    if (by_hand)
    {
        auto const fresh = make_ssl();
        has_lost_settings_ = *set != read_settings(fresh.get(), true);
    }
    bool const may_differ = by_hand || setup_->options.on_ssl;
    auto const read = read_settings(ssl.get(), may_differ); // before the names of this connection are set
    name_peer(ssl.get(), host);
    char const* const sni = ::SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);

    now_.key = {host.name,
                service,
                lower_case(sni != nullptr ? sni : ""),
                setup_->options.alpn,
                route_,
                policy_of(ssl.get(), read, may_differ),
                now_.policy->identity,
                setup_->options.partition};
    now_.verification = verified_under();

    bool const repeatable = is_repeatable(ssl.get());
    now_.keeps = setup_->store != nullptr && repeatable;
    now_.reason = !setup_->store ? full_handshake_reason::disabled
                  : repeatable   ? full_handshake_reason::nothing_stored
                                 : full_handshake_reason::unrepeatable;
    ask_for_tickets();
    return ssl;
}

ssl_ptr client_handshake::begin(std::string_view host, std::string_view service)
{
    return begin(read_host(host), read_service(service), {});
}

/* Context, policy and name under which certificates are verified. The context is included, because the trust of another
   context cannot be read entirely. Null if a callback decides, because its verdict may change at any time. */
std::shared_ptr<std::string const> client_handshake::verified_under() const
{
    if (now_.policy->judges_peer)
        return nullptr;
    std::string under{setup_->shared->id.begin(), setup_->shared->id.end()};
    append_little_endian(under, now_.policy->revision);
    under += now_.key.policy;
    under += now_.key.server_name.empty() ? now_.key.host : now_.key.server_name;
    return std::make_shared<std::string const>(std::move(under));
}

// Whether a resumption is equivalent to a full handshake. Callbacks need the caller's policy_tag for that. Evidence,
// such as a stapled response, cannot be repeated.
bool client_handshake::is_repeatable(SSL const* ssl) const noexcept
{
    bool const has_word = !setup_->options.policy_tag.empty();
    if (now_.policy->chooses_identity && !has_word)
        return false;
    return !must_verify(ssl) || !(now_.policy->wants_evidence || (now_.policy->judges_peer && !has_word));
}

// Whether the connection shows the identity of its scope. A callback may have chosen another one.
bool client_handshake::identity_is_known(SSL const* ssl) const noexcept
{
    return !setup_->options.policy_tag.empty() || shows_own_certificate(*now_.policy, ssl);
}

void client_handshake::ask_for_tickets() noexcept
{
    auto const wanted = now_.keeps ? std::min(255u, setup_->store->tickets_wanted(now_.key)) : 0u;
    // After a resumption one ticket is enough, because it replaces the used one (RFC 9149, 3).
    now_.ticket_request = {static_cast<unsigned char>(wanted), 1};
}

std::chrono::milliseconds client_handshake::lookup_limit() const noexcept
{
    return setup_->store->is_immediate() ? std::chrono::milliseconds{0} : setup_->options.lookup_timeout;
}

namespace {

// These operations own their arguments, because they are detached on timeout.

asio::awaitable<take_result> take_from(std::shared_ptr<session_store> store, session_scope key)
{
    co_return co_await store->take(std::move(key));
}

asio::awaitable<std::size_t> remove_from(std::shared_ptr<session_store> store, session_scope key)
{
    co_return co_await store->remove(std::move(key));
}

asio::awaitable<bool> ask(revocation_check check, std::shared_ptr<certificate_chain const> chain)
{
    co_return co_await check(std::move(chain));
}

full_handshake_reason reason_of(timed_status status) noexcept
{
    return status == timed_status::late ? full_handshake_reason::lookup_late : full_handshake_reason::lookup_failed;
}

// Puts a TLS 1.3 ticket back into the store, unless `keep` was called.
class borrowed
{
public:
    borrowed(session_store& store, session_scope const& key, session ticket)
        : store_(store), key_(key), ticket_(std::move(ticket))
    {
    }
    borrowed(borrowed const&) = delete;
    borrowed& operator=(borrowed const&) = delete;

    ~borrowed()
    {
        if (ticket_ && ticket_->protocol() == tls_version::tls13)
            store_.put_back(key_, std::move(*ticket_));
    }

    [[nodiscard]] session const& ticket() const noexcept { return *ticket_; }
    [[nodiscard]] session keep() { return *std::exchange(ticket_, std::nullopt); }

private:
    session_store& store_;
    session_scope const& key_;
    std::optional<session> ticket_;
};

} // namespace

asio::awaitable<void> client_handshake::choose_session(SSL* ssl)
{
    now_.is_exact = now_.exact.has_value();
    if (now_.is_exact)
        co_return offer(ssl, *std::exchange(now_.exact, std::nullopt));
    if (!now_.keeps || !now_.asks_store)
        co_return;
    auto found = co_await with_timeout(lookup_limit(), take_from(setup_->store, now_.key));
    if (found.status != timed_status::answered)
        now_.reason = reason_of(found.status);
    else if (!found.value->ticket)
        now_.reason = found.value->reason;
    else if (!setup_->options.is_revoked || !must_verify(ssl))
        offer(ssl, *found.value->ticket);
    else
    {
        borrowed candidate{*setup_->store, now_.key, std::move(*found.value->ticket)};
        auto question = ask(setup_->options.is_revoked, candidate.ticket().origin().chain);
        auto const revoked = co_await with_timeout(setup_->options.lookup_timeout, std::move(question));
        if (revoked.status != timed_status::answered)
            now_.reason = reason_of(revoked.status);
        else if (*revoked.value)
        {
            (void)candidate.keep(); // so that it is not put back
            co_await forget_session(full_handshake_reason::revoked);
            now_.reason = full_handshake_reason::revoked;
        }
        else
            offer(ssl, candidate.keep());
    }
}

asio::awaitable<void> client_handshake::forget_session(full_handshake_reason why)
{
    co_await with_timeout(lookup_limit(), remove_from(setup_->store, now_.key));
    setup_->store->note(now_.key, why);
}

full_handshake_reason may_offer(session const& candidate, time_point now, std::chrono::seconds max_age,
                                bool must_be_verified) noexcept
{
    // OpenSSL rounds the issue time down to whole seconds, so rounding does not put it into the future.
    if (now < candidate.issued_at() || now >= candidate.issued_at() + candidate.lifetime())
        return full_handshake_reason::expired;
    if (must_be_verified && candidate.origin().verify_result != X509_V_OK)
        return full_handshake_reason::unverified;
    return check_age(candidate.origin(), now, max_age);
}

full_handshake_reason client_handshake::judge(SSL* ssl, session const& candidate) const
{
    bool const must_be_verified = must_verify(ssl);
    auto const now = setup_->options.now();
    auto const reason = may_offer(candidate, now, setup_->options.max_session_age, must_be_verified);
    if (reason != full_handshake_reason::none || !must_be_verified)
        return reason;
    // Certificates that this process has verified under the same policy and name need not be verified again.
    auto const& origin = candidate.origin();
    if (now_.verification && origin.verified_under && *origin.verified_under == *now_.verification)
        return full_handshake_reason::none;
    return verify_again(ssl, origin, now);
}

void client_handshake::offer(SSL* ssl, session const& candidate)
{
    now_.reason = judge(ssl, candidate);
    if (now_.reason != full_handshake_reason::none)
        return;
    auto fresh = candidate.copy();
    if (!fresh || ::SSL_set_session(ssl, fresh.get()) != 1)
    {
        ::ERR_clear_error();
        now_.reason = full_handshake_reason::record_corrupt;
        return;
    }
    now_.offered = candidate;
    now_.offered_copy = std::move(fresh);
}

byte_view client_handshake::plan_early(SSL* ssl, early_data const& wanted)
{
    byte_view const bytes{static_cast<unsigned char const*>(wanted.bytes().data()), wanted.bytes().size()};
    early_situation s{.has_session = now_.offered.has_value(),
                      .stream_is_tls13 = speaks_tls13(ssl),
                      .offered_alpn = setup_->options.alpn,
                      .size = bytes.size(),
                      .may_split = wanted.options().split};
    if (now_.offered)
    {
        s.session_is_tls13 = now_.offered->protocol() == tls_version::tls13;
        s.allowed = now_.offered->max_early_data();
        s.session_alpn = now_.offered->alpn();
        // The scope of a session from the store contains the name. For another session, only the server's
        // acknowledgement tells.
        s.name_is_known = !now_.is_exact || (!now_.key.server_name.empty() &&
                                             lower_case(now_.offered->server_name()) == now_.key.server_name);
        s.cipher_is_enabled = is_enabled(ssl, ::SSL_SESSION_get0_cipher(now_.offered->native_handle()));
        auto const now = std::chrono::system_clock::now(); // the clock that OpenSSL uses
        s.age = std::chrono::floor<std::chrono::seconds>(now - now_.offered->issued_at());
        s.lifetime = now_.offered->lifetime();
    }
    auto const plan = plan_early_data(s);
    now_.early_reason = plan.reason;
    return bytes.first(plan.size);
}

void client_handshake::early_sent(std::size_t size) noexcept
{
    now_.early_size = size;
    if (size == 0)
        now_.early_reason = early_data_reason::not_allowed;
}

bool client_handshake::may_do_without_early(SSL const* ssl) const noexcept
{
    return now_.early_size != 0 && has_turned_early_data_down(ssl) && ::SSL_get_verify_result(ssl) == X509_V_OK;
}

void client_handshake::on_new_session(SSL* ssl, SSL_SESSION const* live) noexcept
try
{
    // A server may also request a certificate after the handshake (RFC 8446, 4.6.2).
    now_.keeps = now_.keeps && identity_is_known(ssl);
    if (!now_.keeps)
        return;
    if (!now_.verified)
    {
        if (ssl_session_ptr copy{::SSL_SESSION_dup(live)})
            now_.unverified.push_back(std::move(copy));
        return;
    }
    // A TLS 1.2 session that arrives later belongs to a renegotiation, which has verified the server again.
    if (::SSL_version(ssl) <= TLS1_2_VERSION && begin_origin(ssl) != full_handshake_reason::none)
        return;
    keep(live);
}
catch (...)
{
    setup_->store->note(now_.key, full_handshake_reason::not_resumable);
}

bool client_handshake::keep(SSL_SESSION const* live) noexcept
try
{
    auto ticket = session::snapshot(live, now_.origin);
    if (!ticket)
        return false;
    now_.captured = true;
    if (setup_->options.observer)
        setup_->options.observer->on_session(now_.key.host, ticket->protocol());
    setup_->store->capture(now_.key, std::move(*ticket));
    return true;
}
catch (...) // out of memory: only the next connection is affected, which makes a full handshake
{
    setup_->store->note(now_.key, full_handshake_reason::not_resumable);
    return false;
}

/* In TLS 1.3 OpenSSL reports an external PSK as the resumption of a session that was made for the PSK. That session is
   not the offered one, and has no ticket. A session that client_options::on_ssl has set does have a ticket. */
bool client_handshake::used_external_psk(SSL* ssl) const
{
    if (::SSL_version(ssl) != TLS1_3_VERSION)
        return used_psk_suite(ssl);
    SSL_SESSION const* const current = ::SSL_get_session(ssl);
    return ::SSL_session_reused(ssl) == 1 && current != now_.offered_copy.get() &&
           ::SSL_SESSION_has_ticket(current) == 0;
}

// Record what this handshake has verified. Returns why its sessions are not kept, `none` if they are.
full_handshake_reason client_handshake::begin_origin(SSL* ssl)
{
    now_.origin = session_origin::of_full_handshake(ssl, setup_->options.now());
    now_.origin.verified_under = now_.verification;
    // A callback of the caller (SSL_CTX_set_cert_verify_callback(3)) has decided without building a chain.
    bool const is_verified_unseen = must_verify(ssl) && now_.origin.chain && ::SSL_get0_verified_chain(ssl) == nullptr;
    bool const is_of_caller = ::SSL_session_reused(ssl) == 1; // unknown when the server of that session was verified
    bool const is_unrepeatable = is_verified_unseen || is_of_caller || !identity_is_known(ssl);
    auto const reason = used_external_psk(ssl)                ? full_handshake_reason::external_psk
                        : ::SSL_version(ssl) < TLS1_2_VERSION ? full_handshake_reason::old_protocol
                        : is_unrepeatable                     ? full_handshake_reason::unrepeatable
                                                              : full_handshake_reason::none;
    now_.keeps = now_.keeps && reason == full_handshake_reason::none;
    return reason;
}

void client_handshake::handshake_done(SSL* ssl)
{
    now_.verified = true;
    now_.info = describe_handshake(ssl);
    if (used_external_psk(ssl))
        now_.info.kind = handshake_kind::full;
    SSL_SESSION* const current = ::SSL_get_session(ssl);
    if (now_.info.resumed() && now_.offered)
    {
        now_.origin = now_.offered->origin();
        now_.origin.verified_under = now_.verification;
        now_.info.session_age =
            std::chrono::floor<std::chrono::seconds>(setup_->options.now() - now_.origin.verified_at);
        now_.info.resumption = now_.info.protocol == tls_version::tls13 ? resumption_kind::tls13_ticket
                               : now_.offered->has_ticket()             ? resumption_kind::tls12_ticket
                                                                        : resumption_kind::tls12_session_id;
        // OpenSSL does not report a TLS 1.2 ticket that was renewed by a resumption.
        if (now_.keeps && now_.info.protocol == tls_version::tls12 &&
            !same_ticket(current, now_.offered->native_handle()))
            keep(current);
    }
    else
    {
        auto const reason = begin_origin(ssl);
        if (!now_.info.resumed())
            now_.info.reason = reason != full_handshake_reason::none ? reason
                               : now_.offered                        ? full_handshake_reason::declined
                                                                     : now_.reason;
    }
    now_.offered_copy.reset();
    now_.info.early_reason = now_.early_reason;
    if (now_.early_reason == early_data_reason::connection_failed)
        now_.info.early_data = early_data_status::rejected;
    else if (now_.early_size != 0 && ::SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED)
    {
        now_.info.early_data = early_data_status::accepted;
        now_.info.early_size = now_.early_size;
    }
    else if (now_.early_size != 0)
    {
        now_.info.early_data = early_data_status::rejected;
        now_.info.early_reason = early_data_reason::declined;
    }
    if (setup_->options.observer)
        setup_->options.observer->on_handshake(now_.key.host, now_.info);
    for (auto const& live : std::exchange(now_.unverified, {}))
        if (now_.keeps)
            keep(live.get());
}

bool client_handshake::handshake_failed(bool has_sent) noexcept
{
    now_.unverified.clear();
    if (!now_.offered || now_.is_exact)
        return false;
    bool const is_reusable = now_.offered->protocol() == tls_version::tls12;
    if (!has_sent && !is_reusable)
        setup_->store->put_back(now_.key, *std::exchange(now_.offered, std::nullopt));
    return has_sent && is_reusable;
}

void client_handshake::capture_before_shutdown(SSL* ssl)
{
    if (!now_.keeps || !now_.verified || now_.captured || now_.info.resumed())
        return;
    if (!keep(::SSL_get_session(ssl)))
        setup_->store->note(now_.key, full_handshake_reason::not_resumable);
}

std::string client_handshake::why_not_verified(SSL* ssl, error_code why)
{
    if (why.category() != asio::error::get_ssl_category())
        return {};
    return detail::why_not_verified(ssl, static_cast<unsigned long>(why.value()));
}

handshake_info const& client_handshake::failed(std::string why)
{
    now_.info = {};
    now_.info.failure = std::move(why);
    return now_.info;
}

void client_handshake::count_failure(std::string const& host, error_code why) const noexcept
{
    if (setup_->options.observer)
        setup_->options.observer->on_failure(host, why);
}

bool client_handshake::peer_said_goodbye(SSL const* ssl) noexcept
{
    return (::SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

} // namespace reprise::detail
