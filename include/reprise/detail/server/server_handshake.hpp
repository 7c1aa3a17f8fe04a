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

/// The steps of a server handshake, in order. Those marked "awaits" need an answer that only their caller can await.
enum class server_step
{
    read_hello,  ///< the ClientHello has not been read
    choose_host, ///< awaits the host selector: `use_host`
    enter_host,  ///< apply the host's settings
    fetch_keys,  ///< awaits the source of the ticket keys: `fetch_keys`, then `keys_fetched`
    plan_lookup, ///< decide what the storage can help with
    look_up,     ///< awaits the storage: `look_up`, then `found`; an immediate_storage is read on the way
    plan_guard,  ///< decide whether the replay guard has to know the first flight
    strike,      ///< awaits the replay guard: `strike_guard`, then `struck`
    proceed,     ///< everything is decided
    shake_hands, ///< OpenSSL goes on; a second ClientHello may follow (HelloRetryRequest)
    done,        ///< the handshake is complete, or early data is accepted
};

/// Which question to the storage can help a connection.
enum class lookup_kind
{
    none, ///< no session is offered, or one that a ticket key opens
    get,  ///< a TLS 1.2 session id, which may be used again
    take, ///< a TLS 1.3 stateful ticket, which may not (RFC 8446, C.4)
};

struct lookup_plan
{
    lookup_kind kind = lookup_kind::none;
    std::string name{};
    full_handshake_reason otherwise =
        full_handshake_reason::not_offered; ///< why the handshake runs in full if nothing else is found out
};

/// How a server is set up, as far as it decides what a ClientHello can be looked up by.
struct lookup_policy
{
    bool speaks_tls13 = true;
    bool tickets = true;
    bool storage = true;
    bool remembers = true; ///< a storage, or OpenSSL's own table
};

/// The session that OpenSSL will ask for when it goes on, and nothing else: a wasted lookup costs a round trip.
[[nodiscard]] lookup_plan plan_lookup(client_hello const& hello, lookup_policy const& policy);

/// Ask a selector in a way that owns what it uses: after the deadline it is left to itself, and the stream may go first.
[[nodiscard]] asio::awaitable<std::optional<session_cache>> ask(virtual_host_selector selector, client_hello hello);

/** One server handshake, without its socket: a state machine around an engine's that says what it needs.

    OpenSSL's callbacks find it through the SSL, so its address is fixed and it outlives the SSL.
*/
class server_handshake
{
public:
    explicit server_handshake(session_cache cache) : cache_(std::move(cache)) {}
    server_handshake(server_handshake const&) = delete;
    server_handshake& operator=(server_handshake const&) = delete;

    /// One that was begun and has not ended is a handshake that failed.
    ~server_handshake() { end(asio::error::operation_aborted); }

    /// The SSL for this connection, in accept state. Once.
    [[nodiscard]] ssl_ptr make_ssl();

    /// From here on a handshake counts. The selector is asked if `has_hosts`.
    void begin(bool has_hosts);

    /// Go on with the handshake, and hand the sessions that were made to the storage, behind it, on `ex`.
    [[nodiscard]] tls_result shake_hands(tls_engine& engine, asio::any_io_executor const& ex) noexcept;

    /// After early data, any step of the engine's may complete the handshake and make new sessions, to be stored.
    [[nodiscard]] bool has_new_sessions() const noexcept { return !new_sessions_.empty(); }
    void store_new_sessions(asio::any_io_executor const& ex) noexcept;

    [[nodiscard]] server_step step() const noexcept { return step_; }

    [[nodiscard]] client_hello const& hello() const noexcept { return hello_; }
    void use_host(timed_result<std::optional<session_cache>> const& answer);

    /// Let the source of the ticket keys fetch, at most for `lookup_timeout`.
    [[nodiscard]] asio::awaitable<timed_result<bool>> fetch_keys() const;
    void keys_fetched() noexcept;

    /// Read the storage, at most for `lookup_timeout`.
    [[nodiscard]] asio::awaitable<timed_result<with_epoch<std::optional<secret_bytes>>>> look_up() const;
    void found(timed_result<with_epoch<std::optional<secret_bytes>>> answer);

    /// Let the replay guard remember this first flight, at most for its `storage_timeout`.
    [[nodiscard]] asio::awaitable<strike> strike_guard() const;
    void struck(strike const& answer) noexcept;

    /// Go on without the answer that the current step awaits, because there was no memory for it.
    void skip_step() noexcept;

    /// The handshake is over, one way or the other; `why` is what it ends with.
    void end(error_code why) noexcept;

    /// What to say of a handshake that ended with `ec`.
    [[nodiscard]] error_code explain(error_code ec) const noexcept;
    [[nodiscard]] handshake_info const& info() const noexcept { return info_; }

    /// @name What OpenSSL's callbacks call
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

    /// How many tickets follow a full handshake, if the client has said how many it wants and is heard.
    [[nodiscard]] std::optional<unsigned> answer_to_ticket_request() const noexcept;
    [[nodiscard]] session_origin const& origin();
    [[nodiscard]] server_context& server() const noexcept { return *cache_.server(); }
    [[nodiscard]] std::array<unsigned char, 32> const& policy() const noexcept { return policy_; }
    /// @}

private:
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
    std::optional<session_cache> first_; // of the stream, if that is another
    SSL* ssl_ = nullptr;
    bool begun_ = false;
    bool has_hosts_ = false;
    bool host_refused_ = false;
    server_step step_ = server_step::read_hello;
    client_hello hello_;
    std::string constants_; // of it, that a HelloRetryRequest does not change
    lookup_plan plan_;
    ssl_session_ptr fetched_;
    storage_epoch fetched_in_; // of the storage when it was taken for early data
    full_handshake_reason reason_ = full_handshake_reason::not_offered;
    std::optional<session_origin> origin_; // of the session that was accepted, or of this full handshake
    bool is_fresh_ = false;                // origin_ is of this full handshake
    bool opened_ticket_ = false;
    bool tickets_ = false;            // this connection has them
    bool has_ticket_ = true;          // the session that is being made gets a ticket
    bool is_stateful_ = false;        // and its ticket is stateful
    std::optional<bool> is_external_; // the connection has used an external PSK
    bool no_memory_ = false;          // to read the ClientHello
    std::array<unsigned char, 32> policy_{};
    std::array<unsigned char, 32> id_context_{}; // of the policy and the server name
    std::optional<strike> strike_;
    std::optional<early_data_reason> early_judgement_;
    bool is_retried_ = false; // there was a HelloRetryRequest
    std::vector<session> new_sessions_;
    bool is_kept_ = false; // one of them was made
    handshake_info info_;
};

} // namespace reprise::detail
