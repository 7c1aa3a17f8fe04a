// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "endpoints.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/detail/server/server_handshake.hpp>
#include <reprise/memory_session_store.hpp>
#include <reprise/server_stream.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace bench {

namespace {

// The session of a client that resumes by hand: the last one, with a reference of its own.
class kept_session
{
public:
    explicit kept_session(bool wanted) : wanted_(wanted) {}

    void offer(SSL* ssl)
    {
        if (session_)
            SSL_set_session(ssl, session_.get());
    }

    void keep(SSL* ssl)
    {
        if (wanted_)
            session_.reset(SSL_get1_session(ssl));
    }

private:
    bool wanted_;
    reprise::ssl_session_ptr session_;
};

// True at the peer's close_notify.
bool has_ended(SSL* ssl)
{
    char byte = 0;
    int result = 1;
    while (result == 1)
        result = SSL_read(ssl, &byte, 1);
    return SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN;
}

class raw_end : public end
{
public:
    explicit raw_end(asio::ssl::context tls) : tls_(std::move(tls)) {}

    void start() override
    {
        ssl_.reset(SSL_new(tls_.native_handle()));
        in_ = BIO_new(BIO_s_mem());
        out_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_.get(), in_, out_);
        is_connected_ = false;
        done_ = false;
        set_up(ssl_.get());
    }

    void step() override
    {
        BIO_write(in_, wire.in.data(), static_cast<int>(wire.in.size()));
        wire.in.clear();
        if (!is_connected_ && SSL_do_handshake(ssl_.get()) == 1)
        {
            is_connected_ = true;
            resumed_ = SSL_session_reused(ssl_.get()) == 1;
            connected(ssl_.get());
        }
        if (is_connected_ && !done_)
            done_ = talk(ssl_.get());
        char* data = nullptr;
        auto const size = BIO_get_mem_data(out_, &data);
        wire.out.append(data, static_cast<std::size_t>(size));
        (void)BIO_reset(out_);
    }

    void finish() override { ssl_.reset(); }
    [[nodiscard]] bool done() const override { return done_; }
    [[nodiscard]] bool resumed() const override { return resumed_; }

private:
    virtual void set_up(SSL* ssl) = 0;
    virtual void connected(SSL*) {}
    virtual bool talk(SSL* ssl) = 0;

    asio::ssl::context tls_;
    reprise::ssl_ptr ssl_;
    BIO* in_ = nullptr;  // the SSL's
    BIO* out_ = nullptr; // the SSL's
    bool is_connected_ = false;
    bool done_ = false;
    bool resumed_ = false;
};

asio::ssl::context plain_server_context(kind const& k)
{
    auto tls = server_context(k);
    resume_by_hand(tls.native_handle(), k);
    return tls;
}

class raw_server final : public raw_end
{
public:
    explicit raw_server(kind const& k) : raw_end(plain_server_context(k)) {}

private:
    void set_up(SSL* ssl) override { SSL_set_accept_state(ssl); }

    void connected(SSL* ssl) override
    {
        SSL_write(ssl, "!", 1);
        SSL_shutdown(ssl);
    }

    bool talk(SSL* ssl) override { return has_ended(ssl); }
};

class raw_client final : public raw_end
{
public:
    raw_client(kind const& k, bool resume) : raw_end(client_context(k)), kept_(resume) {}

private:
    void set_up(SSL* ssl) override
    {
        SSL_set_connect_state(ssl);
        name_peer(ssl);
        kept_.offer(ssl);
    }

    bool talk(SSL* ssl) override
    {
        if (!has_ended(ssl))
            return false;
        kept_.keep(ssl);
        SSL_shutdown(ssl);
        return true;
    }

    kept_session kept_;
};

/* The handshake runs in a coroutine that waits for input, as in any server on Asio. It is one coroutine for all
   connections: what it costs to start one is no cost of the cache. */
class cache_server final : public end
{
public:
    explicit cache_server(kind const& k) : tls_(server_context(k)), cache_(resume_with_reprise(tls_, k))
    {
        asio::co_spawn(io_, serve(), asio::detached);
        io_.poll();
    }

    void start() override
    {
        engine_.reset();
        accept_.emplace(cache_);
        engine_.emplace(accept_->make_ssl());
        accept_->begin(false);
        is_connected_ = false;
        done_ = false;
    }

    void step() override
    {
        if (wire.in.empty())
            return;
        auto const room = engine_->room();
        engine_->feed(asio::buffer_copy(asio::buffer(room.data(), room.size()), asio::buffer(wire.in)));
        wire.in.clear();
        if (!is_connected_)
            std::exchange(input_arrived_, nullptr)();
        if (is_connected_)
            done_ = has_ended(engine_->native_handle());
        for (auto output = engine_->output(); !output.empty(); output = engine_->output())
        {
            wire.out.append(reinterpret_cast<char const*>(output.data()), output.size());
            engine_->sent(output.size());
        }
    }

    void finish() override
    {
        engine_.reset();
        io_.restart();
        io_.poll(); // what is written behind the handshake
    }
    [[nodiscard]] bool done() const override { return done_; }
    [[nodiscard]] bool resumed() const override { return accept_->info().resumed(); }

private:
    asio::awaitable<void> serve()
    {
        for (;;)
        {
            co_await asio::async_initiate<asio::use_awaitable_t<> const, void()>(
                [this](auto handler)
                {
                    auto const shared = std::make_shared<decltype(handler)>(std::move(handler));
                    input_arrived_ = [shared] { std::move (*shared)(); };
                },
                asio::use_awaitable);
            co_await shake_hands();
        }
    }

    asio::awaitable<void> shake_hands()
    {
        using reprise::detail::server_step;
        (void)accept_->shake_hands(*engine_, io_.get_executor());
        while (accept_->step() == server_step::look_up)
        {
            accept_->found(co_await accept_->look_up());
            (void)accept_->shake_hands(*engine_, io_.get_executor());
        }
        if (accept_->step() != server_step::done)
            co_return;
        accept_->end({});
        is_connected_ = true;
        (void)engine_->write(reprise::as_bytes("!"));
        SSL_shutdown(engine_->native_handle());
    }

    asio::io_context io_{1};
    std::function<void()> input_arrived_; // goes before io_: it holds the coroutine
    asio::ssl::context tls_;
    reprise::session_cache cache_;
    std::optional<reprise::detail::server_handshake> accept_; // outlives the SSL, which points to it
    std::optional<reprise::detail::tls_engine> engine_;
    bool is_connected_ = false;
    bool done_ = false;
};

class coroutine_end : public end
{
public:
    void start() override
    {
        done_ = false;
        asio::co_spawn(io_, connection(),
                       [this](std::exception_ptr e)
                       {
                           if (e)
                               std::rethrow_exception(e);
                           done_ = true;
                       });
    }

    void step() override
    {
        wire.deliver();
        io_.restart();
        io_.poll();
    }

    void finish() override {}
    [[nodiscard]] bool done() const override { return done_; }
    [[nodiscard]] bool resumed() const override { return resumed_; }

protected:
    [[nodiscard]] memory_layer layer() { return {io_.get_executor(), wire}; }
    void set_resumed(bool yes) { resumed_ = yes; }

    template <class Stream>
    static asio::awaitable<void> read_to_the_end(Stream& stream)
    {
        char byte = 0;
        boost::system::error_code ec;
        while (!ec)
        {
            auto const result =
                co_await stream.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
            ec = std::get<0>(result);
        }
        if (ec != asio::error::eof)
            throw boost::system::system_error{ec};
    }

private:
    virtual asio::awaitable<void> connection() = 0;

    asio::io_context io_{1};
    bool done_ = false;
    bool resumed_ = false;
};

using plain_stream = asio::ssl::stream<memory_layer>;

class asio_server final : public coroutine_end
{
public:
    explicit asio_server(kind const& k) : tls_(plain_server_context(k)) {}

private:
    asio::awaitable<void> connection() override
    {
        plain_stream stream{layer(), tls_};
        co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
        set_resumed(SSL_session_reused(stream.native_handle()) == 1);
        co_await asio::async_write(stream, asio::buffer("!", 1), asio::use_awaitable);
        co_await stream.async_shutdown(asio::use_awaitable);
    }

    asio::ssl::context tls_;
};

class asio_client final : public coroutine_end
{
public:
    asio_client(kind const& k, bool resume) : tls_(client_context(k)), kept_(resume) {}

private:
    asio::awaitable<void> connection() override
    {
        plain_stream stream{layer(), tls_};
        name_peer(stream.native_handle());
        kept_.offer(stream.native_handle());
        co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
        set_resumed(SSL_session_reused(stream.native_handle()) == 1);
        co_await read_to_the_end(stream);
        kept_.keep(stream.native_handle());
        co_await stream.async_shutdown(asio::use_awaitable);
    }

    asio::ssl::context tls_;
    kept_session kept_;
};

class reprise_server final : public coroutine_end
{
public:
    explicit reprise_server(kind const& k) : tls_(server_context(k)), cache_(resume_with_reprise(tls_, k)) {}

private:
    asio::awaitable<void> connection() override
    {
        reprise::server_stream<memory_layer> stream{layer(), cache_};
        co_await stream.async_handshake();
        set_resumed(stream.handshake().resumed());
        co_await asio::async_write(stream, asio::buffer("!", 1), asio::use_awaitable);
        co_await stream.async_shutdown();
    }

    asio::ssl::context tls_;
    reprise::session_cache cache_;
};

class reprise_client final : public coroutine_end
{
public:
    reprise_client(kind const& k, bool resume) : tls_(client_context(k)), resume_(resume) {}

private:
    using stream_type = reprise::client_stream<memory_layer>;

    asio::awaitable<void> connection() override
    {
        reprise::client_options const options;
        std::optional<stream_type> stream;
        if (resume_)
            stream.emplace(layer(), tls_, *store_, options);
        else
            stream.emplace(layer(), tls_, options);
        co_await stream->async_handshake("localhost", "443");
        set_resumed(stream->handshake().resumed());
        co_await read_to_the_end(*stream);
        co_await stream->async_shutdown();
    }

    asio::ssl::context tls_;
    std::shared_ptr<reprise::memory_session_store> store_ = reprise::memory_session_store::make();
    bool resume_;
};

} // namespace

std::string_view to_string(maker m)
{
    switch (m)
    {
    case maker::raw: return "raw";
    case maker::cache: return "cache";
    case maker::asio: return "asio";
    case maker::reprise: return "reprise";
    }
    throw std::logic_error{"no such maker"};
}

std::unique_ptr<end> make_server(maker m, kind const& k)
{
    switch (m)
    {
    case maker::raw: return std::make_unique<raw_server>(k);
    case maker::cache: return std::make_unique<cache_server>(k);
    case maker::asio: return std::make_unique<asio_server>(k);
    case maker::reprise: return std::make_unique<reprise_server>(k);
    }
    throw std::logic_error{"no such maker"};
}

std::unique_ptr<end> make_client(maker m, kind const& k, bool resume)
{
    switch (m)
    {
    case maker::raw: return std::make_unique<raw_client>(k, resume);
    case maker::cache: break;
    case maker::asio: return std::make_unique<asio_client>(k, resume);
    case maker::reprise: return std::make_unique<reprise_client>(k, resume);
    }
    throw std::logic_error{"no such maker"};
}

} // namespace bench
