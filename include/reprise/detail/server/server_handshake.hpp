// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_hello.hpp>
#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/detail/server/strike.hpp>
#include <reprise/detail/stream/tls_engine.hpp>
#include <reprise/error.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/server_options.hpp>
#include <reprise/session.hpp>
#include <reprise/session_cache.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace reprise::detail {

/// The steps of a server handshake, in order. The caller must await the answer that a step marked "awaits" needs.
enum class server_step
{
    read_hello,  ///< the ClientHello has not been read
    choose_host, ///< awaits the host selector: `use_host`
    refuse_host, ///< there is no such host: an alert ends the handshake
    enter_host,  ///< apply the host's settings
    fetch_keys,  ///< awaits the source of the ticket keys: `fetch_keys`, then `keys_fetched`
    plan_lookup, ///< decide which lookup in the storage can help
    look_up,     ///< awaits the storage: `look_up`, then `found`; an immediate_storage is read without awaiting
    plan_guard,  ///< decide whether the replay guard must check the first flight
    strike,      ///< awaits the replay guard: `strike_guard`, then `struck`
    proceed,     ///< everything is decided
    shake_hands, ///< OpenSSL continues; a second ClientHello may follow (HelloRetryRequest)
    done,        ///< the handshake is complete, or early data is accepted
};

/// Which lookup in the storage can help a connection.
enum class lookup_kind
{
    none, ///< no session is offered, the storage cannot have it, or a ticket key opens it
    get,  ///< a TLS 1.2 session id, which may be used again
    take, ///< a TLS 1.3 stateful ticket, for a single use (RFC 8446, C.4)
};

struct lookup_plan
{
    lookup_kind kind = lookup_kind::none;
    std::string name{};
    full_handshake_reason otherwise =
        full_handshake_reason::not_offered; ///< reason for a full handshake, unless the lookup finds another
};

/// The settings of a server that decide how the session of a ClientHello is looked up.
struct lookup_policy
{
    bool speaks_tls13 = true;
    bool tickets = true;
    bool storage = true;
    bool remembers = true; ///< sessions are stored: in a storage, or in OpenSSL's own table
};

/// Plan the lookup of the session that OpenSSL will ask for when it continues. No other lookup is made, because a
/// wasted lookup costs a round trip.
[[nodiscard]] lookup_plan plan_lookup(client_hello const& hello, lookup_policy const& policy);

/// Ask a selector. The operation owns its arguments: on timeout it is detached, and may then outlive the stream.
[[nodiscard]] asio::awaitable<std::optional<session_cache>> ask(virtual_host_selector selector, client_hello hello);

/** One server handshake, without its socket: a state machine around a tls_engine that tells which answer it needs.

    OpenSSL's callbacks find the object through the SSL. So its address is fixed, and it must outlive the SSL.
*/
class server_handshake
{
public:
    explicit server_handshake(session_cache cache) : cache_(std::move(cache)) {}
    server_handshake(server_handshake const&) = delete;
    server_handshake& operator=(server_handshake const&) = delete;

    /// Count a handshake that has begun and not ended as failed.
    ~server_handshake() { end(asio::error::operation_aborted); }

    /// Make the SSL of this connection, in accept state. Call once.
    [[nodiscard]] ssl_ptr make_ssl();

    /// Begin the handshake, which counts from now on. The selector is asked if `has_hosts`.
    void begin(bool has_hosts);

    /// Continue the handshake. New sessions are written to the storage in the background, on `ex`.
    [[nodiscard]] tls_result shake_hands(tls_engine& engine, asio::any_io_executor const& ex) noexcept;

    /// Whether new sessions must be stored. After early data, any step of the engine may complete the handshake and
    /// make them.
    [[nodiscard]] bool has_new_sessions() const noexcept { return !new_sessions_.empty(); }
    void store_new_sessions(asio::any_io_executor const& ex) noexcept;

    [[nodiscard]] server_step step() const noexcept { return step_; }

    [[nodiscard]] client_hello const& hello() const noexcept { return hello_; }
    void use_host(timed_result<std::optional<session_cache>> const& answer);

    /// Fetch the ticket keys from their source, for at most `lookup_timeout`.
    [[nodiscard]] asio::awaitable<timed_result<bool>> fetch_keys() const;
    void keys_fetched() noexcept;

    /// Look up the session in the storage, for at most `lookup_timeout`.
    [[nodiscard]] asio::awaitable<timed_result<with_epoch<std::optional<secret_bytes>>>> look_up() const;
    void found(timed_result<with_epoch<std::optional<secret_bytes>>> answer);

    /// Record this first flight in the replay guard, for at most its `storage_timeout`.
    [[nodiscard]] asio::awaitable<strike> strike_guard() const;
    void struck(strike const& answer) noexcept;

    /// Continue without the answer that the current step awaits, because memory for it was missing.
    void skip_step() noexcept;

    /// End the handshake. If it is not done, count it as failed with `why`.
    void end(error_code why) noexcept;

    /// The error to report for a handshake that failed with `ec`: `errc::unknown_host`, if its host was refused.
    [[nodiscard]] error_code explain(error_code ec) const noexcept;
    [[nodiscard]] handshake_info const& info() const noexcept { return info_; }

    /// @name Called by OpenSSL's callbacks
    /// @{
    int on_client_hello(SSL* ssl, int* alert);
    SSL_SESSION* on_get_session(byte_view id) const noexcept;
    void on_new_session(SSL_SESSION* live) noexcept;
    [[nodiscard]] full_handshake_reason check_policy(SSL_SESSION* candidate, session_origin const& origin) const;
    void on_ticket(full_handshake_reason judgement, session_origin const& origin) noexcept;
    void on_session_offered(SSL_SESSION const* offered) noexcept;
    void on_ticket_sealing(SSL_SESSION* made, bool is_wanted) noexcept;
    [[nodiscard]] bool seals_ticket() noexcept;
    [[nodiscard]] bool used_external_psk();
    void on_no_memory() noexcept { no_memory_ = true; }
    [[nodiscard]] bool allows_early_data() noexcept;

    /// How many tickets follow a full handshake. Empty if the client requested no number, or requests are ignored.
    [[nodiscard]] std::optional<unsigned> answer_to_ticket_request() const noexcept;
    [[nodiscard]] session_origin const& origin();
    [[nodiscard]] server_context& server() const noexcept { return *cache_.server(); }
    [[nodiscard]] std::array<unsigned char, 32> const& policy() const noexcept { return policy_; }
    /// @}

private:
    // The ticket that is being made for the new session.
    struct made_ticket
    {
        bool is_wanted = true;
        bool is_stateful = false;
    };

    int on_renegotiation(SSL* ssl, int* alert);
    [[nodiscard]] bool apply_host();
    void apply_groups();
    void keep_for_storage(SSL_SESSION* made) noexcept;
    void keep_out_of_table(SSL_SESSION* s) const noexcept;
    void plan_keys(bool may_ask);
    void plan_storage_lookup();
    void look_up_now() noexcept;
    void consider(session const& stored);
    void plan_guard();
    [[nodiscard]] early_data_reason judge_early_data() const;
    [[nodiscard]] early_data_reason why_no_early_data() const;
    void finish();
    void forget_offers() noexcept;

    session_cache cache_;                // of the current host
    std::optional<session_cache> first_; // of the stream, if the host has another
    SSL* ssl_ = nullptr;
    bool begun_ = false;
    bool has_hosts_ = false;
    server_step step_ = server_step::read_hello;
    client_hello hello_;
    std::string constants_; // parts of hello_ that a HelloRetryRequest must not change
    lookup_plan plan_;
    ssl_session_ptr fetched_;
    storage_epoch fetched_in_; // epoch of the storage when fetched_ was taken for early data
    full_handshake_reason reason_ = full_handshake_reason::not_offered;
    std::optional<session_origin> offered_origin_; // of the session that OpenSSL may accept
    std::optional<session_origin> fresh_origin_;   // of this full handshake
    bool opened_ticket_ = false;
    bool tickets_ = false; // this connection uses tickets
    std::optional<made_ticket> made_ticket_;
    std::optional<bool> is_external_; // the connection has used an external PSK
    bool no_memory_ = false;          // memory for reading the ClientHello was missing
    std::array<unsigned char, 32> policy_{};
    std::array<unsigned char, 32> id_context_{}; // of the policy and the server name
    std::optional<strike> strike_;
    std::optional<early_data_reason> early_judgement_;
    bool is_retried_ = false; // there was a HelloRetryRequest
    std::vector<session> new_sessions_;
    bool is_kept_ = false; // a session for the storage was made
    handshake_info info_;
};

} // namespace reprise::detail
