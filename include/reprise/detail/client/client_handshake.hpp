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

/** The TLS side of a client_stream, without its socket: what is offered, what came of it, what is kept.

    One object serves all connections of a stream, one after the other. OpenSSL's new-session callback finds it through the
    SSL, so its address is fixed and it outlives each SSL that `begin` made.
*/
class client_handshake
{
public:
    explicit client_handshake(client const& of);
    client_handshake(client_handshake const&) = delete;
    client_handshake& operator=(client_handshake const&) = delete;

    /// How the peer is reached, for the session_scope.
    void set_route(std::string route) { route_ = std::move(route); }

    /// A random number from 0 to 1, for the delay before another attempt.
    [[nodiscard]] double random();

    /// The SSL of the next `begin`, for settings of the caller's. It has what options say, and no peer yet.
    [[nodiscard]] SSL* prepare();

    /// How one connection differs from others of the same stream.
    struct connection_options
    {
        std::optional<session> exactly{};                              ///< resume this session
        bool asks_store = true;                                        ///< or else one from the store
        early_data_reason early_reason = early_data_reason::not_asked; ///< until `plan_early` knows better
    };

    /// A new SSL for a connection to this peer: SNI, host check, ALPN. The session scope is fixed from here on. All state of
    /// the connection before is dropped.
    [[nodiscard]] ssl_ptr begin(host_name const& host, std::string const& service, connection_options options);

    /// A new SSL for a connection to a peer that a caller has named. @throws system_error `errc::bad_host`, `errc::bad_service`.
    [[nodiscard]] ssl_ptr begin(std::string_view host, std::string_view service);

    /// The body of the ticket_request extension (RFC 9149, 3); empty if nothing is asked for.
    [[nodiscard]] byte_view ticket_request() const noexcept
    {
        return now_.ticket_request[0] != 0 ? byte_view{now_.ticket_request} : byte_view{};
    }
    [[nodiscard]] session_scope const& key() const noexcept { return now_.key; }

    [[nodiscard]] client_options const& options() const noexcept;
    [[nodiscard]] handshake_info const& info() const noexcept { return now_.info; }

    /** Ask the store, and the caller's revocation check, and offer what they give if every rule allows it; else note why not.

        A store or a check that is late or fails costs a resumption and nothing else.
    */
    [[nodiscard]] asio::awaitable<void> choose_session(SSL* ssl);

    /// What it has chosen, and why not, if nothing.
    [[nodiscard]] std::optional<session> const& offered() const noexcept { return now_.offered; }
    [[nodiscard]] full_handshake_reason reason() const noexcept { return now_.reason; }

    /// Whether sessions of the current connection may be used by other contexts and processes.
    [[nodiscard]] bool is_shared() const noexcept { return now_.is_shared; }

    /// Drop the sessions of this peer, and let the store remember why.
    [[nodiscard]] asio::awaitable<void> forget_session(full_handshake_reason why);

    /// Decide how much goes early, after what is offered has been decided: the first bytes, so many, of `wanted`.
    [[nodiscard]] byte_view plan_early(SSL* ssl, early_data const& wanted);

    /// So many OpenSSL has taken: all of them, or none.
    void early_sent(std::size_t size) noexcept;

    /// A connection with early data has failed in its handshake, and it is certain that the server has not accepted any: it
    /// may be made again without.
    [[nodiscard]] bool may_do_without_early(SSL const* ssl) const noexcept;

    /// Whether early data was sent, which the server may have processed.
    [[nodiscard]] bool has_sent_early() const noexcept { return now_.early_size != 0; }

    /// The handshake succeeded: everything was verified, so sessions may be kept from now on.
    void handshake_done(SSL* ssl);

    /// The handshake failed. A ticket of which nothing was sent goes back to the store. True if a reusable session had been
    /// offered, which the store must forget after an alert.
    [[nodiscard]] bool handshake_failed(bool has_sent) noexcept;

    /// The connection's first ticket is still to come.
    [[nodiscard]] bool awaits_ticket() const noexcept
    {
        return now_.keeps && now_.verified && !now_.captured && now_.info.protocol == tls_version::tls13;
    }

    /// Keep what the callback has not seen (SSL_get1_session(3)). Before close_notify is sent.
    void capture_before_shutdown(SSL* ssl);

    /// Why a handshake that failed with this error has not verified the server's certificate. Empty for other errors.
    [[nodiscard]] static std::string why_not_verified(SSL* ssl, error_code why);

    /// Connecting or shaking hands has failed. @return What `info` is from here on.
    handshake_info const& failed(std::string why);

    /// Connecting or shaking hands has failed for good.
    void count_failure(std::string const& host, error_code why) const noexcept;

    /// The peer's close_notify has been read.
    [[nodiscard]] static bool peer_said_goodbye(SSL const* ssl) noexcept;

    /// Called by OpenSSL for each session that arrives. One that there is no memory for is not kept.
    void on_new_session(SSL* ssl, SSL_SESSION const* live) noexcept;

private:
    // What of an SSL is or may be the caller's, as far as OpenSSL tells.
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
    /// How long to wait for the store; zero for one that answers at once.
    [[nodiscard]] std::chrono::milliseconds lookup_limit() const noexcept;

    [[nodiscard]] full_handshake_reason judge(SSL* ssl, session const& candidate) const;

    /// Offer this session if every rule allows it; else note why not.
    void offer(SSL* ssl, session const& candidate);

    /// Hand a copy of a session to the store. False, if it cannot be resumed or there is no memory for it.
    bool keep(SSL_SESSION const* live) noexcept;

    std::shared_ptr<client_setup const> setup_;
    std::string route_;
    ssl_ptr prepared_;                       // of prepare(), until it is used
    bool has_lost_settings_ = false;         // which were made on that one
    std::string own_id_;                     // unlike that of any other stream; made when it is needed
    std::optional<std::minstd_rand> random_; // for the waits between attempts

    // The state of one connection; `begin` replaces all of it.
    struct connection
    {
        early_data_reason early_reason = early_data_reason::not_asked;
        session_scope key{};
        std::shared_ptr<context_policy const> policy{};
        // What the certificate is verified under: policy and name. Null if it is to be verified for each offer.
        std::shared_ptr<std::string const> verification{};
        bool keeps = false;
        bool is_shared = false;
        std::array<unsigned char, 2> ticket_request{};
        std::optional<session> exact{};
        bool asks_store = true;
        std::optional<session> offered{};
        ssl_session_ptr offered_copy{}; // the copy of offered that the SSL has
        bool is_exact = false;          // offered is not from the store
        std::size_t early_size = 0;
        full_handshake_reason reason = full_handshake_reason::nothing_stored;
        bool verified = false;
        bool captured = false;
        session_origin origin{};
        std::vector<ssl_session_ptr> unverified{}; // TLS 1.2 delivers its session before the handshake is done
        handshake_info info{};
    };
    connection now_;
};

/// Whether `candidate` may be offered at `now`: `full_handshake_reason::none`, or why not.
[[nodiscard]] full_handshake_reason may_offer(session const& candidate, time_point now, std::chrono::seconds max_age,
                                              bool must_be_verified) noexcept;

} // namespace reprise::detail
