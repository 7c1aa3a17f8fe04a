// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "server/early/session_bond.hpp"
#include "server/early/strike_register.hpp"
#include "server/handshake/server_context.hpp"
#include "server/handshake/switch_context.hpp"
#include "tls/external_psk.hpp"
#include "tls/hello_constants.hpp"
#include "tls/session_time.hpp"
#include "tls/verify_failure.hpp"
#include "tls/versions.hpp"

#include <reprise/detail/server/server_handshake.hpp>
#include <reprise/error.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include <openssl/x509_vfy.h>

#include <algorithm>
#include <functional>
#include <new>
#include <utility>

namespace reprise::detail {

namespace {

constexpr std::size_t stateful_ticket_size = 32; // OpenSSL's session id, SSL_MAX_SSL_SESSION_ID_LENGTH

// Set the limit that tickets tell the client, and the limit that is enforced. Turn off OpenSSL's own replay protection,
// because it needs a session table that is not used here.
void set_early_data_limits(SSL* ssl, early_data_options const& o)
{
    constexpr std::uint32_t least_skipped = SSL3_RT_MAX_PLAIN_LENGTH; // OpenSSL's default
    ::SSL_set_max_early_data(ssl, o.max_bytes);
    ::SSL_set_recv_max_early_data(ssl, std::max({least_skipped, o.max_bytes, o.promised_bytes}));
    ::SSL_set_options(ssl, SSL_OP_NO_ANTI_REPLAY);
}

} // namespace

asio::awaitable<std::optional<session_cache>> ask(virtual_host_selector selector, client_hello hello)
{
    co_return co_await selector(hello);
}

lookup_plan plan_lookup(client_hello const& hello, lookup_policy const& policy)
{
    auto const missing = policy.remembers ? full_handshake_reason::unknown_session : full_handshake_reason::disabled;
    if (hello.offers_tls13 && policy.speaks_tls13)
    {
        // The legacy session id is random filler here (RFC 8446, D.4). The PSK extension names the session.
        if (hello.psk_identities.empty())
            return {};
        if (policy.tickets)
            return {lookup_kind::none, {}, full_handshake_reason::unknown_ticket_key};
        for (auto const& identity : hello.psk_identities)
            if (policy.storage && identity.size() == stateful_ticket_size)
                return {lookup_kind::take, identity, missing};
        return {lookup_kind::none, {}, missing};
    }
    // A client that takes tickets was never given a session id. With a ticket, its id only tells the client whether the
    // ticket was accepted (RFC 5077, 3.4). Without a ticket, its id is the filler of a client that also offers TLS 1.3.
    if (policy.tickets && hello.takes_tickets)
        return {lookup_kind::none,
                {},
                hello.offers_ticket ? full_handshake_reason::unknown_ticket_key : full_handshake_reason::not_offered};
    if (hello.session_id.empty())
        return {};
    return {policy.storage ? lookup_kind::get : lookup_kind::none, hello.session_id, missing};
}

ssl_ptr server_handshake::make_ssl()
{
    ssl_ptr ssl{::SSL_new(cache_.native_handle())};
    if (!ssl)
        throw std::bad_alloc{};
    set_handshake(ssl.get(), this);
    ::SSL_set_accept_state(ssl.get());
    ssl_ = ssl.get();
    return ssl;
}

void server_handshake::begin(bool has_hosts)
{
    begun_ = true;
    has_hosts_ = has_hosts;
}

tls_result server_handshake::shake_hands(tls_engine& engine, asio::any_io_executor const& ex) noexcept
try
{
    // Stopping for early data costs 2 % of a handshake. Whether another host accepts early data is not known yet.
    bool const may_be_early = has_hosts_ || server().options.early_data.max_bytes != 0;
    auto result = may_be_early ? engine.accept() : engine.handshake();
    result.no_memory = result.no_memory || (no_memory_ && result.status == tls_status::failed);
    store_new_sessions(ex);
    if (server().tickets)
        server().tickets->begin_refresh(ex);
    if (result.status == tls_status::failed)
        info_.failure = why_not_verified(ssl_, result.error);
    if (result.status == tls_status::done)
    {
        finish();
        store_new_sessions(ex);
    }
    return result;
}
catch (...) // this runs in a handler of the transport, from which nothing may be thrown
{
    return {.status = tls_status::failed, .no_memory = true};
}

error_code server_handshake::explain(error_code ec) const noexcept
{
    bool const refused = step_ == server_step::refuse_host && ec.category() == asio::error::get_ssl_category();
    return refused ? make_error_code(errc::unknown_host) : ec;
}

/* A renegotiation of TLS 1.2 is a handshake with its own verification. It happens within a read, which cannot wait. So
   neither the host selector nor the storage is asked: the host stays, and only a ticket can be resumed. */
int server_handshake::on_renegotiation(SSL* ssl, int* alert)
{
    if (read_client_hello(ssl).server_name != hello_.server_name)
    {
        *alert = SSL_AD_ILLEGAL_PARAMETER;
        return SSL_CLIENT_HELLO_ERROR;
    }
    offered_origin_.reset();
    fresh_origin_.reset();
    opened_ticket_ = false;
    return SSL_CLIENT_HELLO_SUCCESS;
}

// OpenSSL calls this for each ClientHello, and again after each pause.
int server_handshake::on_client_hello(SSL* ssl, int* alert)
{
    auto const refuse = [alert](int why)
    {
        *alert = why;
        return SSL_CLIENT_HELLO_ERROR;
    };
    for (;;)
        switch (step_)
        {
        case server_step::read_hello:
            hello_ = read_client_hello(ssl);
            if (hello_.offers_tls13)
                constants_ = read_hello_constants(ssl);
            step_ = has_hosts_ ? server_step::choose_host : server_step::enter_host;
            break;
        case server_step::refuse_host: return refuse(SSL_AD_UNRECOGNIZED_NAME);
        case server_step::enter_host:
            if (!apply_host())
                return refuse(SSL_AD_PROTOCOL_VERSION);
            plan_keys(true);
            break;
        case server_step::plan_lookup: plan_storage_lookup(); break;
        case server_step::plan_guard: plan_guard(); break;
        case server_step::choose_host:
        case server_step::fetch_keys:
        case server_step::look_up:
        case server_step::strike: return SSL_CLIENT_HELLO_RETRY; // the answer is awaited
        case server_step::proceed: step_ = server_step::shake_hands; return SSL_CLIENT_HELLO_SUCCESS;
        case server_step::shake_hands: // after a HelloRetryRequest
            is_retried_ = true;
            return read_hello_constants(ssl) == constants_ ? SSL_CLIENT_HELLO_SUCCESS
                                                           : refuse(SSL_AD_ILLEGAL_PARAMETER);
        case server_step::done: return on_renegotiation(ssl, alert);
        }
}

void server_handshake::plan_keys(bool may_ask)
{
    step_ = server_step::plan_lookup;
    auto* const keeper = server().tickets.get();
    tickets_ = keeper != nullptr;
    if (!tickets_)
        return;
    auto const now = server().options.now();
    ticket_situation s{.can_issue = keeper->can_issue(now), .may_ask = may_ask && keeper->may_ask(now)};
    auto const offer = [&](std::string const& ticket)
    {
        s.offered = true;
        s.known = s.known || keeper->knows(as_bytes(ticket), now);
    };
    if (hello_.offers_tls13 && speaks_tls13(ssl_))
    {
        for (auto const& identity : hello_.psk_identities)
            if (identity.size() > stateful_ticket_size)
                offer(identity);
    }
    else if (hello_.offers_ticket)
        offer(hello_.ticket_name);
    switch (plan_tickets(s))
    {
    case ticket_step::use: break;
    case ticket_step::ask: step_ = server_step::fetch_keys; break;
    case ticket_step::do_without:
        tickets_ = false;
        keeper->count_without_issuer();
        break;
    }
}

void server_handshake::plan_storage_lookup()
{
    auto const& options = server().options;
    bool const remembers = options.mode != cache_mode::off;
    plan_ = plan_lookup(hello_, {.speaks_tls13 = speaks_tls13(ssl_),
                                 .tickets = tickets_,
                                 .storage = server().uses_storage(),
                                 .remembers = remembers});
    reason_ = plan_.otherwise;
    if (server().tickets && !tickets_)
    {
        // Continue as if tickets were turned off in the options.
        ::SSL_set_options(ssl_, SSL_OP_NO_TICKET);
        if (!remembers)
            ::SSL_set_num_tickets(ssl_, 0);
    }
    if (auto const answer = answer_to_ticket_request())
        ::SSL_set_num_tickets(ssl_, *answer);
    step_ = plan_.kind == lookup_kind::none ? server_step::plan_guard : server_step::look_up;
    if (step_ == server_step::look_up && server().immediate() != nullptr)
        look_up_now();
}

std::optional<unsigned> server_handshake::answer_to_ticket_request() const noexcept
{
    auto const most = server().options.max_requested_tickets;
    if (!hello_.tickets_wanted || most == 0)
        return std::nullopt;
    bool const can_resume = tickets_ || server().options.mode != cache_mode::off;
    return can_resume ? std::min(*hello_.tickets_wanted, most) : 0;
}

/* Ask the replay guard only about a flight that could be accepted. The flight is not authenticated yet, so anyone can
   make the server ask. That is why a guard bounds what it remembers. */
void server_handshake::plan_guard()
{
    step_ = server_step::proceed;
    auto const& early = server().options.early_data;
    if (early.max_bytes == 0 || !early.guard.strikes() || !hello_.offers_early_data || hello_.first_binder.empty() ||
        hello_.psk_identities.empty())
        return;
    auto const& ticket = hello_.psk_identities.front(); // early data needs the first identity (RFC 8446, 4.2.10)
    bool const is_ours =
        tickets_ ? server().tickets->knows(as_bytes(ticket), server().options.now()) : fetched_ && plan_.name == ticket;
    if (is_ours)
        step_ = server_step::strike;
}

asio::awaitable<strike> server_handshake::strike_guard() const
{
    return strike_register::hit(server().options.early_data.guard.strikes(), hello_.first_binder);
}

void server_handshake::struck(strike const& answer) noexcept
{
    strike_ = answer;
    step_ = server_step::proceed;
}

void server_handshake::skip_step() noexcept
{
    switch (step_)
    {
    case server_step::choose_host: use_host({timed_status::failed}); break;
    case server_step::fetch_keys: keys_fetched(); break;
    case server_step::look_up: found({timed_status::failed}); break;
    case server_step::strike: struck({early_data_reason::guard_failed}); break;
    case server_step::read_hello:
    case server_step::refuse_host:
    case server_step::enter_host:
    case server_step::plan_lookup:
    case server_step::plan_guard:
    case server_step::proceed:
    case server_step::shake_hands:
    case server_step::done: break;
    }
}

bool server_handshake::allows_early_data() noexcept
{
    if (!early_judgement_) // OpenSSL may ask more than once
    {
        early_judgement_ = judge_early_data();
        if (*early_judgement_ != early_data_reason::none)
            server().count_early_rejection(*early_judgement_); // now, because a replay never completes the handshake
    }
    return *early_judgement_ == early_data_reason::none;
}

early_data_reason server_handshake::judge_early_data() const
{
    auto const& early = server().options.early_data;
    SSL_SESSION const* const resumed = ::SSL_get_session(ssl_);
    if (::SSL_SESSION_get_max_early_data(resumed) > early.max_bytes)
        return early_data_reason::limit_lowered;
    if (auto const& strikes = early.guard.strikes())
    {
        if (!strike_)
            return early_data_reason::not_acceptable;
        auto const issued_at = std::chrono::system_clock::from_time_t(detail::issued_at(resumed));
        bool const keys_are_private = server().tickets && server().tickets->is_private() && opened_ticket_;
        auto const verdict = strikes->rules().judge(*strike_, issued_at, strikes->options().now(), keys_are_private);
        if (verdict != early_data_reason::none)
            return verdict;
    }
    else if (!fetched_) // the session was not taken from the storage for this connection
        return early_data_reason::not_acceptable;
    else if (auto const verdict = judge_bond(fetched_.get(), fetched_in_); verdict != early_data_reason::none)
        return verdict;
    if (!early.accept)
        return early_data_reason::none;
    try
    {
        unsigned char const* alpn = nullptr;
        std::size_t alpn_size = 0;
        ::SSL_SESSION_get0_alpn_selected(resumed, &alpn, &alpn_size);
        auto const age =
            offered_origin_ ? server().options.now() - offered_origin_->verified_at : time_point::duration{};
        early_data_offer const offer{
            hello_, {reinterpret_cast<char const*>(alpn), alpn_size}, std::chrono::floor<std::chrono::seconds>(age)};
        return early.accept(offer) ? early_data_reason::none : early_data_reason::unwanted;
    }
    catch (...)
    {
        return early_data_reason::unwanted;
    }
}

early_data_reason server_handshake::why_no_early_data() const
{
    if (!hello_.offers_early_data)
        return early_data_reason::not_asked;
    if (early_judgement_) // OpenSSL asks after its own checks
        return *early_judgement_;
    if (server().options.early_data.max_bytes == 0)
        return early_data_reason::disabled;
    if (is_retried_)
        return early_data_reason::hello_retry;
    return info_.resumed() ? early_data_reason::not_acceptable : early_data_reason::not_resumed;
}

void server_handshake::on_session_offered(SSL_SESSION const* offered) noexcept
{
    // The client may send what its ticket promises, whether the early data is accepted or dropped.
    auto const promised = ::SSL_SESSION_get_max_early_data(offered);
    if (promised > ::SSL_get_recv_max_early_data(ssl_))
        ::SSL_set_recv_max_early_data(ssl_, promised);
}

asio::awaitable<timed_result<bool>> server_handshake::fetch_keys() const
{
    auto const ask = [](std::shared_ptr<ticket_keeper> keeper) -> asio::awaitable<bool>
    {
        co_await ticket_keeper::refresh(std::move(keeper));
        co_return true;
    };
    return with_timeout(server().options.lookup_timeout, ask(server().tickets));
}

void server_handshake::keys_fetched() noexcept
{
    plan_keys(false); // with the keys that are there now
}

void server_handshake::use_host(timed_result<std::optional<session_cache>> const& answer)
{
    // A selector that fails knows no host; its own log says why.
    if (answer.status != timed_status::answered || !*answer.value)
    {
        step_ = server_step::refuse_host;
        return;
    }
    session_cache const& host = **answer.value;
    if (host.native_handle() != cache_.native_handle())
        first_ = std::exchange(cache_, host);
    step_ = server_step::enter_host;
}

bool server_handshake::apply_host()
{
    if (first_ && !switch_context(ssl_, cache_.native_handle()))
        return false;
    auto const policy = server().policy_of(ssl_, hello_.server_name);
    if (first_)
        apply_groups();
    policy_ = policy.tag;
    id_context_ = policy.context;
    ::SSL_set_session_id_context(ssl_, id_context_.data(), static_cast<unsigned>(id_context_.size()));
    set_early_data_limits(ssl_, server().options.early_data);
    return true;
}

// The SSL has copied the groups of the first context when it was made. If both contexts have equal groups, the copy
// stays, with what else OpenSSL knows about their order.
void server_handshake::apply_groups()
{
    auto const groups = server().groups(cache_.native_handle());
    if (groups.empty() || groups == first_->server()->groups(first_->native_handle()))
        return;
    if (SSL_set1_groups_list(ssl_, groups.c_str()) != 1)
        throw std::bad_alloc{};
}

full_handshake_reason server_handshake::check_policy(SSL_SESSION* candidate, session_origin const& origin) const
{
    unsigned size = 0;
    auto const* const made_in = ::SSL_SESSION_get0_id_context(candidate, &size);
    if (auto const difference = compare({made_in, size}, id_context_); difference != full_handshake_reason::none)
        return difference;
    // The verify result alone is not enough: it is X509_V_OK also if there was no certificate to verify.
    int const mode = ::SSL_get_verify_mode(ssl_);
    bool const has_peer = ::SSL_SESSION_get0_peer(candidate) != nullptr;
    if ((mode & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) != 0 && !has_peer)
        return full_handshake_reason::unverified;
    if ((mode & SSL_VERIFY_PEER) != 0 && origin.verify_result != X509_V_OK)
        return full_handshake_reason::unverified;
    return full_handshake_reason::none;
}

asio::awaitable<timed_result<with_epoch<std::optional<secret_bytes>>>> server_handshake::look_up() const
{
    server().lookups.fetch_add(1, std::memory_order_relaxed);
    // The lookup shares ownership of the server, because on timeout the lookup is detached.
    bool const is_early = hello_.offers_early_data && server().relies_on_take();
    auto const ask = plan_.kind != lookup_kind::take ? &server_context::get
                     : is_early                      ? &server_context::take_for_early_data
                                                     : &server_context::take;
    return with_timeout(server().options.lookup_timeout, ask(cache_.server(), plan_.name));
}

void server_handshake::look_up_now() noexcept
try
{
    server().lookups.fetch_add(1, std::memory_order_relaxed);
    timed_result<with_epoch<std::optional<secret_bytes>>> answer{timed_status::answered, {{}}};
    if (plan_.kind == lookup_kind::take)
    {
        answer.value->value = server().immediate()->take_now(plan_.name);
        if (hello_.offers_early_data && server().relies_on_take())
            answer.value->epoch = server().immediate()->epoch_now();
        return found(std::move(answer));
    }
    // The storage may hold a lock during the call. So only a known session is used in place; another record is copied.
    std::optional<session> known;
    auto const read = [&](byte_view value)
    {
        known = server().known(value);
        if (!known)
            answer.value->value.emplace(value);
    };
    (void)server().immediate()->read_now(plan_.name, std::ref(read));
    if (known)
        return consider(*known);
    found(std::move(answer));
}
catch (...) // any failure costs only a resumption
{
    found({timed_status::failed});
}

void server_handshake::found(timed_result<with_epoch<std::optional<secret_bytes>>> answer)
{
    step_ = server_step::plan_guard;
    if (answer.status == timed_status::failed)
        server().storage_errors.fetch_add(1, std::memory_order_relaxed);
    if (answer.status != timed_status::answered)
    {
        reason_ = answer.status == timed_status::late ? full_handshake_reason::lookup_late
                                                      : full_handshake_reason::lookup_failed;
        return;
    }
    auto const& record = answer.value->value;
    if (!record)
        return; // unknown_session
    fetched_in_ = std::move(answer.value->epoch);
    if (auto const stored = server().decode(*record))
        consider(*stored);
    else
        reason_ = full_handshake_reason::record_corrupt;
}

void server_handshake::consider(session const& stored)
{
    step_ = server_step::plan_guard;
    auto copy = stored.copy();
    if (!copy)
    {
        reason_ = full_handshake_reason::record_corrupt;
        return;
    }
    on_session_offered(copy.get());
    reason_ = server().judge(copy.get(), stored.origin());
    if (reason_ == full_handshake_reason::none)
        reason_ = check_policy(copy.get(), stored.origin());
    if (reason_ != full_handshake_reason::none)
        return;
    offered_origin_ = stored.origin();
    fetched_ = std::move(copy);
}

SSL_SESSION* server_handshake::on_get_session(byte_view id) const noexcept
{
    return fetched_ && std::ranges::equal(id, as_bytes(plan_.name)) ? fetched_.get() : nullptr;
}

void server_handshake::on_ticket(full_handshake_reason judgement, session_origin const& origin) noexcept
{
    reason_ = judgement;
    if (judgement != full_handshake_reason::none)
        return;
    opened_ticket_ = true;
    offered_origin_ = origin;
}

session_origin const& server_handshake::origin()
{
    // An offered session counts only if OpenSSL accepted it. Otherwise this handshake has verified the client.
    if (offered_origin_ && ::SSL_session_reused(ssl_) == 1)
        return *offered_origin_;
    if (!fresh_origin_)
        fresh_origin_ = session_origin::of_full_handshake(ssl_, server().options.now());
    return *fresh_origin_;
}

void server_handshake::on_new_session(SSL_SESSION* live) noexcept
{
    auto const version = ::SSL_SESSION_get_protocol_version(live);
    if (version == TLS1_2_VERSION)
        keep_for_storage(live);
    keep_out_of_table(live);
}

// OpenSSL uses the table of the stream's first context, whichever host made or found the session.
void server_handshake::keep_out_of_table(SSL_SESSION* s) const noexcept
{
    if (first_ && has(first_->server()->options.mode, cache_mode::openssl_internal))
        ::SSL_CTX_remove_session(first_->native_handle(), s);
}

/* OpenSSL reports new sessions as the mode of the first context says, so new sessions are also captured elsewhere: a
   TLS 1.3 session here, when its ticket is made; a TLS 1.2 session at the end of the handshake. */
void server_handshake::on_ticket_sealing(SSL_SESSION* made, bool is_wanted) noexcept
{
    bool const is_tls13 = ::SSL_SESSION_get_protocol_version(made) == TLS1_3_VERSION;
    bool const is_stateful = is_tls13 && (::SSL_get_options(ssl_) & SSL_OP_NO_TICKET) != 0;
    made_ticket_ = {.is_wanted = is_wanted, .is_stateful = is_stateful};
    if (!is_stateful)
        return;
    if (is_wanted)
        keep_for_storage(made);
    else // make it a sealed ticket: only for such a ticket OpenSSL asks for a key, and can be told that there is none
        ::SSL_clear_options(ssl_, SSL_OP_NO_TICKET);
}

bool server_handshake::seals_ticket() noexcept
{
    auto const ticket = made_ticket_.value_or(made_ticket{});
    if (!ticket.is_wanted && ticket.is_stateful)
        ::SSL_set_options(ssl_, SSL_OP_NO_TICKET);
    return ticket.is_wanted;
}

void server_handshake::keep_for_storage(SSL_SESSION* made) noexcept
try
{
    unsigned id_size = 0;
    ::SSL_SESSION_get_id(made, &id_size);
    if (id_size == 0 || !server().uses_storage() || used_external_psk())
        return;
    is_kept_ = true;
    if (::SSL_SESSION_get_protocol_version(made) == TLS1_2_VERSION) // its lifetime is that of the first context
        ::SSL_SESSION_set_timeout(made, static_cast<long>(server().options.session_lifetime.count()));
    if (auto copy = session::snapshot(made, origin()))
        new_sessions_.push_back(std::move(*copy));
}
catch (...) // out of memory: the next connection makes a full handshake
{
    server().dropped.fetch_add(1, std::memory_order_relaxed);
}

void server_handshake::store_new_sessions(asio::any_io_executor const& ex) noexcept
{
    for (auto const& made : new_sessions_)
        try
        {
            server().store(ex, made);
        }
        catch (...) // out of memory: the next connection makes a full handshake
        {
            server().dropped.fetch_add(1, std::memory_order_relaxed);
        }
    new_sessions_.clear();
}

// In TLS 1.3 OpenSSL reports an external PSK as the resumption of a session. That session lacks what our tickets carry.
bool server_handshake::used_external_psk()
{
    if (::SSL_version(ssl_) != TLS1_3_VERSION)
        return used_psk_suite(ssl_);
    if (!is_external_) // first called before a ticket is made, because that completes the session
        is_external_ = ::SSL_session_reused(ssl_) == 1 && !carries_origin(::SSL_get_session(ssl_));
    return *is_external_;
}

void server_handshake::finish()
{
    info_ = describe_handshake(ssl_);
    bool const is_external = used_external_psk();
    bool const is_old = ::SSL_version(ssl_) < TLS1_2_VERSION;
    if (is_external)
        info_.kind = handshake_kind::full;
    if (info_.resumed())
    {
        bool const stateful = (::SSL_get_options(ssl_) & SSL_OP_NO_TICKET) != 0;
        if (info_.protocol == tls_version::tls13)
            info_.resumption = stateful ? resumption_kind::tls13_stateful : resumption_kind::tls13_stateless;
        else
            info_.resumption = opened_ticket_ ? resumption_kind::tls12_ticket : resumption_kind::tls12_session_id;
        if (offered_origin_)
            info_.session_age =
                std::chrono::floor<std::chrono::seconds>(server().options.now() - offered_origin_->verified_at);
    }
    else
        info_.reason = is_external                              ? full_handshake_reason::external_psk
                       : is_old                                 ? full_handshake_reason::old_protocol
                       : reason_ == full_handshake_reason::none ? full_handshake_reason::not_acceptable
                                                                : reason_;
    bool const is_accepted = ::SSL_get_early_data_status(ssl_) == SSL_EARLY_DATA_ACCEPTED;
    info_.early_data = is_accepted                ? early_data_status::accepted
                       : hello_.offers_early_data ? early_data_status::rejected
                                                  : early_data_status::not_offered;
    info_.early_reason = is_accepted ? early_data_reason::none : why_no_early_data();
    if (info_.early_data == early_data_status::rejected && !early_judgement_)
        server().count_early_rejection(info_.early_reason);
    server().count(info_);
    if (info_.protocol == tls_version::tls12 && !info_.resumed() && !is_kept_)
        keep_for_storage(::SSL_get_session(ssl_));
    if (fetched_)
        keep_out_of_table(fetched_.get());
    if (is_external || is_old) // OpenSSL has stored the session, if the context's mode says so
        ::SSL_CTX_remove_session(::SSL_get_SSL_CTX(ssl_), ::SSL_get_session(ssl_));
    step_ = server_step::done;
    forget_offers();
}

// Drop the offers, whose length the client chose, and what was decided with them.
void server_handshake::forget_offers() noexcept
{
    hello_.psk_identities = std::vector<std::string>{};
    hello_.first_binder.clear();
    hello_.ticket_name.clear();
    plan_ = lookup_plan{};
    fetched_.reset();
}

void server_handshake::end(error_code why) noexcept
{
    if (begun_ && step_ != server_step::done)
        server().count_failure(why);
    begun_ = false;
}

} // namespace reprise::detail
