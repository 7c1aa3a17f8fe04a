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

/** A TLS server stream that resumes: its handshake looks up sessions in the storage of its session_cache.

    The stream satisfies Asio's AsyncReadStream and AsyncWriteStream. So asio::async_read and Beast's HTTP and WebSocket
    work on it.

    @tparam NextLayer A connected TCP socket, or layers on top of one, such as beast::tcp_stream.

    Every operation takes any completion token; without one, the caller awaits the operation. Unless an operation says
    otherwise, it supports `terminal` cancellation, which leaves the stream unusable. An operation that is awaited with
    `use_awaitable` is part of the awaiting coroutine and obeys the cancellation types that this coroutine has enabled.

    @par Object Lifetimes
    The stream keeps the cache and the SSL_CTX. The stream must outlive its operations.

    @par Thread Safety
    Distinct objects: safe. Shared objects: unsafe. If several threads run the io_context, use a strand as executor.
*/
template <class NextLayer = default_socket>
class server_stream
{
public:
    using next_layer_type = NextLayer;
    using executor_type = typename NextLayer::executor_type;

    /// The default completion token of operations: that of the executor, or else `use_awaitable`.
    using default_token = detail::default_token_t<executor_type>;

    /// The stream's type for another executor type, as Asio's I/O objects have it.
    template <class Executor>
    struct rebind_executor
    {
        using other = server_stream<typename NextLayer::template rebind_executor<Executor>::other>;
    };

    using lowest_layer_type = std::remove_reference_t<decltype(detail::lowest_socket(std::declval<NextLayer&>()))>;
    using native_handle_type = SSL*;

    /// Construct a stream on an accepted connection. With `server_options::select_host` the cache only begins the
    /// handshake: it supplies OpenSSL's callbacks and OpenSSL's built-in ticket key.
    server_stream(NextLayer next, session_cache const& cache, server_options options)
        : impl_(std::make_shared<impl>(std::move(next), cache, std::move(options)))
    {
    }

    /// Construct a stream with default options. This is an overload because GCC 12 copies an aggregate temporary in a
    /// default argument bit by bit if the same expression awaits.
    server_stream(NextLayer next, session_cache const& cache) : server_stream(std::move(next), cache, server_options{})
    {
    }

    server_stream(server_stream&&) noexcept = default;

    /// Closes this stream's own connection, as the destructor does, and takes over the connection of `other`.
    server_stream& operator=(server_stream&& other) noexcept
    {
        server_stream taken{std::move(other)};
        impl_.swap(taken.impl_);
        return *this;
    }

    /// Closes the socket without close_notify. Pending operations complete with `asio::error::operation_aborted`.
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

    /// The ClientHello. After the handshake the offers to resume (PSK identities, the binder, the name of the ticket)
    /// are dropped, because they can take 128 KB.
    [[nodiscard]] client_hello const& hello() const noexcept { return impl_->accept.hello(); }

    /** Whether early data was accepted and the handshake is not complete. True from the end of `async_handshake` until
        the handshake is complete.

        Data that is read meanwhile may be a replay. Process only what is safe to replay, or wait with
        `async_finish_handshake` (RFC 8446, 8; RFC 8470, 3). Data that is written meanwhile reaches the client a round
        trip sooner.
    */
    [[nodiscard]] bool is_early() const noexcept { return impl_->tls.engine.is_early(); }

    /** Accept the TLS connection: read the ClientHello, choose the host, look up the session, run the handshake.

        A slow or failing storage costs only time: after `session_cache_options::lookup_timeout` the handshake runs in
        full.

        With early data (`session_cache_options::early_data`) the operation completes as soon as early data can be read.
        `handshake_info::early_data` and `is_early` say so. Reading then completes the handshake.

        If the client closes after its Finished but before it reads its tickets, the handshake still succeeds and the
        client's data can be read.

        @par Completion Signature
        @code void(error_code, handshake_info) @endcode

        @par Errors
        @li `asio::error::timed_out` after `server_options::handshake_timeout`; the socket is closed. A pending lookup
            may add its `lookup_timeout`.
        @li `errc::unknown_host`, if the selector does not know the host.
        @li `asio::ssl::error::stream_truncated`, if the client closed during the handshake.
        @li `errc::operation_in_progress`, `errc::already_connected` or `errc::stream_closed`, if a handshake is
            pending, is complete, or has failed.
        @li Socket and OpenSSL errors, unchanged; `http request` for plain HTTP on the TLS port. The alert was sent. If
            the client's certificate was not verified, `handshake_info::failure` says why.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = default_token>
    auto async_handshake(Token&& token = {})
    {
        return detail::initiate<handshake_info>(
            get_executor(), [self = impl_, at = impl_->at] { return self->handshake(self, at); },
            std::forward<Token>(token));
    }

    /** Accept a TLS connection whose first bytes were already read, for example by `beast::async_detect_ssl`.

        Apart from these bytes the operation is `async_handshake`.

        @param first The bytes that the caller has read from the next layer. All of them are taken, and copied before
            the function returns. The rest of the ClientHello may still be in the socket.
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

    /** Complete the handshake while `is_early`. Completes at once if the handshake is not early.

        Early data that was not read yet is kept for later reads. After success the client is known to be live, and
        early data is known to be no replay.

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

    /** Send close_notify, wait for the client's close_notify, and close the socket. `server_options::shutdown_timeout`
        bounds the operation.

        The client may still be sending, for example a request that was refused because of its head. Then the send
        direction of the socket is shut down, and input is dropped until the client stops, the timeout expires, or
        `server_options::linger_bytes` have arrived. Otherwise TCP would reset the connection, and the client could lose
        the response (RFC 9112, 9.6).

        Succeeds whatever the client does. Only cancellation is an error.

        @par Completion Signature
        @code void(error_code) @endcode
    */
    template <asio::completion_token_for<void(error_code)> Token = default_token>
    auto async_shutdown(Token&& token = {})
    {
        return detail::initiate<void>(
            get_executor(), [self = impl_] { return self->shutdown(self); }, std::forward<Token>(token));
    }

    /// Close the socket at once, without close_notify. Pending operations complete with
    /// `asio::error::operation_aborted`.
    void close() noexcept { impl_->close(); }

    /** Read some data, as AsyncReadStream requires.

        @par Per-Operation Cancellation
        `terminal`, `partial` and `total`. The next read delivers what a cancelled read did not deliver.

        @par Errors
        @li `errc::never_connected` before the handshake, `errc::operation_in_progress` during the handshake.
        @li `errc::stream_closed` after a shutdown, a close, or a failed handshake.
    */
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

    /// Write some data, as AsyncWriteStream requires. Small buffers of one sequence are sent in one TLS record. The
    /// errors before, during and after a connection are those of `async_read_some`.
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

    // Operations share its ownership, so the stream may be destroyed before they end.
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

        // Why reading or writing cannot begin; no error if it can.
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

        // @param asked The phase when the operation was initiated.
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
                    // In TLS 1.3 only tickets are left to write. A client that has closed meanwhile does not need them,
                    // and its data can still be read.
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
            case detail::server_step::refuse_host:
            case detail::server_step::enter_host:
            case detail::server_step::plan_lookup:
            case detail::server_step::plan_guard:
            case detail::server_step::proceed:
            case detail::server_step::shake_hands:
            case detail::server_step::done: break; // nothing is awaited
            }
            co_return error_code{};
        }

        // Wrap a step that may complete the handshake, to store the sessions that it makes.
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
                close(); // a failed handshake leaves the socket open
                co_return detail::outcome<void>{};
            }
            auto const shut_down = completing([](detail::tls_engine& e) { return e.shut_down(); });
            detail::socket_linger<lowest_layer_type> const linger{options.linger_bytes, socket()};
            co_return co_await detail::shut_down<NextLayer>(
                held(self), options.shutdown_timeout, [this] { close(); }, shut_down, linger);
        }
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
                then(i, impl::held(std::move(self)), std::move(handler), b);
        };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiation{get_executor(), std::move(if_usable)}, token, impl_, begin, buffers);
    }

    std::shared_ptr<impl> impl_; // its address stays when the stream is moved: operations and OpenSSL hold it
};

/// Shut down the TLS connection after a WebSocket on top was closed. Beast calls this function.
template <class NextLayer, class Handler>
void async_teardown(boost::beast::role_type, server_stream<NextLayer>& stream, Handler&& handler)
{
    stream.async_shutdown(std::forward<Handler>(handler));
}

/// Close the socket at once: the synchronous counterpart of async_teardown. Beast calls this function.
template <class NextLayer>
void teardown(boost::beast::role_type, server_stream<NextLayer>& stream, error_code& ec)
{
    ec = {};
    stream.close();
}

} // namespace reprise
