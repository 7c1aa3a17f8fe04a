// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>

using namespace test;

TEST_SUITE_BEGIN("the popular answer, without reprise");

namespace {

using plain_stream = asio::ssl::stream<tcp::socket>;

// SSL_get1_session right after the handshake, as the popular answer has it.
asio::awaitable<reprise::ssl_session_ptr> connect_and_keep(plain_stream& stream, tcp::endpoint to,
                                                           SSL_SESSION* offered = nullptr)
{
    co_await stream.next_layer().async_connect(to, asio::use_awaitable);
    stream.set_verify_callback(asio::ssl::host_name_verification("localhost"));
    if (offered != nullptr)
        CHECK(SSL_set_session(stream.native_handle(), offered) == 1);
    co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
    co_return reprise::ssl_session_ptr{SSL_get1_session(stream.native_handle())};
}

asio::awaitable<error_code> read_to_the_end(plain_stream& stream)
{
    std::string data;
    auto const [ec, size] = co_await asio::async_read(stream, asio::dynamic_buffer(data), asio::transfer_all(),
                                                      asio::as_tuple(asio::use_awaitable));
    co_return ec;
}

} // namespace

TEST_CASE("under TLS 1.3 it keeps what cannot be resumed, and says nothing")
{
    world w{{.of = kinds[2]}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            plain_stream first{executor_of(w.io), w.client_tls};
            auto const kept = co_await connect_and_keep(first, w.srv.endpoint());
            CHECK(SSL_SESSION_is_resumable(kept.get()) == 0);
            co_await read_to_the_end(first);
            plain_stream second{executor_of(w.io), w.client_tls};
            co_await connect_and_keep(second, w.srv.endpoint(), kept.get());
            CHECK(SSL_session_reused(second.native_handle()) == 0);
            co_await read_to_the_end(second);
        });
    CHECK_FALSE(w.srv.handshakes.at(1).resumed());
}

TEST_CASE("under TLS 1.2 it works, until a connection ends without close_notify")
{
    bool truncate = false;
    world w{{.of = kinds[1],
             .talk = [&truncate](server_side& stream) -> asio::awaitable<void>
             {
                 if (truncate)
                     stream.close();
                 else
                     co_await answer_and_shut_down(stream);
             }}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            plain_stream first{executor_of(w.io), w.client_tls};
            auto const kept = co_await connect_and_keep(first, w.srv.endpoint());
            CHECK((co_await read_to_the_end(first)) == asio::error::eof);
            SSL_shutdown(first.native_handle());

            truncate = true;
            {
                plain_stream second{executor_of(w.io), w.client_tls};
                co_await connect_and_keep(second, w.srv.endpoint(), kept.get());
                CHECK(SSL_session_reused(second.native_handle()) == 1);
                CHECK((co_await read_to_the_end(second)) == asio::ssl::error::stream_truncated);
            }
            CHECK(SSL_SESSION_is_resumable(kept.get()) == 0);

            plain_stream third{executor_of(w.io), w.client_tls};
            co_await connect_and_keep(third, w.srv.endpoint(), kept.get());
            CHECK(SSL_session_reused(third.native_handle()) == 0);
            co_await read_to_the_end(third);
        });
    CHECK(w.srv.handshakes.at(1).resumed());
    CHECK_FALSE(w.srv.handshakes.at(2).resumed());
}

TEST_SUITE_END();
