// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/accept_each.hpp"
#include "support/harness.hpp"

#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <functional>
#include <string>
#include <vector>

using namespace test;

TEST_SUITE_BEGIN("OpenSSL's table of sessions");

namespace {

long held(asio::ssl::context& tls)
{
    return ::SSL_CTX_sess_number(tls.native_handle());
}

/// Plain OpenSSL: what a server does that knows nothing of this library.
class plain_server
{
public:
    plain_server(asio::io_context& io, asio::ssl::context& tls)
        : tls_(tls), acceptor_(io, tcp::endpoint{asio::ip::address_v4::loopback(), 0})
    {
        asio::co_spawn(io, accept_each(acceptor_, [this](tcp::socket s) { return serve(std::move(s)); }),
                       asio::detached);
    }

    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

    std::vector<bool> resumed;

private:
    asio::awaitable<void> serve(tcp::socket socket)
    {
        auto const no_throw = asio::as_tuple(asio::use_awaitable);
        asio::ssl::stream<tcp::socket> stream{std::move(socket), tls_};
        auto const [ec] = co_await stream.async_handshake(asio::ssl::stream_base::server, no_throw);
        if (ec)
            co_return;
        resumed.push_back(::SSL_session_reused(stream.native_handle()) == 1);
        (void)co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(), no_throw);
        (void)co_await stream.async_shutdown(no_throw);
    }

    asio::ssl::context& tls_;
    tcp::acceptor acceptor_;
};

asio::awaitable<void> visit(client_side& stream, std::string port)
{
    (void)co_await stream.async_connect("localhost", port);
    co_await read_all(stream);
    co_await stream.async_shutdown();
}

// One that serves and connects, which is what asio::ssl::context::tls is.
asio::ssl::context context_for_both(kind const& k)
{
    asio::ssl::context tls{asio::ssl::context::tls};
    auto const own = authority().issue({"localhost"});
    tls.use_certificate_chain(asio::buffer(own.certificate));
    tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
    tls.add_certificate_authority(asio::buffer(authority().pem()));
    set_versions(tls, k.version, k.version);
    if (!k.tickets)
        ::SSL_CTX_set_options(tls.native_handle(), SSL_OP_NO_TICKET);
    ::SSL_CTX_set_num_tickets(tls.native_handle(), 1);
    return tls;
}

} // namespace

TEST_CASE("no session of a client lands there, whatever its context is for")
{
    for (auto const& k : kinds)
        for (auto const method : {asio::ssl::context::tls_client, asio::ssl::context::tls})
            for (bool const resumes : {true, false})
            {
                CAPTURE(std::string{k.name});
                CAPTURE(resumes);
                world w{{.of = k}};
                asio::ssl::context tls{method};
                tls.add_certificate_authority(asio::buffer(authority().pem()));
                set_versions(tls, k.version, k.version);
                w.run(
                    [&]() -> asio::awaitable<void>
                    {
                        for (int i = 0; i < 5; ++i)
                        {
                            reprise::client_options options;
                            options.partition = resumes ? "" : std::to_string(i);
                            client_side stream{w.io.get_executor(), tls, *w.store, std::move(options)};
                            auto const info = co_await w.visit(stream);
                            CHECK(info.resumed() == (resumes && i > 0));
                            CHECK(held(tls) == 0);
                        }
                    });
            }
}

TEST_CASE("a plain server on a client's context goes on storing its sessions there")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        auto tls = context_for_both(k);
        auto const store = reprise::memory_session_store::make();
        client_side first{io.get_executor(), tls, *store}; // before the server's first connection
        plain_server server{io, tls};
        run(io,
            [&]() -> asio::awaitable<void>
            {
                for (int i = 0; i < 3; ++i)
                {
                    client_side stream{io.get_executor(), tls, *store};
                    co_await visit(stream, server.port());
                }
            }());
        CHECK(server.resumed == std::vector<bool>{false, true, true});
        // TLS 1.2: one; stateful TLS 1.3: one for each ticket; with tickets none. The client's are not among them.
        auto const stored = k.tickets ? 0 : k.version == TLS1_2_VERSION ? 1 : 3;
        CHECK(held(tls) == stored);
    }
}

TEST_CASE("a session_cache that uses the table goes on storing there, whichever came first")
{
    for (auto const& k : {kinds[0], kinds[3]})
        for (bool const client_first : {true, false})
        {
            CAPTURE(std::string{k.name});
            CAPTURE(client_first);
            asio::io_context io;
            auto tls = context_for_both(k);
            auto const store = reprise::memory_session_store::make();
            std::optional<client_side> stream;
            if (client_first)
                stream.emplace(io.get_executor(), tls, *store);
            reprise::session_cache_options options;
            options.id_context = "test/v1";
            options.mode = reprise::cache_mode::openssl_internal;
            options.tickets = false;
            reprise::session_cache const cache{tls, std::move(options)};
            server srv{io, cache};
            run(io,
                [&]() -> asio::awaitable<void>
                {
                    for (int i = 0; i < 3; ++i)
                    {
                        stream.emplace(io.get_executor(), tls, *store);
                        co_await visit(*stream, srv.port());
                    }
                }());
            CHECK(cache.stats().resumed == 2);
            CHECK(cache.stats().entries == (k.version == TLS1_2_VERSION ? 1u : 3u));
        }
}

TEST_SUITE_END();
