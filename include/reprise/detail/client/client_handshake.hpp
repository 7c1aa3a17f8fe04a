// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_handle.hpp>
#include <reprise/client_options.hpp>
#include <reprise/detail/net/peer_name.hpp>
#include <reprise/early_data.hpp>
#include <reprise/error.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/session_store.hpp>
#include <reprise/ssl_handles.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::detail {

class client_context;
struct context_policy;

/** The TLS side of a client_stream, without its socket: offers sessions, evaluates handshakes, captures new sessions.

    One object serves all connections of a stream, one after the other. OpenSSL's new-session callback finds the object
    through the SSL. So its address is fixed, and it must outlive each SSL that `begin` made.
*/
class client_handshake
{
public:
    explicit client_handshake(client const& of);
    client_handshake(client_handshake const&) = delete;
    client_handshake& operator=(client_handshake const&) = delete;

    /// Set how the peer is reached, for `session_scope::route`.
    void set_route(std::string route) { route_ = std::move(route); }

    /// A random number from 0 to 1, for the jitter of the delay before the next attempt.
    [[nodiscard]] double random();

    /// The SSL that the next `begin` will return, for settings of the caller. Of the options only `verify_peer` is
    /// applied yet.
    [[nodiscard]] SSL* prepare();

    /// Options of one connection.
    struct connection_options
    {
        std::optional<session> exactly{};                              ///< offer this session
        bool asks_store = true;                                        ///< otherwise offer one from the store
        early_data_reason early_reason = early_data_reason::not_asked; ///< until `plan_early` sets it
    };

    /** Make the SSL of a connection to this peer: with SNI, host check and ALPN. Fixes the session scope, and drops all
        state of the previous connection.

        @throws system_error `errc::settings_lost`, `errc::bad_option` for an ALPN protocol, errors of OpenSSL; and what
            `client_options::on_ssl` throws.
    */
    [[nodiscard]] ssl_ptr begin(host_name const& host, std::string const& service, connection_options options);

    /// Validate the names of a peer, then make an SSL with default options. @throws also system_error `errc::bad_host`,
    /// `errc::bad_service`.
    [[nodiscard]] ssl_ptr begin(std::string_view host, std::string_view service);

    /// The body of the ticket_request extension (RFC 9149, 3); empty if no tickets are requested.
    [[nodiscard]] byte_view ticket_request() const noexcept
    {
        return now_.ticket_request[0] != 0 ? byte_view{now_.ticket_request} : byte_view{};
    }
    [[nodiscard]] session_scope const& key() const noexcept { return now_.key; }

    [[nodiscard]] client_options const& options() const noexcept;
    [[nodiscard]] handshake_info const& info() const noexcept { return now_.info; }

    /** Choose a session and offer it if all checks pass; otherwise record why not.

        The session is `connection_options::exactly`, or one from the store that passes the caller's revocation check. A
        late or failing store or revocation check costs only the resumption.
    */
    [[nodiscard]] asio::awaitable<void> choose_session(SSL* ssl);

    /// The offered session. Empty if there is none; `reason` then says why.
    [[nodiscard]] std::optional<session> const& offered() const noexcept { return now_.offered; }
    [[nodiscard]] full_handshake_reason reason() const noexcept { return now_.reason; }

    /// Whether other contexts and processes may use the sessions of the current connection.
    [[nodiscard]] bool is_shared() const noexcept { return now_.is_shared; }

    /// Remove the sessions of this scope from the store, and record the reason there.
    [[nodiscard]] asio::awaitable<void> forget_session(full_handshake_reason why);

    /// Decide how many bytes of `wanted` are sent early, and return these first bytes. Call after `choose_session`.
    [[nodiscard]] byte_view plan_early(SSL* ssl, early_data const& wanted);

    /// Record how many bytes of early data OpenSSL has taken: all, or 0.
    void early_sent(std::size_t size) noexcept;

    /// Whether a connection whose handshake failed may be made again without early data, because the server has
    /// certainly not accepted any.
    [[nodiscard]] bool may_do_without_early(SSL const* ssl) const noexcept;

    /// Whether early data was sent. The server may have processed it.
    [[nodiscard]] bool has_sent_early() const noexcept { return now_.early_size != 0; }

    /// Record that the handshake succeeded. Everything is verified now, so sessions may be stored.
    void handshake_done(SSL* ssl);

    /// Record that the handshake failed. If nothing was sent, the ticket is put back into the store. Returns true if a
    /// reusable session (TLS 1.2) was sent, which the store must forget after a fatal alert.
    [[nodiscard]] bool handshake_failed(bool has_sent) noexcept;

    /// Whether the first ticket of the connection has not arrived yet.
    [[nodiscard]] bool awaits_ticket() const noexcept
    {
        return now_.keeps && now_.verified && !now_.captured && now_.info.protocol == tls_version::tls13;
    }

    /// Store the current session if the new-session callback has seen none (SSL_get1_session(3)). Call before
    /// close_notify is sent.
    void capture_before_shutdown(SSL* ssl);

    /// Why the server's certificate was not verified, after a handshake that failed with this error. Empty for other
    /// errors.
    [[nodiscard]] static std::string why_not_verified(SSL* ssl, error_code why);

    /// Record that connecting or the handshake failed. @param why Text for `failure`. @return The new `info`.
    handshake_info const& failed(std::string why);

    /// Report to the observer that connecting or the handshake failed, and is not retried.
    void count_failure(std::string const& host, error_code why) const noexcept;

    /// Whether the peer's close_notify has been read.
    [[nodiscard]] static bool peer_said_goodbye(SSL const* ssl) noexcept;

    /// Called by OpenSSL for each session that arrives. A session for which memory is missing is not stored.
    void on_new_session(SSL* ssl, SSL_SESSION const* live) noexcept;

private:
    // Settings of an SSL that the caller may have made, as far as OpenSSL tells.
    struct settings
    {
        std::array<unsigned char, 32> verification{};
        std::optional<std::array<unsigned char, 32>> offer{};
        std::string identity{};
        std::string server_name{};

        friend bool operator==(settings const&, settings const&) = default;
    };

    [[nodiscard]] ssl_ptr make_ssl();
    [[nodiscard]] std::string default_server_name(host_name const& host) const;
    void name_peer(SSL* ssl, host_name const& host) const;
    void forget_default_names(SSL* ssl, host_name const& host) const;
    [[nodiscard]] settings read_settings(SSL* ssl, bool may_differ);
    [[nodiscard]] std::string policy_of(SSL* ssl, settings const& s, bool may_differ);
    [[nodiscard]] std::string const& own_id();
    [[nodiscard]] std::shared_ptr<std::string const> verified_under() const;
    [[nodiscard]] bool is_repeatable(SSL const* ssl) const noexcept;
    [[nodiscard]] bool identity_is_known(SSL const* ssl) const noexcept;
    [[nodiscard]] bool used_external_psk(SSL* ssl) const;
    full_handshake_reason begin_origin(SSL* ssl);
    void ask_for_tickets() noexcept;
    /// Timeout of a lookup in the store. Zero, which is no limit, if the store is immediate.
    [[nodiscard]] std::chrono::milliseconds lookup_limit() const noexcept;

    [[nodiscard]] full_handshake_reason judge(SSL* ssl, session const& candidate) const;

    /// Offer this session if all checks pass; otherwise record why not.
    void offer(SSL* ssl, session const& candidate);

    /// Hand a copy of a session to the store. Returns false if the session cannot be resumed or memory is missing.
    bool keep(SSL_SESSION const* live) noexcept;

    std::shared_ptr<client_setup const> setup_;
    std::string route_;
    ssl_ptr prepared_;                       // made by prepare() for the next begin()
    bool has_lost_settings_ = false;         // later connections would lack settings of that SSL
    std::string own_id_;                     // random, unique to this stream; made when needed
    std::optional<std::minstd_rand> random_; // for the jitter of retries

    // The state of one connection; `begin` replaces all of it.
    struct connection
    {
        early_data_reason early_reason = early_data_reason::not_asked;
        session_scope key{};
        std::shared_ptr<context_policy const> policy{};
        // Context, policy and name under which the certificate is verified. Null if it must be verified before each
        // offer.
        std::shared_ptr<std::string const> verification{};
        bool keeps = false;
        bool is_shared = false;
        std::array<unsigned char, 2> ticket_request{};
        std::optional<session> exact{};
        bool asks_store = true;
        std::optional<session> offered{};
        ssl_session_ptr offered_copy{}; // the SSL's copy of offered
        bool is_exact = false;          // offered is not from the store
        std::size_t early_size = 0;
        full_handshake_reason reason = full_handshake_reason::nothing_stored;
        bool verified = false;
        bool captured = false;
        session_origin origin{};
        std::vector<ssl_session_ptr> unverified{}; // TLS 1.2: sessions that arrive before the handshake is done
        handshake_info info{};
    };
    connection now_;
};

/// Check whether `candidate` may be offered at `now`. @return `full_handshake_reason::none`, or why not.
[[nodiscard]] full_handshake_reason may_offer(session const& candidate, time_point now, std::chrono::seconds max_age,
                                              bool must_be_verified) noexcept;

} // namespace reprise::detail
