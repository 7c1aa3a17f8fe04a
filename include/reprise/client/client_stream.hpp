// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/client/client_connection.hpp>
#include <reprise/client/client_options.hpp>
#include <reprise/client/early_data.hpp>
#include <reprise/client/session_store.hpp>
#include <reprise/client/transport.hpp>
#include <reprise/io/coalesce.hpp>
#include <reprise/io/default_socket.hpp>
#include <reprise/io/initiate.hpp>
#include <reprise/io/initiation.hpp>
#include <reprise/io/lowest_socket.hpp>
#include <reprise/io/shut_down.hpp>
#include <reprise/io/tls_stream.hpp>
#include <reprise/io/watchdog.hpp>
#include <reprise/io/within.hpp>
#include <reprise/tls/handshake_info.hpp>

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

// Declared by Beast in <boost/beast/core/role.hpp>; a WebSocket on top of a client_stream closes through it.
namespace boost::beast {
enum class role_type;
}

namespace reprise {

/** A TLS client stream that resumes.

    It satisfies Asio's AsyncReadStream and AsyncWriteStream, so that asio::async_read, Beast's HTTP and WebSocket work on
    it. Sessions go to the session_store as they arrive; a connection that is truncated, reset, cancelled or destroyed
    loses none that had arrived.

    @tparam NextLayer A TCP socket, or layers on top of one, such as beast::tcp_stream. It is constructed from an executor.

    Every operation takes any completion token and awaits where none is given. Unless said otherwise an operation supports
    `terminal` cancellation; after a cancelled operation only `close`, `async_reconnect` and destruction are useful. One that
    is awaited with `use_awaitable` is a part of the coroutine, and obeys the types of cancellation that this has enabled.

    @par Object Lifetimes
    The ssl::context must outlive the stream (it owns the verify callback) and must be configured before the first stream
    is made of it; what is changed later counts for sessions from then on, see `policy_changed`. The store is held by shared ownership. The stream must outlive its operations.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe; with several threads running the io_context use a strand as executor.
*/
template <class NextLayer = default_socket>
class client_stream
{
public:
    using next_layer_type = NextLayer;
    using executor_type = typename NextLayer::executor_type;
    using lowest_layer_type = std::remove_reference_t<decltype(detail::lowest_socket(std::declval<NextLayer&>()))>;
    using native_handle_type = SSL*;

    /// A stream that keeps its sessions in `store`. @throws system_error `errc::bad_option`.
    template <class Executor>
        requires(std::constructible_from<NextLayer, Executor const&>)
    client_stream(Executor const& ex, asio::ssl::context& tls, session_store& store, client_options options)
        : client_stream(NextLayer{ex}, tls, store, std::move(options))
    {
    }

    /// The same on a next layer of the caller's, for `async_handshake` if it is connected already.
    client_stream(NextLayer next, asio::ssl::context& tls, session_store& store, client_options options)
        : impl_(std::make_unique<impl>(std::move(next), tls, store.shared_from_this(), std::move(options)))
    {
    }

    /// A stream that keeps no sessions.
    template <class Executor>
        requires(std::constructible_from<NextLayer, Executor const&>)
    client_stream(Executor const& ex, asio::ssl::context& tls, client_options options)
        : client_stream(NextLayer{ex}, tls, std::move(options))
    {
    }

    client_stream(NextLayer next, asio::ssl::context& tls, client_options options)
        : impl_(std::make_unique<impl>(std::move(next), tls, nullptr, std::move(options)))
    {
    }

    /// @name With default options
    /// Not default arguments: GCC 12 copies an aggregate temporary bit by bit where the same expression awaits.
    /// @{
    template <class Executor>
        requires(std::constructible_from<NextLayer, Executor const&>)
    client_stream(Executor const& ex, asio::ssl::context& tls, session_store& store)
        : client_stream(ex, tls, store, client_options{})
    {
    }

    client_stream(NextLayer next, asio::ssl::context& tls, session_store& store)
        : client_stream(std::move(next), tls, store, client_options{})
    {
    }

    template <class Executor>
        requires(std::constructible_from<NextLayer, Executor const&>)
    client_stream(Executor const& ex, asio::ssl::context& tls) : client_stream(ex, tls, client_options{})
    {
    }

    client_stream(NextLayer next, asio::ssl::context& tls) : client_stream(std::move(next), tls, client_options{}) {}
    /// @}

    client_stream(client_stream&&) noexcept = default;
    client_stream& operator=(client_stream&&) noexcept = default;
    ~client_stream() = default;

    [[nodiscard]] executor_type get_executor() noexcept { return impl_->next.get_executor(); }
    [[nodiscard]] next_layer_type& next_layer() noexcept { return impl_->next; }
    [[nodiscard]] next_layer_type const& next_layer() const noexcept { return impl_->next; }

    /// The TCP socket at the bottom.
    [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return detail::lowest_socket(impl_->next); }

    /// The SSL of the current or last connection; null before the first. It changes with each connect or reconnect.
    [[nodiscard]] native_handle_type native_handle() noexcept
    {
        return impl_->tls ? impl_->tls->engine.native_handle() : nullptr;
    }

    /// How the last handshake went: resumed or not, and why not.
    [[nodiscard]] handshake_info const& handshake() const noexcept { return impl_->connection.info(); }

    /// Under what the sessions of the current or last connection are filed; empty before the first. A protocol whose second
    /// connection has to resume the first one's session takes it from a store of its own: `store->take(stream.key())`.
    [[nodiscard]] session_key const& key() const noexcept { return impl_->connection.key(); }

    /// Whether the connection is alive, as far as can be told without waiting: the peer has neither closed nor reset it. What
    /// has come is taken in: tickets go to the store, a close_notify counts; data stays for the next read.
    [[nodiscard]] bool is_open() { return impl_->look() != condition::closed; }

    /// Whether it is open and the peer has said nothing that waits to be read, as is due between two requests of HTTP/1.1
    /// (RFC 9112, 6.3).
    [[nodiscard]] bool is_idle() { return impl_->look() == condition::idle; }

    /** From now on `connect` connects the next layer, instead of a resolver and a socket: through SOCKS, a tunnel, or to an
        address that somebody else knows.

        It is called as `asio::awaitable<void>(NextLayer&, std::string host, std::string service)`, by async_connect and
        async_reconnect, and throws system_error if it fails. When `client_options::connect_timeout` is over, and by close(),
        it is cancelled (`terminal`) and the socket under it closed; the caller's cancellation is passed on. The operation
        ends when it has ended, for it uses the stream.

        @param route Names this way, so that its sessions are filed apart from those of direct connections.
        @throws system_error `errc::bad_option`, if the route is empty or there is no function.
    */
    template <class Connect>
        requires(std::constructible_from<typename detail::transport<NextLayer>::connector, Connect>)
    void set_connector(std::string route, Connect connect)
    {
        typename detail::transport<NextLayer>::connector function{std::move(connect)};
        if (route.empty() || !function)
            throw system_error{errc::bad_option, "set_connector: a route that names the way, and a function"};
        impl_->connection.set_route(std::move(route));
        impl_->way.connect_as_told = std::move(function);
    }

    /** Resolve, connect and shake hands; resumes if the store has a usable session.

        A peer that declines costs only time: the handshake runs in full and the operation succeeds. Of a store that is
        slow or broken the same holds (`handshake_info::reason` says so).

        @param host Name or address. SNI and the certificate check follow it, unless the options say otherwise.
        @param service Port number or service name.

        @par Completion Signature
        @code void(error_code, handshake_info) @endcode

        @par Per-Operation Cancellation
        `terminal`. The stream is closed afterwards and can be connected again. A ticket that was taken from the store is
        not put back: the peer may have seen it, and it should not be offered twice (RFC 8446, C.4).

        @par Errors
        @li `errc::already_connected`, if the stream is open; nothing is sent.
        @li `asio::error::timed_out` after `client_options::connect_timeout`; a store that is being asked then may add its
            `lookup_deadline`. With `client_options::retry` that is for each attempt.
        @li `errc::proxy_refused`, `proxy_authentication_required`, `proxy_malformed`, with `client_options::proxy`;
            `errc::bad_option` for a host or service that cannot be asked of it.
        @li Resolver, socket and OpenSSL errors, unchanged, in their own categories; the stream is closed.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_connect(std::string_view host, std::string_view service, Token&& token = {})
    {
        return connect({std::string{host}, std::string{service}, {}}, {}, std::forward<Token>(token));
    }

    /** The same, and send these bytes: in the first flight if the session allows it, else after the handshake.

        It ends when the handshake is complete and all bytes are sent; `handshake_info::early_data` says which way they went,
        and `early_reason` why. What can be known is checked before they are offered: the ticket's limit and age, ALPN, SNI
        and the cipher suite. To a server that went down to TLS 1.2 the connection is made again, once, without early data.
        If the operation fails, the server may have processed the bytes all the same.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_connect(std::string_view host, std::string_view service, early_data early, Token&& token = {})
    {
        return connect({std::string{host}, std::string{service}, {}}, {.early = early}, std::forward<Token>(token));
    }

    /// The same, and resume exactly this session, for protocols that demand it; the store is not asked.
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_connect(std::string_view host, std::string_view service, session exactly, Token&& token = {})
    {
        return connect({std::string{host}, std::string{service}, {}}, {.exactly = std::move(exactly)},
                       std::forward<Token>(token));
    }

    /// Both. Early data needs the server's acknowledgement of SNI in the session, for who knows where it comes from.
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_connect(std::string_view host, std::string_view service, session exactly, early_data early,
                       Token&& token = {})
    {
        return connect({std::string{host}, std::string{service}, {}}, {.exactly = std::move(exactly), .early = early},
                       std::forward<Token>(token));
    }

    /// The same to endpoints that the caller has resolved; the first one's port is the service. They race in this order; of
    /// a proxy they are asked one after the other.
    template <class EndpointSequence,
              asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
        requires(std::convertible_to<std::ranges::range_reference_t<EndpointSequence const>, asio::ip::tcp::endpoint>)
    auto async_connect(EndpointSequence const& endpoints, std::string_view host, Token&& token = {})
    {
        return connect(peer_at(endpoints, host), {}, std::forward<Token>(token));
    }

    /// The same with early data.
    template <class EndpointSequence,
              asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
        requires(std::convertible_to<std::ranges::range_reference_t<EndpointSequence const>, asio::ip::tcp::endpoint>)
    auto async_connect(EndpointSequence const& endpoints, std::string_view host, early_data early, Token&& token = {})
    {
        return connect(peer_at(endpoints, host), {.early = early}, std::forward<Token>(token));
    }

    /** Shake hands on a next layer that the caller has connected, through a proxy for example.

        As async_connect, but without resolving and connecting; `host` and `service` name the peer for the certificate
        check and for the store. `async_reconnect` connects to them directly.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_handshake(std::string_view host, std::string_view service, Token&& token = {})
    {
        return handshake_on_next_layer({std::string{host}, std::string{service}, {}}, {}, std::forward<Token>(token));
    }

    /// The same with early data. A connection that fails because of it cannot be made again here.
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_handshake(std::string_view host, std::string_view service, early_data early, Token&& token = {})
    {
        return handshake_on_next_layer({std::string{host}, std::string{service}, {}}, {.early = early},
                                       std::forward<Token>(token));
    }

    /** Connect again to the same peer, resuming the last session if one is usable.

        Builds a fresh TLS stream (the old one keeps state of its last connection), connects and offers the session. A
        connection that the peer has closed or reset need not be shut down first.

        Completion, cancellation and errors as for async_connect, and
        @li `errc::never_connected`, if there is no peer yet;
        @li `errc::already_connected`, if the connection is alive. Shut it down first.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_reconnect(Token&& token = {})
    {
        return reconnect({}, std::forward<Token>(token));
    }

    /// The same with early data: what `async_connect` says of it.
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_reconnect(early_data early, Token&& token = {})
    {
        return reconnect({.early = early}, std::forward<Token>(token));
    }

    /** Capture the session, send close_notify, wait for the peer's, close the socket.

        The wait is bounded by `client_options::shutdown_timeout` and serves a purpose: tickets that are still on their way
        are read meanwhile. How the peer takes the end is its business: that it closes without an answer, resets, sends data
        that nobody will read, or does nothing until the time is up, is success.

        @par Completion Signature
        @code void(error_code) @endcode

        @par Per-Operation Cancellation
        `terminal`. The socket is closed at once, and the operation fails with `asio::error::operation_aborted`.
    */
    template <asio::completion_token_for<void(error_code)> Token = asio::use_awaitable_t<>>
    auto async_shutdown(Token&& token = {})
    {
        return detail::initiate<void>(
            any_executor(), [self = impl_.get()] { return self->shutdown(); }, std::forward<Token>(token));
    }

    /** Wait for a ticket, if the connection has brought none yet, and close the socket, without close_notify.

        For an application that has no use for the peer's answer to a goodbye, and closes before it has read anything: tickets
        of TLS 1.3 come after the handshake (RFC 8446, 4.6.1). What else arrives meanwhile is dropped. The wait is bounded by
        `client_options::shutdown_timeout`; that no ticket comes is success.

        Completion and cancellation as for async_shutdown.
    */
    template <asio::completion_token_for<void(error_code)> Token = asio::use_awaitable_t<>>
    auto async_close(Token&& token = {})
    {
        return detail::initiate<void>(
            any_executor(), [self = impl_.get()] { return self->close_with_ticket(); }, std::forward<Token>(token));
    }

    /// Close the socket at once, without close_notify. What had arrived stays in the store. Operations that are under way
    /// end with an error: one that connects with `asio::error::operation_aborted`, whatever it waits for.
    void close() noexcept { impl_->stop(); }

    /// As AsyncReadStream. Tickets that come with the data go to the store. `errc::never_connected` before the first
    /// connect. It supports `terminal`, `partial` and `total` cancellation: what a cancelled read does not deliver, the next
    /// one does.
    template <class MutableBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = asio::use_awaitable_t<>>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token = {})
    {
        return start([self = impl_.get()](auto handler, MutableBufferSequence const& into)
                     { self->tls->async_read_some(into, std::move(handler)); }, buffers, std::forward<Token>(token));
    }

    /// As AsyncWriteStream. Small buffers of one sequence travel in one TLS record.
    template <class ConstBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = asio::use_awaitable_t<>>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token = {})
    {
        return start([self = impl_.get()](auto handler, ConstBufferSequence const& from)
                     { self->tls->async_write_some(self->joined(from), std::move(handler)); }, buffers,
                     std::forward<Token>(token));
    }

private:
    using peer = detail::peer;

    enum class condition
    {
        closed,
        idle,
        has_data, // for the next read
    };

    // What one connection is to do beside shaking hands.
    struct wishes
    {
        std::optional<session> exactly{};
        std::optional<early_data> early{};
    };

    struct impl
    {
        impl(NextLayer n, asio::ssl::context& context, std::shared_ptr<session_store> store, client_options options)
            : way(std::move(n)), next(way.next),
              connection(context.native_handle(), std::move(store), std::move(options))
        {
        }

        detail::transport<NextLayer> way;
        NextLayer& next;
        detail::client_connection connection;             // outlives each SSL, which points to it
        std::optional<detail::tls_stream<NextLayer>> tls; // of the current connection
        detail::coalescer joined;
        std::optional<peer> to;
        bool open = false;

        auto& socket() noexcept { return way.socket(); }

        void close() noexcept
        {
            way.close();
            open = false;
        }

        // From outside, while an operation may be at work.
        void stop() noexcept
        {
            way.stop();
            open = false;
        }

        [[nodiscard]] condition look()
        {
            if (!open || connection.peer_said_goodbye(tls->engine.native_handle()))
                return condition::closed;
            auto const fd = socket().native_handle();
            auto heard = detail::tls_status::needs_input;
            if constexpr (detail::is_socket_layer<NextLayer>)
                heard = tls->hear([fd](auto room) { return detail::receive_now(fd, room); });
            if (heard == detail::tls_status::done)
                return condition::has_data;
            return heard == detail::tls_status::needs_input && detail::is_alive(fd) ? condition::idle
                                                                                    : condition::closed;
        }

        using result = detail::outcome<handshake_info>;
        static constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

        asio::awaitable<result> connect(peer next_peer, wishes w)
        {
            if (look() != condition::closed)
                co_return result{errc::already_connected};
            close();
            to = std::move(next_peer);
            co_return co_await establish<true>(std::move(w));
        }

        asio::awaitable<result> reconnect(wishes w)
        {
            if (!to)
                co_return result{errc::never_connected};
            if (look() != condition::closed)
                co_return result{errc::already_connected};
            close();
            co_return co_await establish<true>(std::move(w));
        }

        asio::awaitable<result> handshake_on_next_layer(peer next_peer, wishes w)
        {
            if (open)
                co_return result{errc::already_connected};
            to = std::move(next_peer);
            co_return co_await establish<false>(std::move(w));
        }

        // Until it succeeds, or there is no use in trying again.
        template <bool connects> // a next layer that the caller connects need not be a socket
        asio::awaitable<result> establish(wishes w)
        {
            bool const once = !connects || w.exactly;
            way.begin();
            auto const begin = std::chrono::steady_clock::now();
            for (unsigned attempt = 1;; ++attempt)
            {
                auto ended = co_await try_once<connects>(w);
                if (!ended.ec)
                    co_return ended;
                auto const delay =
                    once ? std::nullopt
                         : connection.plan_retry(attempt, ended.ec, std::chrono::steady_clock::now() - begin);
                if (delay)
                    ended.ec = co_await way.pause(*delay);
                if (!delay || ended.ec)
                {
                    connection.count_failure(to->host, ended.ec);
                    co_return ended;
                }
            }
        }

        // Everything from here to the end of the handshake, within the time limit.
        template <bool connects>
        asio::awaitable<result> try_once(wishes w)
        {
            connection.offer_exactly(std::move(w.exactly)); // of an earlier attempt nothing may be left
            connection.begin_early();
            auto const ex = co_await asio::this_coro::executor;
            auto const limit = connection.options().connect_timeout;
            detail::watchdog const dog{ex, limit, [this] { close(); }};
            error_code ec;
            try
            {
                if constexpr (connects)
                    ec = co_await connect_and_shake_hands(dog, end_of(limit), w.early);
                else
                    ec = co_await shake_hands(w.early);
                if (!ec && w.early && w.early->options().send_rest)
                    ec = co_await write_rest(w.early->bytes() + connection.info().early_size);
            }
            catch (...)
            {
                close();
                throw;
            }
            if (dog.has_barked())
                ec = asio::error::timed_out;
            if (way.is_stopped())
                ec = asio::error::operation_aborted;
            open = !ec;
            if (open)
                co_return result{{}, connection.info()};
            close();
            co_return result{ec};
        }

        static std::chrono::steady_clock::time_point end_of(std::chrono::milliseconds limit)
        {
            using std::chrono::steady_clock;
            return limit.count() == 0 ? steady_clock::time_point::max() : steady_clock::now() + limit;
        }

        // What is tried at most may make it fail: then it is tried again without.
        asio::awaitable<error_code> connect_and_shake_hands(detail::watchdog const& dog,
                                                            std::chrono::steady_clock::time_point end,
                                                            std::optional<early_data> early)
        {
            for (bool fast_open = connection.options().fast_open;;)
            {
                if (auto const ec = co_await way.connect(*to, connection.options(), dog, end, fast_open))
                    co_return ec;
                auto const ec = co_await shake_hands(early);
                if (fast_open && is_refused(ec))
                    fast_open = false;
                else if (ec && early && co_await may_do_without_early(ec))
                    early.reset();
                else
                    co_return ec;
                if (dog.has_barked() || way.is_stopped())
                    co_return ec;
                close();
            }
        }

        // With fast open a socket is connected when the first flight is written; so that one did not arrive.
        [[nodiscard]] static bool is_refused(error_code ec) noexcept
        {
            return ec == asio::error::connection_refused || ec == asio::error::host_unreachable ||
                   ec == asio::error::network_unreachable;
        }

        asio::awaitable<error_code> shake_hands(std::optional<early_data> early)
        {
            if (connection.options().no_delay)
            {
                error_code ignored; // an optimisation; not every socket is TCP
                socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
            }
            // A handshake needs an SSL that has seen none before.
            tls.emplace(next, connection.begin(to->host, to->service));
            co_await connection.choose_session(tls->engine.native_handle());
            auto bytes = early ? connection.plan_early(tls->engine.native_handle(), *early) : byte_view{};
            auto const [ec, none] = co_await tls->async_perform(
                [this, &bytes](detail::tls_engine& engine)
                {
                    if (auto const first = std::exchange(bytes, {}); !first.empty())
                        connection.early_sent(engine.send_early(first) ? first.size() : 0);
                    return engine.handshake();
                },
                asio::enable_terminal_cancellation{}, no_throw);
            if (!ec)
                connection.handshake_done(tls->engine.native_handle());
            // After a fatal alert a session must not be used again (RFC 5246, 7.2.2).
            else if (connection.handshake_failed(tls->engine.has_sent()) &&
                     ec.category() == asio::error::get_ssl_category())
                co_await connection.forget_session(full_reason::alerted);
            co_return ec;
        }

        asio::awaitable<bool> may_do_without_early(error_code ec)
        {
            if (ec == asio::error::operation_aborted)
                co_return false;
            if (ec.category() == asio::error::get_system_category())
                co_await hear_out();
            if (!connection.may_do_without_early(tls->engine.native_handle()))
                co_return false;
            connection.do_without_early();
            co_return true;
        }

        // A server that has heard enough closes; what it has said before is still there when writing fails.
        asio::awaitable<void> hear_out()
        {
            auto& engine = tls->engine;
            for (auto status = detail::tls_status::needs_input; status == detail::tls_status::needs_input;)
            {
                auto const room = engine.room();
                auto const [ec, size] = co_await next.async_read_some(asio::buffer(room.data(), room.size()), no_throw);
                if (ec)
                    co_return;
                engine.feed(size);
                status = engine.handshake().status;
            }
        }

        asio::awaitable<error_code> write_rest(asio::const_buffer rest)
        {
            error_code ec;
            for (std::size_t size = 0; rest.size() != 0 && !ec; rest += size)
                std::tie(ec, size) = co_await tls->async_write_some(rest, no_throw);
            co_return ec;
        }

        asio::awaitable<detail::outcome<void>> close_with_ticket()
        {
            error_code ec;
            if (open && connection.awaits_ticket())
            {
                detail::watchdog const dog{co_await asio::this_coro::executor, connection.options().shutdown_timeout,
                                           [this] { close(); }};
                std::array<unsigned char, 512> dropped;
                while (!ec && connection.awaits_ticket())
                    std::tie(ec, std::ignore) = co_await tls->async_read_some(asio::buffer(dropped), no_throw);
                if (dog.has_barked() || ec != asio::error::operation_aborted)
                    ec = {};
            }
            close();
            co_return detail::outcome<void>{ec};
        }

        asio::awaitable<detail::outcome<void>> shutdown()
        {
            if (!open)
                co_return detail::outcome<void>{};
            connection.capture_before_shutdown(tls->engine.native_handle());
            co_return co_await detail::shut_down(
                *tls, connection.options().shutdown_timeout, [this] { close(); },
                [](detail::tls_engine& e) { return e.shut_down(); });
        }
    };

    // Reading or writing, which takes a connection.
    template <class Start, class Buffers, class Token>
    auto start(Start on_connection, Buffers const& buffers, Token&& token)
    {
        auto begin = [self = impl_.get(), on_connection = std::move(on_connection)](auto handler, Buffers const& b)
        {
            error_code const ec{errc::never_connected};
            if (self->tls)
                on_connection(std::move(handler), b);
            else
                asio::post(self->next.get_executor(), asio::append(std::move(handler), ec, std::size_t{0}));
        };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiation{get_executor(), std::move(begin)}, token, buffers);
    }

    [[nodiscard]] asio::any_io_executor any_executor() { return impl_->next.get_executor(); }

    template <class EndpointSequence>
    static peer peer_at(EndpointSequence const& endpoints, std::string_view host)
    {
        peer to{std::string{host}, {}, {}};
        for (auto const& endpoint : endpoints)
            to.endpoints.push_back(static_cast<asio::ip::tcp::endpoint>(endpoint));
        to.service = to.endpoints.empty() ? "" : std::to_string(to.endpoints.front().port());
        return to;
    }

    template <class Token>
    auto connect(peer to, wishes w, Token&& token)
    {
        return detail::initiate<handshake_info>(
            any_executor(), [self = impl_.get(), to = std::move(to), w = std::move(w)]() mutable
            { return self->connect(std::move(to), std::move(w)); }, std::forward<Token>(token));
    }

    template <class Token>
    auto reconnect(wishes w, Token&& token)
    {
        return detail::initiate<handshake_info>(
            any_executor(), [self = impl_.get(), w = std::move(w)]() mutable { return self->reconnect(std::move(w)); },
            std::forward<Token>(token));
    }

    template <class Token>
    auto handshake_on_next_layer(peer to, wishes w, Token&& token)
    {
        return detail::initiate<handshake_info>(
            any_executor(), [self = impl_.get(), to = std::move(to), w = std::move(w)]() mutable
            { return self->handshake_on_next_layer(std::move(to), std::move(w)); }, std::forward<Token>(token));
    }

    std::unique_ptr<impl> impl_; // operations and OpenSSL hold its address, so that the stream can be moved
};

/// Closes the transport when a WebSocket on top has said goodbye: capture, close_notify, bounded wait.
template <class NextLayer, class Handler>
void async_teardown(boost::beast::role_type, client_stream<NextLayer>& stream, Handler&& handler)
{
    stream.async_shutdown(std::forward<Handler>(handler));
}

/// The same where nobody waits: the socket is closed at once.
template <class NextLayer>
void teardown(boost::beast::role_type, client_stream<NextLayer>& stream, error_code& ec)
{
    ec = {};
    stream.close();
}

} // namespace reprise
