// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/error.hpp>
#include <reprise/io/coalesce.hpp>
#include <reprise/io/default_socket.hpp>
#include <reprise/io/initiate.hpp>
#include <reprise/io/initiation.hpp>
#include <reprise/io/lowest_socket.hpp>
#include <reprise/io/shut_down.hpp>
#include <reprise/io/tls_stream.hpp>
#include <reprise/io/watchdog.hpp>
#include <reprise/io/within.hpp>
#include <reprise/server/accept.hpp>
#include <reprise/server/server_options.hpp>
#include <reprise/server/session_cache.hpp>
#include <reprise/tls/handshake_info.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <utility>

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
    using lowest_layer_type = std::remove_reference_t<decltype(detail::lowest_socket(std::declval<NextLayer&>()))>;
    using native_handle_type = SSL*;

    /// A stream on an accepted connection. With `server_options::select_host` the cache is only the start: it supplies
    /// OpenSSL's callbacks and its built-in ticket key.
    server_stream(NextLayer next, session_cache const& cache, server_options options)
        : impl_(std::make_unique<impl>(std::move(next), cache, std::move(options)))
    {
    }

    /// With default options. Not a default argument: GCC 12 copies an aggregate temporary bit by bit where the same
    /// expression awaits.
    server_stream(NextLayer next, session_cache const& cache) : server_stream(std::move(next), cache, server_options{})
    {
    }

    server_stream(server_stream&&) noexcept = default;
    server_stream& operator=(server_stream&&) noexcept = default;
    ~server_stream() = default;

    [[nodiscard]] executor_type get_executor() noexcept { return impl_->next.get_executor(); }
    [[nodiscard]] next_layer_type& next_layer() noexcept { return impl_->next; }
    [[nodiscard]] next_layer_type const& next_layer() const noexcept { return impl_->next; }

    /// The TCP socket at the bottom.
    [[nodiscard]] lowest_layer_type& lowest_layer() noexcept { return detail::lowest_socket(next_layer()); }
    [[nodiscard]] native_handle_type native_handle() noexcept { return impl_->tls.engine.native_handle(); }

    /// How the handshake went: resumed or not, and why not.
    [[nodiscard]] handshake_info const& handshake() const noexcept { return impl_->accept.info(); }

    /// What the client asked for.
    [[nodiscard]] client_hello const& hello() const noexcept { return impl_->accept.hello(); }

    /** True from the end of `async_handshake`, if the client's early data was accepted, until the handshake is complete.

        What is read meanwhile may be a copy that somebody sends: do nothing that must not be done twice, or wait with
        `async_finish_handshake` (RFC 8446, 8; RFC 8470, 3). What is written meanwhile reaches the client a round trip sooner.
    */
    [[nodiscard]] bool is_early() const noexcept { return impl_->tls.engine.is_early(); }

    /** Accept the TLS connection: read the ClientHello, choose the host, look its session up, shake hands.

        A storage that is slow or broken costs only time: after `session_cache_options::lookup_deadline` the handshake runs
        in full. With early data (`session_cache_options::early_data`) it ends as soon as that can be read, which
        `handshake_info::early_data` and `is_early` tell; reading completes the handshake. A client that has finished its handshake and goes away before it reads its tickets is not a failure: what
        it wrote can be read.

        @par Completion Signature
        @code void(error_code, handshake_info) @endcode

        @par Errors
        @li `asio::error::timed_out` after `server_options::handshake_timeout`; the socket is closed. A storage that is being
            asked then may add its `lookup_deadline`.
        @li `errc::unknown_host`, if the selector knows no such host.
        @li `asio::ssl::error::stream_truncated`, if the client closed during the handshake.
        @li Socket and OpenSSL errors, unchanged; `http request` for plain HTTP on the TLS port. The alert was sent.
    */
    template <asio::completion_token_for<void(error_code, handshake_info)> Token = asio::use_awaitable_t<>>
    auto async_handshake(Token&& token = {})
    {
        return detail::initiate<handshake_info>(
            get_executor(), [self = impl_.get()] { return self->handshake(); }, std::forward<Token>(token));
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
    template <asio::completion_token_for<void(error_code)> Token = asio::use_awaitable_t<>>
    auto async_finish_handshake(Token&& token = {})
    {
        return detail::initiate<void>(
            get_executor(), [self = impl_.get()] { return self->finish_handshake(); }, std::forward<Token>(token));
    }

    /** Send close_notify, wait for the peer's, close the socket; bounded by `server_options::shutdown_timeout`.

        How the peer takes it is its business, so everything but cancellation is success.

        @par Completion Signature
        @code void(error_code) @endcode
    */
    template <asio::completion_token_for<void(error_code)> Token = asio::use_awaitable_t<>>
    auto async_shutdown(Token&& token = {})
    {
        return detail::initiate<void>(
            get_executor(), [self = impl_.get()] { return self->shutdown(); }, std::forward<Token>(token));
    }

    /// Close the socket at once, without close_notify.
    void close() noexcept { impl_->close(); }

    /// As AsyncReadStream. It supports `terminal`, `partial` and `total` cancellation: what a cancelled read does not
    /// deliver, the next one does.
    template <class MutableBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = asio::use_awaitable_t<>>
    auto async_read_some(MutableBufferSequence const& buffers, Token&& token = {})
    {
        return impl_->async_read_some(buffers, std::forward<Token>(token));
    }

    /// As AsyncWriteStream. Small buffers of one sequence travel in one TLS record.
    template <class ConstBufferSequence,
              asio::completion_token_for<void(error_code, std::size_t)> Token = asio::use_awaitable_t<>>
    auto async_write_some(ConstBufferSequence const& buffers, Token&& token = {})
    {
        auto start = [self = impl_.get()](auto handler, ConstBufferSequence const& from)
        { self->tls.async_write_some(self->joined(from), std::move(handler)); };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            detail::initiation{get_executor(), std::move(start)}, token, buffers);
    }

private:
    struct impl
    {
        impl(NextLayer n, session_cache const& cache, server_options o)
            : options(std::move(o)), next(std::move(n)), accept(cache), tls(next, accept.make_ssl())
        {
        }

        server_options options;
        NextLayer next;
        detail::acceptor accept; // outlives the SSL, which points to it
        detail::tls_stream<NextLayer> tls;
        detail::coalescer joined;

        auto& socket() noexcept { return detail::lowest_socket(next); }

        void close() noexcept
        {
            error_code ignored;
            socket().close(ignored);
        }

        using result = detail::outcome<handshake_info>;

        asio::awaitable<result> handshake()
        {
            if (options.no_delay)
            {
                error_code ignored; // an optimisation; not every socket is TCP
                socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
            }
            auto const ex = co_await asio::this_coro::executor;
            detail::watchdog const dog{ex, options.handshake_timeout, [this] { close(); }};
            accept.begin(options.select_host != nullptr);
            auto ec = co_await shake_hands();
            if (dog.has_barked())
                ec = asio::error::timed_out;
            accept.end(ec);
            co_return result{ec, accept.info()};
        }

        asio::awaitable<error_code> shake_hands()
        {
            for (;;)
            {
                auto const [ec, none] = co_await tls.async_perform(
                    [this](detail::tls_engine& engine) { return accept.shake_hands(engine, next.get_executor()); },
                    asio::enable_terminal_cancellation{}, asio::as_tuple(asio::use_awaitable));
                auto const step = accept.next();
                if (step == detail::accept_step::done)
                    // In TLS 1.3 only tickets are left to be written. A client that has closed meanwhile does not want
                    // them; what it wrote before can still be read.
                    co_return accept.info().protocol == tls_version::tls13&& ec != asio::error::operation_aborted
                        ? error_code{}
                        : ec;
                if (ec)
                    co_return accept.explain(ec);
                if (step == detail::accept_step::choose_host)
                    accept.use_host(co_await detail::within(options.handshake_timeout,
                                                            detail::ask(options.select_host, accept.hello())));
                else if (step == detail::accept_step::learn_keys)
                {
                    co_await accept.learn_keys();
                    accept.learned();
                }
                else if (step == detail::accept_step::look_up)
                    accept.found(co_await accept.look_up());
                else if (step == detail::accept_step::ask_guard)
                    accept.guarded(co_await accept.ask_guard());
            }
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

        template <class MutableBufferSequence, class Token>
        auto async_read_some(MutableBufferSequence const& buffers, Token&& token)
        {
            auto const into = detail::first_of<asio::mutable_buffer>(buffers);
            return tls.async_perform(
                completing([into](detail::tls_engine& e) { return e.read(detail::to_span(into)); }),
                asio::enable_total_cancellation{}, std::forward<Token>(token));
        }

        asio::awaitable<detail::outcome<void>> finish_handshake()
        {
            if (!tls.engine.is_early())
                co_return detail::outcome<void>{};
            auto const ex = co_await asio::this_coro::executor;
            detail::watchdog const dog{ex, options.handshake_timeout, [this] { close(); }};
            auto const [ec, none] =
                co_await tls.async_perform(completing([](detail::tls_engine& e) { return e.finish(); }),
                                           asio::enable_terminal_cancellation{}, asio::as_tuple(asio::use_awaitable));
            co_return detail::outcome<void>{dog.has_barked() ? asio::error::timed_out : ec};
        }

        asio::awaitable<detail::outcome<void>> shutdown()
        {
            return detail::shut_down(
                tls, options.shutdown_timeout, [this] { close(); },
                completing([](detail::tls_engine& e) { return e.shut_down(); }));
        }
    };

    std::unique_ptr<impl> impl_; // operations and OpenSSL hold its address, so that the stream can be moved
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
