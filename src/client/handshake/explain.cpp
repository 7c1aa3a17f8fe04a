// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "base/hex.hpp"
#include "base/sha256.hpp"

#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/explain.hpp>

#include <algorithm>
#include <memory>
#include <sstream>

namespace reprise {

namespace {

using std::chrono::floor;
using std::chrono::seconds;

// Time until the session's lifetime, its certificates or max_session_age end its use.
seconds time_left(session const& s, client_options const& o)
{
    auto const now = o.now();
    auto const ends =
        std::min({s.issued_at() + s.lifetime(), s.origin().chain_expiry, s.origin().verified_at + o.max_session_age});
    return std::max(seconds{0}, floor<seconds>(ends - now));
}

// The first 12 hexadecimal digits of a digest, to compare by eye.
std::string short_digest(std::string_view bytes)
{
    auto const digest = detail::sha256(as_bytes(bytes));
    return detail::hex(byte_view{digest}.first(6));
}

std::string or_none(std::string const& text)
{
    return text.empty() ? "none" : text;
}

std::string joined(std::vector<std::string> const& names)
{
    std::string result;
    for (auto const& name : names)
        result += (result.empty() ? "" : ", ") + name;
    return result;
}

void say_verdict(std::ostream& out, explanation const& e)
{
    if (!e.candidate)
    {
        out << "verdict    full handshake: " << to_string(e.reason) << "\n           " << advice(e.reason) << '\n';
        return;
    }
    auto const& s = *e.candidate;
    char const* const kind = s.protocol() == tls_version::tls13 ? "TLS 1.3 ticket"
                             : s.has_ticket()                   ? "TLS 1.2 ticket"
                                                                : "TLS 1.2 session id";
    out << "verdict    a " << kind << " is offered; the server decides\n           " << s.cipher() << ", usable for "
        << e.time_left.count() << " s";
    if (s.max_early_data() != 0)
        out << ", early data up to " << s.max_early_data() << " bytes";
    out << '\n';
}

} // namespace

asio::awaitable<explanation> explain(std::string host, std::string service, client of)
{
    auto const connection = std::make_unique<detail::client_handshake>(of);
    auto const ssl = connection->begin(host, service);
    co_await connection->choose_session(ssl.get());
    explanation result;
    result.key = connection->key();
    result.is_shared = connection->is_shared();
    result.reason = connection->reason();
    result.candidate = connection->offered();
    if (result.candidate)
        result.time_left = time_left(*result.candidate, connection->options());
    (void)connection->handshake_failed(false); // puts the session back into the store
    co_return result;
}

asio::awaitable<explanation> explain(std::string host, std::string service, asio::ssl::context& tls,
                                     session_store& store, client_options options)
{
    return explain(std::move(host), std::move(service), client{tls, store, std::move(options)});
}

asio::awaitable<explanation> explain(std::string host, std::string service, asio::ssl::context& tls,
                                     session_store& store)
{
    return explain(std::move(host), std::move(service), tls, store, client_options{});
}

std::string to_string(explanation const& e)
{
    auto const& k = e.key;
    std::ostringstream out;
    out << "peer       " << k.host << ':' << k.service << ", SNI " << or_none(k.server_name) << ", ALPN "
        << or_none(joined(k.alpn)) << '\n';
    out << "route      " << (k.route.empty() ? "direct" : k.route) << '\n';
    out << "policy     " << short_digest(k.policy)
        << (e.is_shared ? ", shared by all contexts with this policy and tag\n" : ", of this ssl::context alone\n");
    out << "identity   " << (k.identity.empty() ? "none" : short_digest(k.identity)) << '\n';
    out << "partition  " << or_none(k.partition) << '\n';
    say_verdict(out, e);
    return std::move(out).str();
}

std::string_view advice(full_handshake_reason reason) noexcept
{
    switch (reason)
    {
    case full_handshake_reason::none: return "The handshake resumed a session.";
    case full_handshake_reason::disabled:
        return "This end keeps no sessions. Give the stream a session_store, or the session_cache a mode.";
    case full_handshake_reason::expired:
        return "The session's lifetime had ended. Reconnect sooner, or let the server set a longer session lifetime.";
    case full_handshake_reason::age_cap:
        return "The certificate was verified longer ago than max_session_age; a full handshake verifies it again.";
    case full_handshake_reason::chain_expired: return "A certificate behind the session has expired.";
    case full_handshake_reason::record_corrupt:
        return "A stored session did not decode, or was sealed with another key; it was dropped.";
    case full_handshake_reason::lookup_late:
        return "The store, or the revocation check, did not answer within lookup_timeout. Raise the timeout, or reduce "
               "the latency.";
    case full_handshake_reason::lookup_failed: return "The store, or the revocation check, reported an error.";
    case full_handshake_reason::nothing_stored:
        return "No session of this peer is stored. The next connection may resume.";
    case full_handshake_reason::unverified:
        return "The session was made without the verification that this stream requires.";
    case full_handshake_reason::declined:
        return "The server chose a full handshake. It may have restarted, changed its ticket keys or its policy, or it "
               "keeps no sessions.";
    case full_handshake_reason::not_offered: return "The client offered no session.";
    case full_handshake_reason::unknown_session:
        return "The storage does not have this session: it expired, was evicted, was used before, or is in another "
               "storage.";
    case full_handshake_reason::unknown_ticket_key:
        return "This server has no key that opens the ticket. All servers of a fleet need the same ticket keys.";
    case full_handshake_reason::policy_differs:
        return "There is a session of this peer, but under another policy, route or ALPN offer. Contexts share "
               "sessions only if they have the same policy_tag and the same configuration.";
    case full_handshake_reason::not_acceptable:
        return "The session was found, but its version, cipher or extended master secret does not fit this handshake.";
    case full_handshake_reason::identity_differs:
        return "There is a session of this peer, made with another client certificate or key, or with none.";
    case full_handshake_reason::tickets_in_use:
        return "All tickets of this peer are used or in use. Get more: raise request_tickets on the client, or "
               "num_tickets on a reprise server.";
    case full_handshake_reason::untrusted:
        return "The certificates behind the session do not verify against the current trust store.";
    case full_handshake_reason::name_differs:
        return "The certificate behind the session is not valid for this host. On a server: the session was made under "
               "another name.";
    case full_handshake_reason::revoked: return "A certificate behind the session has been revoked.";
    case full_handshake_reason::unrepeatable:
        return "A callback, a stapled response or certificate timestamps decide about the server. A resumption cannot "
               "repeat that check. For a callback that checks only certificates, declare a policy_tag.";
    case full_handshake_reason::alerted: return "The last connection that offered a session ended with a fatal alert.";
    case full_handshake_reason::not_resumable: return "The server sent no session that can be resumed.";
    case full_handshake_reason::old_protocol:
        return "The peer speaks TLS 1.0 or 1.1, whose sessions are not kept (RFC 8996). Use TLS 1.2 or 1.3.";
    case full_handshake_reason::external_psk:
        return "The connection used an external pre-shared key instead of a session. Its sessions are not kept.";
    }
    return "";
}

} // namespace reprise
