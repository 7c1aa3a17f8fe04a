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
    connect,        ///< connect TCP, to the endpoints in parallel (RFC 8305)
    connect_fast,   ///< connect TCP with Fast Open, one endpoint after the other
    ask_proxy,      ///< send CONNECT request number `proxy_request()` to the proxy
    shake_hands,    ///< run the TLS handshake, with early data if `sends_early()`
    drain,          ///< read what the server sent before it closed, to learn whether it refused early data
    send_rest,      ///< after the handshake, send the bytes that were not accepted early
    pause,          ///< wait for `delay()`, then begin the next attempt
    done,           ///< connected
    failed,         ///< failed with `error()`; no retry
};

/// How a connection is to be made. Constant while the connection is made.
struct connect_task
{
    bool is_connected = false;      ///< the caller has connected the next layer: only TLS is missing
    bool has_connector = false;     ///< a function of the caller connects the next layer
    bool is_proxied = false;        ///< an HTTP proxy connects to the host
    std::size_t proxy_requests = 0; ///< number of hosts, or addresses of the host, to ask the proxy for
    bool fast_open = false;         ///< use TCP Fast Open where it works
    bool sends_early = false;       ///< there is early data
    bool sends_rest = false;        ///< bytes that are not accepted early follow the handshake
    bool is_only_attempt = false;   ///< no retry: the next layer or the session is the caller's
    retry_options retry{};
};

/// How a step ended.
struct connect_progress
{
    error_code ec{};                    ///< result of the step
    bool has_thrown = false;            ///< the step threw, so nothing is known about the peer
    bool is_late = false;               ///< `connect_timeout` has expired
    bool is_stopped = false;            ///< the stream was closed meanwhile
    bool may_go_without_early = false;  ///< after drain: the server has certainly not accepted early data
    bool may_be_processed = false;      ///< early data was sent, which the server may have processed
    std::chrono::nanoseconds elapsed{}; ///< since the first attempt began
    double random = 0;                  ///< 0 to 1, for the jitter of the delay
};

/** Decides each step of a client on its way to a connection. Has no socket and no clock.

        connect_plan plan{task};
        while (plan.step() != connect_step::done && plan.step() != connect_step::failed)
            plan.ended(co_await perform(plan.step()));
*/
class connect_plan
{
public:
    explicit connect_plan(connect_task task);

    [[nodiscard]] connect_step step() const noexcept { return step_; }

    /// Choose the next step, after the current one has ended. @pre The current step is neither `done` nor `failed`.
    void ended(connect_progress const& how);

    [[nodiscard]] bool sends_early() const noexcept { return early_; }
    [[nodiscard]] std::size_t proxy_request() const noexcept { return proxy_request_; }
    [[nodiscard]] std::chrono::milliseconds delay() const noexcept { return delay_; }
    [[nodiscard]] error_code error() const noexcept { return error_; }

    /// Number of attempts that have begun, the current one included.
    [[nodiscard]] unsigned attempt() const noexcept { return attempt_; }

    /// Whether the current step begins an attempt, with its own `connect_timeout`.
    [[nodiscard]] bool begins_attempt() const noexcept { return begins_attempt_; }

    /// Whether this attempt goes on without early data, after one of its connections has sent some.
    [[nodiscard]] bool has_dropped_early() const noexcept { return task_.sends_early && !early_; }

private:
    void begin_attempt();
    void begin_connection();
    void fail(error_code ec, connect_progress const& how);

    connect_task const task_;
    connect_step step_ = connect_step::failed;
    unsigned attempt_ = 0;
    bool begins_attempt_ = false;
    bool early_ = false;     // for the current connection
    bool fast_open_ = false; // for the current connection
    std::size_t proxy_request_ = 0;
    std::chrono::milliseconds delay_{0};
    error_code error_{};
};

} // namespace reprise::detail
