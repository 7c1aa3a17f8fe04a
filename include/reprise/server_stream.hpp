// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/default_socket.hpp>
#include <reprise/detail/async/default_token.hpp>
#include <reprise/detail/async/initiate.hpp>
#include <reprise/detail/async/initiation.hpp>
#include <reprise/detail/async/watchdog.hpp>
#include <reprise/detail/async/with_timeout.hpp>
#include <reprise/detail/net/lowest_socket.hpp>
#include <reprise/detail/server/server_handshake.hpp>
#include <reprise/detail/stream/coalesce.hpp>
#include <reprise/detail/stream/shut_down.hpp>
#include <reprise/detail/stream/tls_stream.hpp>
#include <reprise/error.hpp>
#include <reprise/handshake_info.hpp>
#include <reprise/server_options.hpp>
#include <reprise/session_cache.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace boost::beast {
enum class role_type;
}

namespace reprise {

/** A TLS server stream that resumes: its handshake asks the session_cache's storage.

    It satisfies Asio's AsyncReadStream and AsyncWriteStream, so that asio::async_read, Beast's HTTP and WebSocket work on
    it.

    @tparam NextLayer A connected TCP socket, or layers on top of one, such as beast::tcp_stream.

    Every operation takes any completion token and awaits where none is given; it supports `terminal` cancellation, after
    which the stream is of no use, unless it says otherwise. One that is awaited with `use_awaitable` is a part of the
    coroutine, and obeys the types of cancellation that this has enabled.

    @par Object Lifetimes
    The stream keeps the cache and the SSL_CTX. It must outlive its operations.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe; with several threads running the io_context use a strand as executor.
*/
template <class NextLayer = default_socket>
class server_stream
{
public:
    using next_layer_type = NextLayer;
    using executor_type = typename NextLayer::executor_type;

    /// The completion token of an operation that is given none: that of the executor, else `use_awaitable`.
    using default_token = detail::default_token_t<executor_type>;

    /// The stream's type for another executor type, as Asio's I/O objects have it.
    template <class Executor>
    struct rebind_executor
    {
        using other = server_stream<typename NextLayer::template rebind_executor<Executor>::other>;
    };

    using lowest_layer_type = std::remove_reference_t<decltype(detail::lowest_socket(std::declval<NextLayer&>()))>;
    using native_handle_type = SSL*;

    /// A stream on an accepted connection. With `server_options::select_host` the cache is only the start: it supplies
    /// OpenSSL's callbacks and its built-in ticket key.
    server_stream(NextLayer next, session_cache const& cache, server_options options)
        : impl_(std::make_shared<impl>(std::move(next), cache, std::move(options)))
    {
    }

    /// With default options. Not a default argument: GCC 12 copies an aggregate temporary bit by bit where the same
    /// expression awaits.
    server_stream(NextLayer next, session_cache const& cache) : server_stream(std::move(next), cache, server_options{})
    {
    }

    server_stream(server_stream&&) noexcept = default;

    /// The connection of this stream is closed, as if the stream were destroyed.
    server_stream& operator=(server_stream&& other) noexcept
    {
        server_stream taken{std::move(other)};
        impl_.swap(taken.impl_);
        return *this;
    }

    /// Closes the socket, without close_notify. Pending operations end with `asio::error::operation_aborted`.
    ~server_stream()
    {
        if (impl_)
            impl_->close();
    }

    [[nodiscard]] executor_type get_executor() noexcept { return impl_->next.get_executor(); }
    [[nodiscard]] next_layer_type& next_layer() noexcept { return impl_->next; }
    [[nodiscard]] next_layer_type const& next_layer() const noexcept { return impl_->next; }

    /// The TCP socket at the bottom.
    [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return detail::lowest_socket(next_layer()); }
    [[nodiscard]] native_handle_type native_handle() noexcept { return impl_->tls.engine.native_handle(); }

    /// How the handshake went: resumed or not, and why not.
    [[nodiscard]] handshake_info const& handshake() const noexcept { return impl_->accept.info(); }

    /// What the client asked for. After the handshake, what it offered to resume by (PSK identities, the binder, the
    /// ticket's name) is forgotten: that may be 128 KB.
    [[nodiscard]] client_hello const& hello() const noexcept { return impl_->accept.hello(); }

    /** True from the end of `async_handshake`, if the client's early data was accepted, until the handshake is complete.

        What is read meanwhile may be a copy that somebody sends: do nothing that must not be done twice, or wait with
        `async_finish_handshake` (RFC 8446, 8; RFC 8470, 3). What is written meanwhile reaches the client a round trip sooner.
    */
    [[nodiscard]] bool is_early() const noexcept { return impl_->tls.engine.is_early(); }

    /** Accept the TLS connection: read the ClientHello, choose the host, look its session up, shake hands.

        A storage that is slow or broken costs only time: after `session_cache_options::lookup_timeout` the handshake runs
        in full. With early data (`session_cache_options::early_data`) it ends as soon as that can be read, which
        `handshake_info::early_data` and `is_early` tell; reading completes the handshake. A client that has finished its handshake and goes away before it reads its tickets is not a failure: what
        it wrote can be read.

        @par Completion Signature
        @code void(error_code, handshake_info) @endcode

        @par Errors
        @li `asio::error::timed_out` after `server_options::handshake_timeout`; the socket is closed. A storage that is being
            asked then may add its `lookup_timeout`.
        @li `errc::unknown_host`, if the selector knows no such host.
        @li `asio::ssl::error::stream_truncated`, if the client closed during the handshake.
        @li `errc::operation_in_progress`, `errc::already_connected`, `errc::stream_closed`, if a handshake is pending, is
            complete, or has failed.
        @li Socket and OpenSSL errors, unchanged; `http request` for plain HTTP on the TLS port. The alert was sent. If the
            client's certificate was not verified, `handshake_info::failure` says why.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_handshake(Token&& token = {})
    {
        return detail::initiate<handshake_info>(
            get_executor(), [self = impl_, at = impl_->at] { return self->handshake(self, at); },
            std::forward<Token>(token));
    }

    /** Accept a TLS connection of which the first bytes have been read already, for example by `beast::async_detect_ssl`.

        @param first What the caller has read from the next layer; all of it is taken, and copied before the function
            returns. The ClientHello may continue in the socket.

        Everything else is as for async_handshake without the bytes.
    */
    template <class ConstBufferSequence,
              asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
        requires(asio::is_const_buffer_sequence<ConstBufferSequence>::value)
    auto async_handshake(ConstBufferSequence const& first, Token&& token = {})
    {
        std::vector<unsigned char> bytes(asio::buffer_size(first));
        asio::buffer_copy(asio::buffer(bytes), first);
        return detail::initiate<handshake_info>(
            get_executor(), [self = impl_, at = impl_->at, bytes = std::move(bytes)]() mutable
            { return self->handshake(self, at, std::move(bytes)); }, std::forward<Token>(token));
    }

    /** Complete a handshake that `is_early`; at once, if it is not.

        Early data that was not read yet is kept for later reads; it is then known that the client is there, and that it has
        sent them just now.

        @par Completion Signature
        @code void(error_code) @endcode

        @par Errors
        @li `asio::error::timed_out` after `server_options::handshake_timeout`; the socket is closed.
        @li Socket and OpenSSL errors, unchanged.
    */
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_finish_handshake(Token&& token = {})
    {
        return detail::initiate<void>(
            get_executor(), [self = impl_] { return self->finish_handshake(self); }, std::forward<Token>(token));
    }

    /** Send close_notify, wait for the peer's, close the socket; bounded by `server_options::shutdown_timeout`.

        A client may still be sending, for example a request that was refused because of its head. Then the send direction of
        the socket is shut down, and input is dropped until the client stops, the timeout is over, or
        `server_options::linger_bytes` have arrived. Otherwise TCP would reset the connection, and the client could lose the
        response (RFC 9112, 9.6).

        How the peer takes it is its business, so everything but cancellation is success.

        @par Completion Signature
        @code void(error_code) @endcode
    */
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_shutdown(Token&& token = {})
    {
        return detail::initiate<void>(
            get_executor(), [self = impl_] { return self->shutdown(self); }, std::forward<Token>(token));
    }

    /// Close the socket at once, without close_notify. Pending operations end with `asio::error::operation_aborted`.
    void close() noexcept { impl_->close(); }

    /// As AsyncReadStream. `errc::never_connected` before the handshake, `errc::operation_in_progress` during it,
    /// `errc::stream_closed` after a shutdown or close, or a handshake that failed. It supports `terminal`, `partial` and `total` cancellation: what a cancelled read does not
    /// deliver, the next one does.
    template <class MutableBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = default_token>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token = {})
    {
        auto begin = [](impl& self, auto held, auto handler, MutableBufferSequence const& into)
        {
            auto const first = detail::first_of<asio::mutable_buffer>(into);
            tls_stream::async_perform(
                std::move(held),
                self.completing([first](detail::tls_engine& e) { return e.read(detail::to_span(first)); }),
                asio::enable_total_cancellation{}, std::move(handler));
        };
        return start(begin, buffers, std::forward<Token>(token));
    }

    /// As AsyncWriteStream. Small buffers of one sequence travel in one TLS record.
    template <class ConstBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = default_token>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token = {})
    {
        auto begin = [](impl& self, auto held, auto handler, ConstBufferSequence const& from)
        { tls_stream::async_write_some(std::move(held), self.joined(from), std::move(handler)); };
        return start(begin, buffers, std::forward<Token>(token));
    }

private:
    using tls_stream = detail::tls_stream<NextLayer>;

    enum class phase
    {
        fresh,
        shaking_hands,
        open,
        closed,
    };

    // Operations hold it, so that the stream may go first.
    struct impl
    {
        impl(NextLayer n, session_cache const& cache, server_options o)
            : options(std::move(o)), next(std::move(n)), accept(cache), tls(next, accept.make_ssl())
        {
        }

        using pointer = std::shared_ptr<impl>;

        server_options options;
        NextLayer next;
        detail::server_handshake accept; // outlives the SSL, which points to it
        tls_stream tls;
        detail::coalescer joined;
        phase at = phase::fresh;

        auto& socket() noexcept { return detail::lowest_socket(next); }

        void close() noexcept
        {
            at = phase::closed;
            error_code ignored;
            socket().close(ignored);
            tls.close();
        }

        [[nodiscard]] static typename tls_stream::holder held(pointer self)
        {
            auto* const tls = &self->tls;
            return {nullptr, std::shared_ptr<tls_stream>{std::move(self), tls}};
        }

        // Why reading or writing cannot begin.
        [[nodiscard]] error_code why_not_usable() const
        {
            switch (at)
            {
            case phase::fresh: return errc::never_connected;
            case phase::shaking_hands: return errc::operation_in_progress;
            case phase::open: return {};
            case phase::closed: break;
            }
            return errc::stream_closed;
        }

        using result = detail::outcome<handshake_info>;

        // @param asked The phase when the operation was asked for.
        asio::awaitable<result> handshake(pointer self, phase asked, std::vector<unsigned char> first = {})
        {
            if (asked == phase::fresh && at == phase::closed)
                co_return result{asio::error::operation_aborted};
            if (at != phase::fresh)
                co_return result{at == phase::open ? error_code{errc::already_connected} : why_not_usable()};
            at = phase::shaking_hands;
            tls.engine.feed_copy(first);
            if (options.no_delay)
            {
                error_code ignored; // an optimisation; not every socket is TCP
                socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
            }
            auto const ex = co_await asio::this_coro::executor;
            detail::watchdog const dog{ex, options.handshake_timeout, [this] { close(); }};
            accept.begin(options.select_host != nullptr);
            auto ec = co_await shake_hands(self);
            if (dog.expired())
                ec = asio::error::timed_out;
            accept.end(ec);
            if (at == phase::shaking_hands)
                at = ec ? phase::closed : phase::open;
            co_return result{ec, accept.info()};
        }

        asio::awaitable<error_code> shake_hands(pointer self)
        {
            for (;;)
            {
                auto const advance = [this](detail::tls_engine& engine)
                { return accept.shake_hands(engine, next.get_executor()); };
                auto const [ec, none] = co_await tls_stream::async_perform(
                    held(self), advance, asio::enable_terminal_cancellation{}, asio::as_tuple(asio::use_awaitable));
                if (accept.step() == detail::server_step::done)
                    // In TLS 1.3 only tickets are left to be written. A client that has closed meanwhile does not want
                    // them; what it wrote before can still be read.
                    co_return accept.info().protocol == tls_version::tls13&& ec != asio::error::operation_aborted
                        ? error_code{}
                        : ec;
                if (ec)
                    co_return accept.explain(ec);
                try
                {
                    if (auto const failure = co_await perform_step())
                        co_return failure;
                }
                catch (std::bad_alloc const&)
                {
                    accept.skip_step();
                }
            }
        }

        // Await the answer that the handshake's current step needs.
        asio::awaitable<error_code> perform_step()
        {
            switch (accept.step())
            {
            case detail::server_step::choose_host:
            {
                auto chosen = co_await detail::with_timeout(options.handshake_timeout,
                                                            detail::ask(options.select_host, accept.hello()));
                if (chosen.status == detail::timed_status::late)
                {
                    close();
                    co_return asio::error::timed_out;
                }
                accept.use_host(chosen);
                break;
            }
            case detail::server_step::fetch_keys:
                co_await accept.fetch_keys();
                accept.keys_fetched();
                break;
            case detail::server_step::look_up: accept.found(co_await accept.look_up()); break;
            case detail::server_step::strike: accept.struck(co_await accept.strike_guard()); break;
            case detail::server_step::read_hello:
            case detail::server_step::enter_host:
            case detail::server_step::plan_lookup:
            case detail::server_step::plan_guard:
            case detail::server_step::proceed:
            case detail::server_step::shake_hands:
            case detail::server_step::done: break; // nothing is awaited
            }
            co_return error_code{};
        }

        // A step that may complete the handshake.
        template <class Step>
        auto completing(Step step)
        {
            return [this, step](detail::tls_engine& engine)
            {
                auto const ended = step(engine);
                if (accept.has_new_sessions())
                    accept.store_new_sessions(next.get_executor());
                return ended;
            };
        }

        asio::awaitable<detail::outcome<void>> finish_handshake(pointer self)
        {
            if (auto const ec = why_not_usable())
                co_return detail::outcome<void>{ec};
            if (!tls.engine.is_early())
                co_return detail::outcome<void>{};
            auto const ex = co_await asio::this_coro::executor;
            detail::watchdog const dog{ex, options.handshake_timeout, [this] { close(); }};
            auto const finish = completing([](detail::tls_engine& e) { return e.finish(); });
            auto const [ec, none] = co_await tls_stream::async_perform(
                held(self), finish, asio::enable_terminal_cancellation{}, asio::as_tuple(asio::use_awaitable));
            co_return detail::outcome<void>{dog.expired() ? asio::error::timed_out : ec};
        }

        asio::awaitable<detail::outcome<void>> shutdown(pointer self)
        {
            if (at == phase::closed)
            {
                close(); // a handshake that has failed leaves the socket open
                co_return detail::outcome<void>{};
            }
            auto const shut_down = completing([](detail::tls_engine& e) { return e.shut_down(); });
            detail::socket_linger<lowest_layer_type> const linger{options.linger_bytes, socket()};
            co_return co_await detail::shut_down<NextLayer>(
                held(self), options.shutdown_timeout, [this] { close(); }, shut_down, linger);
        }
    };

    // Reading or writing, which takes a connection.
    template <class Begin, class Buffers, class Token>
    auto start(Begin begin, Buffers const& buffers, Token&& token)
    {
        auto if_usable = [](auto handler, std::shared_ptr<impl> self, Begin const& then, Buffers const& b)
        {
            auto& i = *self;
            if (auto const ec = i.why_not_usable())
                asio::post(i.next.get_executor(), asio::append(std::move(handler), ec, std::size_t{0}));
            else
                then(i, impl::held(std::move(self)), std::move(handler), b);
        };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiation{get_executor(), std::move(if_usable)}, token, impl_, begin, buffers);
    }

    std::shared_ptr<impl> impl_; // also for moving: operations and OpenSSL hold its address
};

/// Closes the transport when a WebSocket on top has said goodbye.
template <class NextLayer, class Handler>
void async_teardown(boost::beast::role_type, server_stream<NextLayer>& stream, Handler&& handler)
{
    stream.async_shutdown(std::forward<Handler>(handler));
}

/// The same where nobody waits: the socket is closed at once.
template <class NextLayer>
void teardown(boost::beast::role_type, server_stream<NextLayer>& stream, error_code& ec)
{
    ec = {};
    stream.close();
}

} // namespace reprise
