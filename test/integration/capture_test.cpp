// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <openssl/core_names.h>

#include <algorithm>

using namespace test;

TEST_SUITE_BEGIN("capture");

namespace {

// Says something and goes away without a close_notify: how many servers end a connection.
asio::awaitable<void> answer_and_truncate(server_side& stream)
{
    co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(), asio::use_awaitable);
    stream.close();
}

asio::awaitable<void> answer_and_reset(server_side& stream)
{
    co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(), asio::use_awaitable);
    char byte = 0;
    (void)co_await stream.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
    stream.lowest_layer().set_option(asio::socket_base::linger{true, 0});
    stream.close();
}

asio::awaitable<void> answer_and_wait(server_side& stream)
{
    co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(), asio::use_awaitable);
    char byte = 0;
    (void)co_await stream.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> read_one(client_side& stream)
{
    char byte = 0;
    co_await asio::async_read(stream, asio::buffer(&byte, 1), asio::transfer_all(), asio::use_awaitable);
    CHECK(byte == '!');
}

using ending = std::function<asio::awaitable<void>(client_side&)>;

// Connect and end the connection in some way that is not a shutdown; the next connection must resume.
void resumes_after(conversation const& talk, ending const& end, std::vector<kind> const& which = kinds)
{
    for (auto const& k : which)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k, .talk = talk}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                for (bool const resumed : {false, true, true})
                {
                    auto stream = w.stream();
                    auto const info = co_await stream.async_connect("localhost", w.srv.port());
                    CHECK(info.resumed() == resumed);
                    co_await end(stream);
                }
            });
        CHECK(w.srv.handshakes.at(1).resumption == k.on_server);
        CHECK(w.srv.handshakes.at(2).resumption == k.on_server);
    }
}

} // namespace

TEST_CASE("a connection that the server truncates keeps its session")
{
    resumes_after(answer_and_truncate,
                  [](client_side& stream) -> asio::awaitable<void>
                  {
                      std::string data;
                      auto const [ec, size] =
                          co_await asio::async_read(stream, asio::dynamic_buffer(data), asio::transfer_all(),
                                                    asio::as_tuple(asio::use_awaitable));
                      CHECK(ec == asio::ssl::error::stream_truncated);
                      CHECK(data == "!");
                  });
}

TEST_CASE("a connection that the server resets keeps its session")
{
    resumes_after(answer_and_reset,
                  [](client_side& stream) -> asio::awaitable<void>
                  {
                      co_await read_one(stream);
                      co_await asio::async_write(stream, asio::buffer("?", 1), asio::transfer_all(),
                                                 asio::use_awaitable);
                      char byte = 0;
                      auto const [ec, size] =
                          co_await stream.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
                      CHECK(ec == asio::error::connection_reset);
                  });
}

TEST_CASE("a connection that is just destroyed keeps its session")
{
    resumes_after(answer_and_wait, read_one);
}

TEST_CASE("a connection whose read is cancelled keeps its session")
{
    resumes_after(answer_and_wait,
                  [](client_side& stream) -> asio::awaitable<void>
                  {
                      using namespace asio::experimental::awaitable_operators;
                      co_await read_one(stream);
                      asio::steady_timer soon{co_await asio::this_coro::executor, 1ms};
                      char byte = 0;
                      auto const first = co_await (
                          stream.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable)) ||
                          soon.async_wait(asio::use_awaitable));
                      CHECK(first.index() == 1);
                  });
}

TEST_CASE("an application that reads up to EOF and drops the stream resumes")
{
    resumes_after(answer_and_shut_down, [](client_side& stream) { return read_all(stream); });
}

TEST_CASE("an application that closes right after the handshake, without a goodbye, waits for the ticket")
{
    // Those of TLS 1.2 have theirs by then, and do not wait.
    resumes_after(answer_and_wait, [](client_side& stream) { return stream.async_close(asio::use_awaitable); },
                  {kinds[2], kinds[3]});
}

TEST_CASE("a close that waits for a ticket which never comes ends in time, and with success")
{
    world w{{.of = kinds[2], .cache = {.num_tickets = 0}, .talk = answer_and_wait}};
    reprise::client_options options;
    options.shutdown_timeout = 30ms;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            co_await stream.async_connect("localhost", w.srv.port());
            auto const [ec] = co_await stream.async_close(asio::as_tuple(asio::use_awaitable));
            CHECK_FALSE(ec);
            CHECK_FALSE(stream.lowest_layer().is_open());
            CHECK((co_await stream.async_reconnect()).reason == reprise::full_handshake_reason::nothing_stored);
        });
}

TEST_CASE("a stream that is dropped in the middle of an answer keeps its session")
{
    auto const long_answer = [](server_side& stream) -> asio::awaitable<void>
    {
        std::string const text(300'000, '!');
        (void)co_await asio::async_write(stream, asio::buffer(text), asio::transfer_all(),
                                         asio::as_tuple(asio::use_awaitable));
    };
    resumes_after(long_answer, read_one);
}

TEST_CASE("a connection that is kept alive goes on collecting tickets")
{
    auto const talk = [](server_side& stream) -> asio::awaitable<void>
    {
        char byte = 0;
        for (;;)
        {
            auto const [ec, size] =
                co_await stream.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
            if (ec)
                co_return;
            CHECK(::SSL_new_session_ticket(stream.native_handle()) == 1);
            co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(), asio::use_awaitable);
        }
    };
    for (auto const& k : {kinds[2], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k, .talk = talk}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await stream.async_connect("localhost", w.srv.port());
                for (std::size_t i = 0; i < 3; ++i)
                {
                    co_await asio::async_write(stream, asio::buffer("?", 1), asio::transfer_all(), asio::use_awaitable);
                    co_await read_one(stream);
                    CHECK(w.store->size() == 2 + i);
                }
                stream.close();
            });
    }
}

TEST_CASE("a shutdown right after the handshake waits for the ticket, within its bound")
{
    resumes_after(answer_and_shut_down, [](client_side& stream) { return stream.async_shutdown(); });
}

TEST_CASE("a peer that never answers close_notify does not hang the shutdown, and nothing is lost")
{
    // The server reads nothing, so it cannot see the close_notify.
    auto const deaf = [](server_side& stream) -> asio::awaitable<void>
    {
        co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(), asio::use_awaitable);
        asio::steady_timer forever{co_await asio::this_coro::executor, 1h};
        co_await forever.async_wait(asio::use_awaitable);
    };
    world w{{.of = kinds[2], .talk = deaf}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            reprise::client_options options;
            options.shutdown_timeout = 20ms;
            auto stream = w.stream(options);
            (void)co_await stream.async_connect("localhost", w.srv.port());
            co_await read_one(stream);
            auto const [ec] = co_await stream.async_shutdown(asio::as_tuple(asio::use_awaitable));
            CHECK_FALSE(ec);
            CHECK_FALSE(stream.lowest_layer().is_open());
            auto const again = co_await stream.async_reconnect();
            CHECK(again.resumed());
        });
}

TEST_CASE("nothing is kept of a handshake that was not verified")
{
    world w{{.of = kinds[0]}};
    auto stranger = asio::ssl::context{asio::ssl::context::tls_client}; // trusts nobody
    w.run(
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(w.io), stranger, *w.store};
            auto const [ec, info] =
                co_await stream.async_connect("localhost", w.srv.port(), asio::as_tuple(asio::use_awaitable));
            CHECK(ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED);
            CHECK(w.store->size() == 0);
        });
}

namespace {

// Ticket keys by generation: the one before still opens, and OpenSSL then renews the ticket; older ones do not.
int generation = 0;

int key_of_generation(SSL*, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                      int sealing)
{
    if (sealing == 1)
    {
        std::fill_n(name, 16, static_cast<unsigned char>(generation));
        std::fill_n(iv, 16, static_cast<unsigned char>('i'));
    }
    if (generation - name[0] > 1)
        return 0;
    unsigned char key[32] = {name[0], 1};
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string("key", key, sizeof key),
                           OSSL_PARAM_construct_utf8_string("digest", const_cast<char*>("sha256"), 0),
                           OSSL_PARAM_construct_end()};
    if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
        EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key, iv, sealing) != 1)
        return -1;
    return sealing == 0 && name[0] != generation ? 2 : 1;
}

} // namespace

TEST_CASE("a ticket that the server renews while resuming replaces the old one")
{
    for (auto const& k : {kinds[1], kinds[2]})
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        generation = 1;
        SSL_CTX_set_tlsext_ticket_key_evp_cb(w.server_tls.native_handle(), key_of_generation);
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.visit(stream);
                for (int i = 0; i < 3; ++i)
                {
                    ++generation;
                    CHECK((co_await w.visit(stream)).resumed());
                }
            });
        CHECK(w.cache.stats().resumed == 3);
    }
}

TEST_SUITE_END();
