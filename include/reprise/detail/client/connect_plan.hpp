// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>
#include <reprise/retry_options.hpp>

#include <chrono>
#include <cstddef>

namespace reprise::detail {

/// What a client does next on its way to a connection.
enum class connect_step
{
    resolve,        ///< find the endpoints of the host, or of the proxy
    call_connector, ///< let the caller's function connect the next layer
    connect,        ///< connect TCP: the endpoints race (RFC 8305)
    connect_fast,   ///< connect TCP with Fast Open, one endpoint after the other
    ask_proxy,      ///< send the proxy a CONNECT request, that of number `proxy_request()`
    shake_hands,    ///< TLS, with early data if `sends_early()`
    drain,          ///< read what the server sent before it closed, to learn whether it refused early data
    send_rest,      ///< send after the handshake what did not go early
    pause,          ///< wait for `delay()`, then begin the next attempt
    done,           ///< connected
    failed,         ///< for good, with `error()`
};

/// What a connection is to be made with; it does not change while the connection is made.
struct connect_task
{
    bool is_connected = false;      ///< the caller has connected the next layer: only TLS is missing
    bool has_connector = false;     ///< the caller connects by a function
    bool is_proxied = false;        ///< an HTTP proxy connects to the host
    std::size_t proxy_requests = 0; ///< hosts, or addresses of the host, that the proxy can be asked for
    bool fast_open = false;         ///< use TCP Fast Open where it works
    bool sends_early = false;       ///< there is early data
    bool sends_rest = false;        ///< and what is not accepted early follows the handshake
    bool is_only_attempt = false;   ///< the session that is offered is not there a second time
    retry_options retry{};
};

/// How a step ended.
struct connect_progress
{
    error_code ec{};         ///< of the step
    bool has_thrown = false; ///< the step threw, so nothing is known of the peer
    bool is_late = false;    ///< `connect_timeout` is over
    bool is_stopped = false; ///< the stream was closed meanwhile
    bool may_go_without_early =
        false;                     ///< after shake_hands and drain: the server has certainly not accepted early data
    bool may_be_processed = false; ///< early data was sent, which the server may have processed
    std::chrono::nanoseconds elapsed{}; ///< since the first attempt began
    double random = 0;                  ///< 0 to 1, for the jitter of the delay
};

/** Decides what a client does on its way to a connection. It has no socket and no clock, and decides nothing twice.

        for (connect_plan plan{task}; plan.step() != connect_step::done; )
            plan.ended(co_await perform(plan.step()));
*/
class connect_plan
{
public:
    explicit connect_plan(connect_task task);

    [[nodiscard]] connect_step step() const noexcept { return step_; }

    /// The step has ended. @pre Neither `done` nor `failed`.
    void ended(connect_progress const& how);

    [[nodiscard]] bool sends_early() const noexcept { return early_; }
    [[nodiscard]] std::size_t proxy_request() const noexcept { return proxy_request_; }
    [[nodiscard]] std::chrono::milliseconds delay() const noexcept { return delay_; }
    [[nodiscard]] error_code error() const noexcept { return error_; }

    /// Attempts begun, this one included.
    [[nodiscard]] unsigned attempt() const noexcept { return attempt_; }

    /// Whether the current step begins an attempt, with its own `connect_timeout`.
    [[nodiscard]] bool begins_attempt() const noexcept { return begins_attempt_; }

    /// Whether this attempt goes without the early data that an earlier connection of it has tried.
    [[nodiscard]] bool has_dropped_early() const noexcept { return task_.sends_early && !early_; }

private:
    void begin_attempt();
    void begin_connection();
    void fail(error_code ec, connect_progress const& how);

    connect_task const task_;
    connect_step step_ = connect_step::failed;
    unsigned attempt_ = 0;
    bool begins_attempt_ = false;
    bool early_ = false;     // of this connection
    bool fast_open_ = false; // of this connection
    std::size_t proxy_request_ = 0;
    std::chrono::milliseconds delay_{0};
    error_code error_{};
};

} // namespace reprise::detail
