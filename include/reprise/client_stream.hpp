// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/client_handle.hpp>
#include <reprise/client_options.hpp>
#include <reprise/connect_options.hpp>
#include <reprise/default_socket.hpp>
#include <reprise/detail/async/default_token.hpp>
#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/async/initiation.hpp>
#include <reprise/detail/async/watchdog.hpp>
#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/detail/client/client_handshake.hpp>
#include <reprise/detail/client/connect_plan.hpp>
#include <reprise/detail/client/transport.hpp>
#include <reprise/detail/net/lowest_socket.hpp>
#include <reprise/detail/net/probe.hpp>
#include <reprise/detail/stream/coalesce.hpp>
#include <reprise/detail/stream/shut_down.hpp>
#include <reprise/detail/stream/tls_stream.hpp>
#include <reprise/early_data.hpp>
#include <reprise/error.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/session_store.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

// Beast declares this type in <boost/beast/core/role.hpp>. Beast passes it to the teardown functions below.
namespace boost::beast {
enum class role_type;
}

namespace reprise {

/** A TLS client stream that resumes sessions.

    Satisfies Asio's AsyncReadStream and AsyncWriteStream, so that asio::async_read and Beast's HTTP and WebSocket work
    on it. Sessions go to the session_store as they arrive. A connection that is truncated, reset, cancelled or
    destroyed loses no session that has arrived.

    @tparam NextLayer A TCP socket, or layers on top of one, such as beast::tcp_stream.

    Every operation takes any completion token, and awaits if none is given. Unless stated otherwise, an operation
    supports `terminal` cancellation. After a cancelled operation only `close`, `async_reconnect` and destruction are
    useful. An operation awaited with `use_awaitable` is a part of the coroutine, and obeys the cancellation types that
    the coroutine has enabled.

    @par Object Lifetimes
    The ssl::context must outlive the stream, because the context owns the verify callback. Configure the context before
    making the first `client` or stream from it. Later changes apply to sessions from then on; see `policy_changed`. The
    store is held by shared ownership. The stream must outlive its operations.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe; if several threads run the io_context, use a strand as executor.
*/
template <class NextLayer = default_socket>
class client_stream
{
public:
    using next_layer_type = NextLayer;
    using executor_type = typename NextLayer::executor_type;

    /// Completion token of an operation that is given none: the default of the executor, otherwise `use_awaitable`.
    using default_token = detail::default_token_t<executor_type>;

    /// This stream's type for another executor type, as for Asio's I/O objects.
    template <class Executor>
    struct rebind_executor
    {
        using other = client_stream<typename NextLayer::template rebind_executor<Executor>::other>;
    };

    using lowest_layer_type = std::remove_reference_t<decltype(detail::lowest_socket(std::declval<NextLayer&>()))>;
    using native_handle_type = SSL*;

    /** Construct a stream that is not connected.

            client_stream<> a{io, shop};                      // shop: a client that many streams share
            client_stream<> b{std::move(socket), tls, store}; // the arguments of a client of its own

        @param from A next layer, or the argument of its constructor: an executor, or an execution context such as an
            io_context. A next layer that is already connected is for `async_handshake`.
        @param what A `client`, or the arguments of one of its constructors.
        @throws system_error `errc::bad_option`, as the constructors of `client`.
    */
    template <class From, class... What>
        requires(std::constructible_from<NextLayer, From> && std::constructible_from<client, What...>)
    client_stream(From&& from, What&&... what)
        : impl_(std::make_shared<impl>(NextLayer{std::forward<From>(from)}, client{std::forward<What>(what)...}))
    {
    }

    /// Construct a stream that is not connected, with options in braces. If the same expression awaits, give the
    /// options a name first, because GCC 12 copies an aggregate temporary bit by bit there.
    template <class From>
        requires(std::constructible_from<NextLayer, From>)
    client_stream(From&& from, asio::ssl::context& tls, session_store& store, client_options options)
        : impl_(std::make_shared<impl>(NextLayer{std::forward<From>(from)}, client{tls, store, std::move(options)}))
    {
    }

    client_stream(client_stream&&) noexcept = default;

    /// Close the connection of this stream, as its destructor does, and take over `other`.
    client_stream& operator=(client_stream&& other) noexcept
    {
        client_stream taken{std::move(other)};
        impl_.swap(taken.impl_);
        return *this;
    }

    /// Close the socket, without close_notify. Pending operations end with `asio::error::operation_aborted`.
    ~client_stream()
    {
        if (impl_)
            impl_->stop();
    }

    [[nodiscard]] executor_type get_executor() noexcept { return impl_->next.get_executor(); }
    [[nodiscard]] next_layer_type& next_layer() noexcept { return impl_->next; }
    [[nodiscard]] next_layer_type const& next_layer() const noexcept { return impl_->next; }

    /// The TCP socket at the bottom of the layers.
    [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return detail::lowest_socket(impl_->next); }

    /** The SSL of the current or last connection; before the first one, the SSL of the connection to come. Never null.

        Each connect or reconnect uses a new SSL. Settings made here before the first connection, such as
        SSL_set_tlsext_host_name(3), apply to that connection only. A later connection that would lack them fails with
        `errc::settings_lost`. Make settings for all connections in `client_options::on_ssl`.
    */
    [[nodiscard]] native_handle_type native_handle()
    {
        return impl_->tls ? impl_->tls->engine.native_handle() : impl_->connection.prepare();
    }

    /// Outcome of the last handshake: resumed or not, and why not.
    [[nodiscard]] handshake_info const& handshake() const noexcept { return impl_->connection.info(); }

    /// Scope under which the sessions of the current or last connection are stored; empty before the first connect. A
    /// protocol that must resume the session of a parallel connection keeps a separate store and calls
    /// `store->take(stream.key())`.
    [[nodiscard]] session_scope const& key() const noexcept { return impl_->connection.key(); }

    /// Whether the connection is alive, as far as can be told without waiting: the peer has neither closed nor reset
    /// it. Reads what has arrived, up to 64 KiB. Tickets go to the store, a close_notify counts as closed, and data
    /// stays for the next read.
    [[nodiscard]] bool is_open() { return impl_->probe() != condition::closed; }

    /// Whether the connection is open and no data waits to be read, as is due between two requests of HTTP/1.1
    /// (RFC 9112, 6.3). Reads what has arrived, as `is_open` does.
    [[nodiscard]] bool is_idle() { return impl_->probe() == condition::idle; }

    /** Replace resolving and TCP connecting by a function of the caller, for example for SOCKS, a tunnel, or an address
        that is known otherwise.

        async_connect and async_reconnect call it as
        `asio::awaitable<void>(NextLayer&, std::string host, std::string service)`. The function throws system_error if
        it fails. After `client_options::connect_timeout`, and by close(), the function is cancelled (`terminal`) and
        the socket of the next layer is closed. The caller's cancellation is passed on to the function. The operation
        ends after the function has ended, because the function uses the stream.

        @param route Name of this route. Its sessions are stored apart from those of direct connections.
        @param connect The function.
        @throws system_error `errc::bad_option`, if the route is empty or there is no function.
    */
    template <class Connect>
        requires(std::constructible_from<typename detail::transport<NextLayer>::connector, Connect>)
    void set_connector(std::string route, Connect connect)
    {
        typename detail::transport<NextLayer>::connector function{std::move(connect)};
        if (route.empty() || !function)
            throw system_error{errc::bad_option, "set_connector: neither the route nor the function may be empty"};
        impl_->connection.set_route(std::move(route));
        impl_->way.connect_as_told = std::move(function);
    }

    /** Resolve the host, connect and shake hands. Resumes if the store has a usable session.

        If the server declines the session, the handshake runs in full and the operation succeeds. A slow or failing
        store also costs only the resumption; `handshake_info::reason` says so.

        @param host DNS name, IPv4 address, or IPv6 address, which may have a zone. SNI and the certificate check use
            the host, unless the options say otherwise. A final dot makes a name absolute for the resolver.
        @param service Port number or service name.

        @par Completion Signature
        @code void(error_code, handshake_info) @endcode

        @par Per-Operation Cancellation
        `terminal`. Afterwards the stream is closed and can be connected again. A ticket that may have been sent is not
        put back into the store, because a ticket should not be offered twice (RFC 8446, C.4).

        @par Errors
        @li `errc::bad_host`, `errc::bad_service`. Nothing is sent, and `handshake_info::failure` says what is wrong.
        @li `errc::already_connected`, if the stream is open. Nothing is sent.
        @li `errc::operation_in_progress`, if the stream is connecting. That operation continues.
        @li `errc::settings_lost`: see `native_handle`.
        @li `asio::error::timed_out` after `client_options::connect_timeout`. A lookup in progress may add its
            `lookup_timeout`. With `client_options::retry` the timeout is for each attempt.
        @li `errc::proxy_refused`, `proxy_authentication_required`, `proxy_malformed`, `proxy_failed`, with
            `client_options::proxy`. `errc::bad_option`, if the proxy cannot be asked for this host or service.
        @li Resolver, socket and OpenSSL errors, unchanged, in their own categories. The stream is closed. If the
            server's certificate was not verified, `handshake_info::failure` says why.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_connect(std::string_view host, std::string_view service, Token&& token = {})
    {
        return async_connect(host, service, connect_options{}, std::forward<Token>(token));
    }

    /** Resolve the host, connect and shake hands, as `options` say.

        With early data the operation completes when the handshake is complete and all bytes are sent (unless
        `send_rest` is false). `handshake_info::early_data` says whether the server accepted early data, and
        `early_reason` why not. Before early data is offered, everything that can be known is checked: the session's
        limit and age, ALPN, SNI and the cipher suite. If the connection fails because the server declined early data,
        for example by negotiating TLS 1.2, it is made once more without early data. If the operation fails, the server
        may still have processed the bytes.

        With `connect_options::exactly`, connecting is not retried. If the session is not usable or is declined, the
        handshake runs in full.

        Completion, cancellation and errors are those of `async_connect` without options.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_connect(std::string_view host, std::string_view service, connect_options options, Token&& token = {})
    {
        return connect(peer_of(host, service, options), request_of(options), std::forward<Token>(token));
    }

    /** Shake hands on a next layer that the caller has connected, for example through a proxy.

        Like async_connect, but without resolving, connecting and retries. `host` and `service` name the peer for the
        certificate check and for the store. A later `async_reconnect` makes its own connection to this peer.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_handshake(std::string_view host, std::string_view service, Token&& token = {})
    {
        return async_handshake(host, service, connect_options{}, std::forward<Token>(token));
    }

    /// Shake hands on a connected next layer, as `options` say. A connection that fails because of early data is not
    /// made again. A later `async_reconnect` uses `connect_options::endpoints`.
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_handshake(std::string_view host, std::string_view service, connect_options options, Token&& token = {})
    {
        return handshake_on_next_layer(peer_of(host, service, options), request_of(options),
                                       std::forward<Token>(token));
    }

    /** Connect again to the same peer. Resumes if the store has a usable session.

        Makes a new TLS stream, because the old one keeps state of its last connection. A connection that the peer has
        closed or reset need not be shut down first.

        Completion, cancellation and errors as for async_connect, and
        @li `errc::never_connected`, if there is no peer yet;
        @li `errc::already_connected`, if the connection is alive. Shut it down first.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_reconnect(Token&& token = {})
    {
        return connect(std::nullopt, {}, std::forward<Token>(token));
    }

    /// Connect again to the same peer, as `options` say. `connect_options::endpoints` is ignored here: a reconnect uses
    /// the endpoints of the last `async_connect` or `async_handshake`, or else resolves the host again.
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_reconnect(connect_options options, Token&& token = {})
    {
        return connect(std::nullopt, request_of(options), std::forward<Token>(token));
    }

    /// @name The names of 0.1
    /// @{
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    [[deprecated("connect_options::exactly")]]
    auto async_connect(std::string_view host, std::string_view service, session exactly, Token&& token = {})
    {
        return async_connect(host, service, connect_options{.exactly = &exactly}, std::forward<Token>(token));
    }

    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    [[deprecated("connect_options::exactly")]]
    auto async_connect(std::string_view host, std::string_view service, session exactly, early_data early,
                       Token&& token = {})
    {
        return async_connect(host, service, connect_options{.early_data = early, .exactly = &exactly},
                             std::forward<Token>(token));
    }

    template <class EndpointSequence,
              asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
        requires(std::convertible_to<std::ranges::range_reference_t<EndpointSequence const>, asio::ip::tcp::endpoint>)
    [[deprecated("connect_options::endpoints")]]
    auto async_connect(EndpointSequence const& endpoints, std::string_view host, Token&& token = {})
    {
        return connect(peer_at(endpoints, host), {}, std::forward<Token>(token));
    }

    template <class EndpointSequence,
              asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
        requires(std::convertible_to<std::ranges::range_reference_t<EndpointSequence const>, asio::ip::tcp::endpoint>)
    [[deprecated("connect_options::endpoints")]]
    auto async_connect(EndpointSequence const& endpoints, std::string_view host, early_data early, Token&& token = {})
    {
        return connect(peer_at(endpoints, host), {.early = early}, std::forward<Token>(token));
    }
    /// @}

    /** Capture the session, send close_notify, wait for the peer's close_notify, and close the socket.

        Tickets that are still on their way are read during the wait. Succeeds whatever the peer does: closes without an
        answer, resets, sends data, or stays silent until `client_options::shutdown_timeout`.

        @par Completion Signature
        @code void(error_code) @endcode

        @par Per-Operation Cancellation
        `terminal`. The socket is closed at once, and the operation fails with `asio::error::operation_aborted`.
    */
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_shutdown(Token&& token = {})
    {
        return detail::initiate<void>(
            any_executor(), [self = impl_] { return self->shutdown(self); }, std::forward<Token>(token));
    }

    /** Wait for a ticket, if none has arrived on this connection, and close the socket without close_notify.

        For an application that does not need the peer's close_notify and closes before it has read anything: TLS 1.3
        tickets arrive after the handshake (RFC 8446, 4.6.1). Other input is dropped. The wait ends after
        `client_options::shutdown_timeout`, or after 1 MiB of other input. The operation also succeeds if no ticket
        arrives.

        Completion and cancellation as for async_shutdown.
    */
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_close(Token&& token = {})
    {
        return detail::initiate<void>(
            any_executor(), [self = impl_] { return self->close_with_ticket(self); }, std::forward<Token>(token));
    }

    /// Close the socket at once, without close_notify. Sessions that have arrived stay in the store. Pending operations
    /// end with an error. A connecting operation ends with `asio::error::operation_aborted`, whatever it waits for.
    void close() noexcept { impl_->stop(); }

    /** Read some data, as AsyncReadStream requires. Tickets that come with the data go to the store.

        @par Per-Operation Cancellation
        `terminal`, `partial` and `total`. Data that a cancelled read does not deliver stays for the next read.

        @par Errors
        `errc::never_connected` before the first connect, `errc::operation_in_progress` during a connect,
        `errc::stream_closed` after a shutdown or close.
    */
    template <class MutableBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = default_token>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token = {})
    {
        auto begin = [](impl&, auto held, auto handler, MutableBufferSequence const& into)
        { tls_stream::async_read_some(std::move(held), into, std::move(handler)); };
        return start(begin, buffers, std::forward<Token>(token));
    }

    /// Write some data, as AsyncWriteStream requires. Small buffers of one sequence are sent in one TLS record. Errors
    /// as for async_read_some.
    template <class ConstBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = default_token>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token = {})
    {
        auto begin = [](impl& self, auto held, auto handler, ConstBufferSequence const& from)
        { tls_stream::async_write_some(std::move(held), self.joined(from), std::move(handler)); };
        return start(begin, buffers, std::forward<Token>(token));
    }

private:
    using peer = detail::peer;
    using tls_stream = detail::tls_stream<NextLayer>;

    // A peer as the caller named it, not yet validated.
    struct named
    {
        std::string host;
        std::string service;
        std::optional<std::vector<asio::ip::tcp::endpoint>> endpoints{};
    };

    enum class condition
    {
        closed,
        idle,
        has_data, // there is data for the next read, or more input than the budget of `probe`
    };

    // The caller's request for one connection: `connect_options` with a copy of the session. The bytes of early data
    // stay the caller's.
    struct connect_request
    {
        std::optional<session> exactly{};
        std::optional<early_data> early{};
        unsigned stops = 0; // `transport::stops` when the operation was initiated
    };

    // Operations share its ownership, so the stream may be destroyed before they end.
    struct impl
    {
        impl(NextLayer n, client const& of) : way(std::move(n)), next(way.next), connection(of) {}

        using pointer = std::shared_ptr<impl>;

        detail::transport<NextLayer> way;
        NextLayer& next;
        detail::client_handshake connection; // outlives each SSL, which points to it
        std::shared_ptr<tls_stream> tls;     // of the current connection
        detail::coalescer joined;
        std::optional<peer> to;
        bool open = false;
        bool is_connecting = false;

        auto& socket() noexcept { return way.socket(); }

        void close() noexcept
        {
            way.close();
            if (tls)
                tls->close();
            open = false;
        }

        // Close while an operation may be pending.
        void stop() noexcept
        {
            way.stop();
            close();
        }

        [[nodiscard]] condition probe()
        {
            if (!open || connection.peer_said_goodbye(tls->engine.native_handle()))
                return condition::closed;
            auto const fd = socket().native_handle();
            auto polled = detail::tls_status::needs_input;
            constexpr std::size_t budget = 64 * 1024;
            if constexpr (detail::is_socket_layer<NextLayer>)
                polled = tls->poll([fd](auto room) { return detail::receive_now(fd, room); }, budget);
            if (polled == detail::tls_status::done)
                return condition::has_data;
            return polled == detail::tls_status::needs_input && detail::is_alive(fd) ? condition::idle
                                                                                     : condition::closed;
        }

        using result = detail::outcome<handshake_info>;
        static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

        // Why reading or writing cannot begin; no error if it can.
        [[nodiscard]] error_code why_not_usable() const
        {
            if (is_connecting)
                return errc::operation_in_progress;
            if (!tls)
                return errc::never_connected;
            return open ? error_code{} : errc::stream_closed;
        }

        // Connect to `whom`, or without one to the last peer again.
        asio::awaitable<result> connect(pointer self, std::optional<named> whom, connect_request request)
        {
            if (auto refused = begin_connecting(whom ? &*whom : nullptr, request.stops))
                co_return std::move(*refused);
            co_return co_await establish<true>(std::move(self), std::move(request));
        }

        asio::awaitable<result> handshake_on_next_layer(pointer self, named whom, connect_request request)
        {
            if (request.stops != way.stops())
                co_return result{asio::error::operation_aborted};
            if (is_connecting)
                co_return result{errc::operation_in_progress};
            if (open)
                co_return result{errc::already_connected};
            if (auto refused = take_peer(whom))
                co_return std::move(*refused);
            co_return co_await establish<false>(std::move(self), std::move(request));
        }

        // Return why connecting cannot begin; otherwise close the stream and set `to`. A null `whom` is the last peer.
        [[nodiscard]] std::optional<result> begin_connecting(named* whom, unsigned stops)
        {
            if (stops != way.stops()) // closed before the operation took its first step
                return result{asio::error::operation_aborted};
            if (is_connecting)
                return result{errc::operation_in_progress};
            if (whom == nullptr && !to)
                return result{errc::never_connected};
            if (probe() != condition::closed)
                return result{errc::already_connected};
            if (whom != nullptr)
                if (auto refused = take_peer(*whom))
                    return refused;
            close();
            return std::nullopt;
        }

        [[nodiscard]] std::optional<result> take_peer(named& whom)
        try
        {
            peer next_peer{detail::read_host(whom.host), detail::read_service(whom.service), std::move(whom.endpoints)};
            to = std::move(next_peer);
            return std::nullopt;
        }
        catch (system_error const& e)
        {
            return result{e.code(), connection.failed(detail::text_of(e))};
        }

        [[nodiscard]] detail::connect_plan make_plan(connect_request const& request, bool connects)
        {
            auto const& o = connection.options();
            bool const is_proxied = connects && o.proxy && !way.connect_as_told;
            return detail::connect_plan{{.is_connected = !connects,
                                         .has_connector = way.connect_as_told != nullptr,
                                         .is_proxied = is_proxied,
                                         .proxy_requests = is_proxied ? way.plan_requests(*o.proxy, *to) : 0,
                                         .fast_open = o.fast_open,
                                         .sends_early = request.early.has_value(),
                                         .sends_rest = request.early && request.early->options().send_rest,
                                         .is_only_attempt = !connects || request.exactly,
                                         .retry = o.retry}};
        }

        // State that the steps of one operation share.
        struct progress
        {
            explicit progress(bool& f) noexcept : flag(f) { flag = true; }
            progress(progress const&) = delete;
            progress& operator=(progress const&) = delete;
            ~progress() { flag = false; }

            bool& flag;
            std::chrono::steady_clock::time_point const begin = std::chrono::steady_clock::now();
            std::chrono::steady_clock::time_point end{}; // deadline of the attempt
            std::optional<detail::watchdog> dog{};       // of the attempt
            std::string failure{};                       // text that the error code does not tell
            error_code handshake{};                      // result of the last handshake
        };

        // Perform the steps of a connect_plan until it has ended.
        template <bool connects> // false: the caller has connected the next layer, which need not be a socket
        asio::awaitable<result> establish(pointer self, connect_request request)
        {
            progress now{is_connecting};
            way.begin(request.stops);
            auto plan = make_plan(request, connects);
            auto const ex = co_await asio::this_coro::executor;
            for (;;)
            {
                if (plan.begins_attempt())
                    begin_attempt(now, ex);
                detail::connect_progress how;
                try
                {
                    switch (plan.step())
                    {
                    case detail::connect_step::resolve:
                        if constexpr (connects)
                        {
                            close_between(now);
                            how.ec = co_await way.resolve_peer(*to, connection.options());
                        }
                        break;
                    case detail::connect_step::call_connector:
                        if constexpr (connects)
                        {
                            close_between(now);
                            how.ec = co_await way.call_connector(*to);
                        }
                        break;
                    case detail::connect_step::connect:
                        if constexpr (connects)
                            how.ec = co_await way.connect(connection.options(), now.end);
                        break;
                    case detail::connect_step::connect_fast:
                        if constexpr (connects)
                            how.ec = co_await way.connect_fast();
                        break;
                    case detail::connect_step::ask_proxy:
                        if constexpr (connects)
                            how.ec = co_await way.send_request(plan.proxy_request());
                        break;
                    case detail::connect_step::shake_hands:
                        how.ec = now.handshake = co_await shake_hands(self, request, plan, now);
                        break;
                    case detail::connect_step::drain:
                        if (now.handshake.category() == asio::error::get_system_category())
                            co_await drain();
                        how.may_go_without_early = connection.may_do_without_early(tls->engine.native_handle());
                        break;
                    case detail::connect_step::send_rest:
                        how.ec = co_await write_rest(self, request.early->bytes() + connection.info().early_size);
                        break;
                    case detail::connect_step::pause: how.ec = co_await way.pause(plan.delay()); break;
                    case detail::connect_step::done: open = true; co_return result{{}, connection.info()};
                    case detail::connect_step::failed:
                        connection.count_failure(to->host.name, plan.error());
                        co_return result{plan.error(), connection.failed(std::move(now.failure))};
                    }
                }
                catch (system_error const& e) // cancelled, or thrown by a function of the caller
                {
                    how.ec = e.code();
                    how.has_thrown = true;
                    now.failure = detail::text_of(e);
                }
                catch (...)
                {
                    how.ec = detail::current_error();
                    how.has_thrown = true;
                }
                how.is_late = now.dog && now.dog->expired();
                how.is_stopped = way.is_stopped();
                how.may_be_processed = connection.has_sent_early();
                how.elapsed = std::chrono::steady_clock::now() - now.begin;
                how.random = how.ec ? connection.random() : 0;
                plan.ended(how);
                if (plan.step() == detail::connect_step::pause || plan.step() == detail::connect_step::failed)
                    end_attempt(now);
            }
        }

        void begin_attempt(progress& now, asio::any_io_executor const& ex)
        {
            using std::chrono::steady_clock;
            auto const limit = connection.options().connect_timeout;
            now.end = limit.count() == 0 ? steady_clock::time_point::max() : steady_clock::now() + limit;
            now.dog.emplace(ex, limit, [this] { close(); });
            now.failure.clear();
        }

        void end_attempt(progress& now)
        {
            now.dog.reset();
            close();
        }

        // Close the connection whose handshake failed, before the attempt makes another one.
        void close_between(progress& now)
        {
            if (std::exchange(now.handshake, error_code{}))
                close();
        }

        asio::awaitable<error_code> shake_hands(pointer self, connect_request const& request,
                                                detail::connect_plan const& plan, progress& now)
        {
            if (connection.options().no_delay)
            {
                error_code ignored; // an optimisation; not every socket is TCP
                socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
            }
            // The server may have seen the session of an earlier connection, so that session is not offered again.
            bool const is_first = !plan.has_dropped_early();
            typename detail::client_handshake::connection_options options{
                .exactly = is_first ? request.exactly : std::nullopt,
                .asks_store = !request.exactly,
                .early_reason = is_first ? early_data_reason::not_asked : early_data_reason::connection_failed};
            // Each handshake needs a fresh SSL.
            tls = std::make_shared<tls_stream>(next, connection.begin(to->host, to->service, std::move(options)));
            co_await connection.choose_session(tls->engine.native_handle());
            auto bytes =
                plan.sends_early() ? connection.plan_early(tls->engine.native_handle(), *request.early) : byte_view{};
            auto const step = [this, &bytes](detail::tls_engine& engine)
            {
                if (auto const first = std::exchange(bytes, {}); !first.empty())
                    connection.early_sent(engine.send_early(first) ? first.size() : 0);
                return engine.handshake();
            };
            auto const [ec, none] = co_await tls_stream::async_perform(held(std::move(self)), step,
                                                                       asio::enable_terminal_cancellation{}, no_throw);
            now.failure = connection.why_not_verified(tls->engine.native_handle(), ec);
            if (!ec)
                connection.handshake_done(tls->engine.native_handle());
            // After a fatal alert a session must not be used again (RFC 5246, 7.2.2).
            else if (connection.handshake_failed(tls->engine.has_sent()) &&
                     ec.category() == asio::error::get_ssl_category())
                co_await connection.forget_session(full_handshake_reason::alerted);
            co_return ec;
        }

        // Read what the server sent before it closed the connection: when writing fails, that input is still readable.
        asio::awaitable<void> drain()
        {
            constexpr std::size_t longest_flight = 256 * 1024; // more than OpenSSL's limit for certificates
            auto& engine = tls->engine;
            auto status = detail::tls_status::needs_input;
            for (std::size_t total = 0; status == detail::tls_status::needs_input && total < longest_flight;)
            {
                auto const room = engine.room();
                auto const [ec, size] = co_await next.async_read_some(asio::buffer(room.data(), room.size()), no_throw);
                if (ec)
                    co_return;
                engine.feed(size);
                total += size;
                status = engine.handshake().status;
            }
        }

        asio::awaitable<error_code> write_rest(pointer self, asio::const_buffer rest)
        {
            error_code ec;
            for (std::size_t size = 0; rest.size() != 0 && !ec; rest += size)
                std::tie(ec, size) = co_await tls_stream::async_write_some(held(self), rest, no_throw);
            co_return ec;
        }

        asio::awaitable<detail::outcome<void>> close_with_ticket(pointer self)
        {
            error_code ec;
            if (open && connection.awaits_ticket())
            {
                detail::watchdog const dog{co_await asio::this_coro::executor, connection.options().shutdown_timeout,
                                           [this] { close(); }};
                constexpr std::size_t most_dropped = 1024 * 1024; // servers send tickets first
                std::array<unsigned char, 4096> dropped;
                for (std::size_t total = 0, size = 0; !ec && connection.awaits_ticket() && total < most_dropped;
                     total += size)
                    std::tie(ec, size) =
                        co_await tls_stream::async_read_some(held(self), asio::buffer(dropped), no_throw);
                if (dog.expired() || ec != asio::error::operation_aborted)
                    ec = {};
            }
            close();
            co_return detail::outcome<void>{ec};
        }

        asio::awaitable<detail::outcome<void>> shutdown(pointer self)
        {
            if (!open)
                co_return detail::outcome<void>{};
            connection.capture_before_shutdown(tls->engine.native_handle());
            co_return co_await detail::shut_down<NextLayer>(
                held(std::move(self)), connection.options().shutdown_timeout, [this] { close(); },
                [](detail::tls_engine& e) { return e.shut_down(); });
        }

        [[nodiscard]] typename tls_stream::holder held(pointer self) const { return {std::move(self), tls}; }
    };

    // Begin a read or a write, or complete with the reason why the stream is not usable.
    template <class Begin, class Buffers, class Token>
    auto start(Begin begin, Buffers const& buffers, Token&& token)
    {
        auto if_usable = [](auto handler, std::shared_ptr<impl> self, Begin const& then, Buffers const& b)
        {
            auto& i = *self;
            if (auto const ec = i.why_not_usable())
                asio::post(i.next.get_executor(), asio::append(std::move(handler), ec, std::size_t{0}));
            else
                then(i, i.held(std::move(self)), std::move(handler), b);
        };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiation{get_executor(), std::move(if_usable)}, token, impl_, begin, buffers);
    }

    [[nodiscard]] asio::any_io_executor any_executor() { return impl_->next.get_executor(); }

    static named peer_of(std::string_view host, std::string_view service, connect_options const& options)
    {
        named result{std::string{host}, std::string{service}};
        if (options.endpoints)
            result.endpoints.emplace(options.endpoints->begin(), options.endpoints->end());
        return result;
    }

    static connect_request request_of(connect_options const& options)
    {
        return {.exactly = options.exactly != nullptr ? std::optional{*options.exactly} : std::nullopt,
                .early = options.early_data};
    }

    template <class EndpointSequence>
    static named peer_at(EndpointSequence const& endpoints, std::string_view host)
    {
        std::vector<asio::ip::tcp::endpoint> all;
        for (auto const& endpoint : endpoints)
            all.push_back(static_cast<asio::ip::tcp::endpoint>(endpoint));
        auto service = all.empty() ? std::string{"443"} : std::to_string(all.front().port());
        return {std::string{host}, std::move(service), std::move(all)};
    }

    template <class Token>
    auto connect(std::optional<named> to, connect_request request, Token&& token)
    {
        request.stops = impl_->way.stops();
        return detail::initiate<handshake_info>(
            any_executor(), [self = impl_, to = std::move(to), request = std::move(request)]() mutable
            { return self->connect(self, std::move(to), std::move(request)); }, std::forward<Token>(token));
    }

    template <class Token>
    auto handshake_on_next_layer(named to, connect_request request, Token&& token)
    {
        request.stops = impl_->way.stops();
        return detail::initiate<handshake_info>(
            any_executor(), [self = impl_, to = std::move(to), request = std::move(request)]() mutable
            { return self->handshake_on_next_layer(self, std::move(to), std::move(request)); },
            std::forward<Token>(token));
    }

    std::shared_ptr<impl> impl_; // its address stays when the stream is moved: operations and OpenSSL hold it
};

/// Shut down the TLS connection after a WebSocket on top was closed, as `async_shutdown` does. Beast calls this
/// function.
template <class NextLayer, class Handler>
void async_teardown(boost::beast::role_type, client_stream<NextLayer>& stream, Handler&& handler)
{
    stream.async_shutdown(std::forward<Handler>(handler));
}

/// Close the socket at once: the synchronous counterpart of async_teardown. Beast calls this function.
template <class NextLayer>
void teardown(boost::beast::role_type, client_stream<NextLayer>& stream, error_code& ec)
{
    ec = {};
    stream.close();
}

} // namespace reprise
