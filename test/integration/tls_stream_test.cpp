// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// The transport of both streams: what may be under way at the same time, and what a cancelled operation leaves behind.

#include "support/harness.hpp"

#include <reprise/detail/stream/tls_stream.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <random>

using namespace test;
using reprise::detail::tls_engine;

TEST_SUITE_BEGIN("tls_stream");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

using local = asio::local::stream_protocol;
using tls_stream = reprise::detail::tls_stream<local::socket>;
using stream_ptr = std::shared_ptr<tls_stream>;

tls_stream::holder held(stream_ptr const& stream)
{
    return {nullptr, stream};
}

// Two ends of one connection that has shaken hands.
struct connection
{
    explicit connection(int version = TLS1_3_VERSION)
    {
        set_versions(client_tls, version, version);
        asio::local::connect_pair(client_socket, server_socket);
        reprise::ssl_ptr c{SSL_new(client_tls.native_handle())};
        reprise::ssl_ptr s{SSL_new(server_tls.native_handle())};
        SSL_set_connect_state(c.get());
        SSL_set_accept_state(s.get());
        client = std::make_shared<tls_stream>(client_socket, std::move(c));
        server = std::make_shared<tls_stream>(server_socket, std::move(s));
    }

    void run(std::function<asio::awaitable<void>()> test)
    {
        test::run(io,
                  [](connection& self, auto then) -> asio::awaitable<void>
                  {
                      using namespace asio::experimental::awaitable_operators;
                      co_await (shake_hands(self.client) && shake_hands(self.server));
                      co_await then();
                  }(*this, std::move(test)));
    }

    static asio::awaitable<void> shake_hands(stream_ptr const& stream)
    {
        co_await tls_stream::async_perform(
            held(stream), [](tls_engine& e) { return e.handshake(); }, asio::enable_terminal_cancellation{},
            asio::use_awaitable);
    }

    asio::io_context io;
    asio::ssl::context server_tls = server_context();
    asio::ssl::context client_tls = client_context();
    local::socket client_socket{executor_of(io)};
    local::socket server_socket{executor_of(io)};
    stream_ptr client;
    stream_ptr server;
};

auto shut_down(stream_ptr const& stream)
{
    return tls_stream::async_perform(
        held(stream), [](tls_engine& e) { return e.shut_down(); }, asio::enable_terminal_cancellation{}, as_tuple);
}

asio::awaitable<void> write_all(stream_ptr const& stream, std::string data)
{
    for (std::size_t at = 0; at < data.size();)
        at += co_await tls_stream::async_write_some(held(stream), asio::buffer(data) + at, asio::use_awaitable);
}

asio::awaitable<std::string> read(stream_ptr const& stream, std::size_t size)
{
    std::string data(size, '\0');
    for (std::size_t at = 0; at < size;)
        at += co_await tls_stream::async_read_some(held(stream), asio::buffer(data) + at, asio::use_awaitable);
    co_return data;
}

std::string noise(std::size_t size, unsigned seed)
{
    std::minstd_rand random{seed};
    std::string data(size, '\0');
    std::ranges::generate(data, [&] { return static_cast<char>(random()); });
    return data;
}

// What a handler was called with, if it was.
struct called
{
    std::optional<error_code> ec;
    std::size_t size = 0;

    auto handler()
    {
        return [this](error_code e, std::size_t n)
        {
            ec = e;
            size = n;
        };
    }
};

// Let everything run that can run now.
asio::awaitable<void> settle()
{
    for (int i = 0; i < 20; ++i)
        co_await asio::post(asio::use_awaitable);
}

// Wait until the operation has ended; the test's time limit bounds it.
asio::awaitable<void> ended(called const& operation)
{
    while (!operation.ec)
        co_await asio::post(asio::use_awaitable);
}

} // namespace

TEST_CASE("both directions carry megabytes at the same time")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            using namespace asio::experimental::awaitable_operators;
            auto const up = noise(3'000'000, 1);
            auto const down = noise(3'000'000, 2);
            auto const [at_server, at_client] = co_await ((write_all(c.client, up) && read(c.server, up.size())) &&
                                                          (write_all(c.server, down) && read(c.client, down.size())));
            CHECK(at_server == up);
            CHECK(at_client == down);
        });
}

TEST_CASE("operations never complete from within the function that starts them")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            co_await write_all(c.server, "abc");
            std::string first(1, ' ');
            co_await tls_stream::async_read_some(held(c.client), asio::buffer(first), asio::use_awaitable);
            std::string rest(2, ' '); // decrypted already
            called read_rest;
            called read_nothing;
            tls_stream::async_read_some(held(c.client), asio::buffer(rest), read_rest.handler());
            CHECK_FALSE(read_rest.ec);
            co_await ended(read_rest);
            CHECK(read_rest.size == 2);
            tls_stream::async_read_some(held(c.client), asio::mutable_buffer{}, read_nothing.handler());
            CHECK_FALSE(read_nothing.ec);
            co_await ended(read_nothing);
            CHECK(read_nothing.ec == error_code{});
        });
}

TEST_CASE("a cancelled read loses nothing, whenever it is cancelled")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            std::string const sent = noise(200, 3);
            std::string received;
            int aborted = 0;
            for (std::size_t i = 0; i < sent.size(); ++i)
            {
                std::array<char, 16> into{};
                called reading;
                asio::cancellation_signal cancel;
                tls_stream::async_read_some(held(c.client), asio::buffer(into),
                                            asio::bind_cancellation_slot(cancel.slot(), reading.handler()));
                co_await write_all(c.server, sent.substr(i, 1));
                for (std::size_t turns = i % 5; turns > 0; --turns) // before, while and after it arrives
                    co_await asio::post(asio::use_awaitable);
                cancel.emit(asio::cancellation_type::total);
                co_await ended(reading);
                aborted += *reading.ec == asio::error::operation_aborted ? 1 : 0;
                received.append(into.data(), reading.size);
            }
            while (received.size() < sent.size())
                received += co_await read(c.client, 1);
            CHECK(received == sent);
            CHECK(aborted > 0);
            CHECK(aborted < 200);
        });
}

TEST_CASE("a cancelled write leaves the connection whole for reading")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            auto const data = noise(16'000, 4);
            std::size_t started = 0;
            for (bool stuck = false; !stuck; ++started) // until the socket takes no more
            {
                called write;
                asio::cancellation_signal cancel;
                tls_stream::async_write_some(held(c.client), asio::buffer(data),
                                             asio::bind_cancellation_slot(cancel.slot(), write.handler()));
                co_await settle();
                cancel.emit(asio::cancellation_type::total); // of no effect: a part may be on its way
                co_await settle();
                CHECK(write.ec != error_code{asio::error::operation_aborted});
                cancel.emit(asio::cancellation_type::terminal);
                co_await ended(write);
                stuck = *write.ec == asio::error::operation_aborted;
            }
            // What was written in part goes on with the next write.
            using namespace asio::experimental::awaitable_operators;
            std::string const received =
                co_await (read(c.server, data.size() * started + 3) && write_all(c.client, "end"));
            CHECK(received.substr(received.size() - 3) == "end");
            co_await write_all(c.server, "x");
            CHECK(co_await read(c.client, 1) == "x");
        });
}

TEST_CASE("a shutdown beside a waiting read ends both")
{
    for (int const version : {TLS1_2_VERSION, TLS1_3_VERSION})
    {
        connection c{version};
        c.run(
            [&]() -> asio::awaitable<void>
            {
                std::string data(10, ' ');
                called reading;
                called shutdown;
                tls_stream::async_read_some(held(c.client), asio::buffer(data), reading.handler());
                tls_stream::async_perform(
                    held(c.client), [](tls_engine& e) { return e.shut_down(); }, asio::enable_terminal_cancellation{},
                    shutdown.handler());
                CHECK(std::get<0>(co_await tls_stream::async_read_some(held(c.server), asio::buffer(data), as_tuple)) ==
                      asio::error::eof);
                CHECK_FALSE(std::get<0>(co_await shut_down(c.server)));
                co_await ended(reading);
                co_await ended(shutdown);
                CHECK(reading.ec == error_code{asio::error::eof});
                CHECK(shutdown.ec.has_value());
            });
    }
}

TEST_CASE("a KeyUpdate is answered beside a write that is stuck, and nothing is mixed up")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            using namespace asio::experimental::awaitable_operators;
            auto const up = noise(2'000'000, 5);
            asio::co_spawn(executor_of(c.io), write_all(c.client, up), asio::detached); // the server does not read yet
            std::string one(1, ' ');
            called read_one;
            tls_stream::async_read_some(held(c.client), asio::buffer(one), read_one.handler());
            co_await settle();
            REQUIRE(SSL_key_update(c.server->engine.native_handle(), SSL_KEY_UPDATE_REQUESTED) == 1);
            co_await write_all(c.server, "x");
            co_await ended(read_one);
            CHECK(read_one.size == 1); // its answer follows the write
            CHECK(co_await read(c.server, up.size()) == up);
            co_await write_all(c.client, "y"); // under the new keys
            CHECK(co_await read(c.server, 1) == "y");
        });
}

TEST_CASE("answers to KeyUpdates that nobody reads take a bounded amount of memory, and none is lost")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            auto const up = noise(2'000'000, 6);
            asio::co_spawn(executor_of(c.io), write_all(c.client, up), asio::detached); // the server does not read yet
            std::string one(1, ' ');
            called read_one;
            tls_stream::async_read_some(held(c.client), asio::buffer(one), read_one.handler());
            asio::steady_timer limit{executor_of(c.io), 10s};
            bool stuck = false;
            auto const ask = [&]() -> asio::awaitable<void>
            {
                auto const key_update = [](tls_engine& e)
                {
                    CHECK(SSL_key_update(e.native_handle(), SSL_KEY_UPDATE_REQUESTED) == 1);
                    return e.handshake();
                };
                for (int i = 0; i < 100'000 && !stuck; ++i)
                    co_await tls_stream::async_perform(held(c.server), key_update, asio::enable_terminal_cancellation{},
                                                       asio::use_awaitable);
            };
            // The client reads no further, so the server cannot write any more: its operation hangs.
            asio::co_spawn(executor_of(c.io), ask(), asio::detached);
            while (!c.client->engine.is_full())
                co_await asio::post(asio::use_awaitable);
            for (int i = 0; i < 1000; ++i)
                co_await asio::post(asio::use_awaitable);
            CHECK(c.client->engine.output().size() < 64 * 1024);
            CHECK_FALSE(read_one.ec);
            stuck = true;
            CHECK(co_await read(c.server, up.size()) == up);
            co_await write_all(c.server, "x");
            co_await ended(read_one);
            CHECK(one == "x");
            co_await write_all(c.client, "y");
            CHECK(co_await read(c.server, 1) == "y");
        });
}

TEST_CASE("hearing what has come ends, though the peer never stops sending")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            co_await write_all(c.server, "x");
            CHECK(co_await read(c.client, 1) == "x"); // and the tickets before it
            std::size_t given = 0;
            auto const key_updates = [&](std::span<unsigned char> room)
            {
                auto& server = c.server->engine;
                CHECK(SSL_key_update(server.native_handle(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
                CHECK(server.handshake().status == reprise::detail::tls_status::done);
                auto const output = server.output();
                REQUIRE(output.size() <= room.size());
                std::ranges::copy(output, room.begin());
                server.sent(output.size());
                given += output.size();
                return output.size();
            };
            constexpr std::size_t budget = 10'000;
            CHECK(c.client->poll(key_updates, budget) == reprise::detail::tls_status::done);
            CHECK(given >= budget);
            CHECK(given < 2 * budget);
        });
}

TEST_CASE("what was read is delivered although an answer to it could not be sent")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            c.server_socket.close();
            auto const read_and_answer = [](tls_engine& e)
            {
                (void)e.write(reprise::as_bytes("answer"));
                return reprise::detail::tls_result{.size = 7};
            };
            CHECK(co_await tls_stream::async_perform(held(c.client), read_and_answer, asio::enable_total_cancellation{},
                                                     asio::use_awaitable) == 7);
        });
}

TEST_CASE("the end of the transport without close_notify is a truncation")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            c.server_socket.close();
            std::string data(1, ' ');
            CHECK(std::get<0>(co_await tls_stream::async_read_some(held(c.client), asio::buffer(data), as_tuple)) ==
                  asio::ssl::error::stream_truncated);
        });
}

TEST_CASE("bytes that are no record fail the read with OpenSSL's error")
{
    connection c;
    c.run(
        [&]() -> asio::awaitable<void>
        {
            co_await asio::async_write(c.server_socket, asio::buffer("GET / HTTP/1.0\r\n\r\n", 18),
                                       asio::use_awaitable);
            std::string data(1, ' ');
            auto const [ec, size] = co_await tls_stream::async_read_some(held(c.client), asio::buffer(data), as_tuple);
            CHECK(ec.category() == asio::error::get_ssl_category());
            CHECK(size == 0);
        });
}

TEST_SUITE_END();
