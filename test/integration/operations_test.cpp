// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_future.hpp>

#include <thread>

using namespace test;
using reprise::errc;

TEST_SUITE_BEGIN("operations");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

// Accepts TCP and says nothing, for a peer that never shakes hands.
struct silent_peer
{
    explicit silent_peer(asio::io_context& io)
        : acceptor(executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0})
    {
    }

    [[nodiscard]] std::string port() const { return std::to_string(acceptor.local_endpoint().port()); }

    tcp::acceptor acceptor; // the kernel completes the connection, nobody accepts it
};

} // namespace

TEST_CASE("an open stream cannot be connected again, and a new one has nowhere to reconnect to")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            CHECK(std::get<0>(co_await stream.async_reconnect(as_tuple)) == errc::never_connected);
            (void)co_await stream.async_connect("localhost", w.srv.port());
            CHECK(std::get<0>(co_await stream.async_connect("localhost", w.srv.port(), as_tuple)) ==
                  errc::already_connected);
            co_await read_all(stream); // nothing was lost by it
            co_await stream.async_shutdown();
            CHECK((co_await stream.async_reconnect()).resumed());
        });
}

TEST_CASE("reading or writing before the first connect fails, and is no obstacle to it")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            CHECK(stream.native_handle() != nullptr); // of the connection to come
            std::string data(1, ' ');
            CHECK(std::get<0>(co_await stream.async_read_some(asio::buffer(data), as_tuple)) == errc::never_connected);
            CHECK(std::get<0>(co_await stream.async_write_some(asio::buffer(data), as_tuple)) == errc::never_connected);
            co_await stream.async_shutdown(); // there is nothing to shut down
            CHECK_FALSE((co_await w.visit(stream)).resumed());
        });
}

TEST_CASE("a connection that the server has ended can be reconnected without a shutdown")
{
    auto const truncate = [](server_side& stream) -> asio::awaitable<void>
    {
        co_await asio::async_write(stream, asio::buffer("!", 1), asio::transfer_all(), asio::use_awaitable);
        stream.close();
    };
    for (auto const& talk : {conversation{answer_and_shut_down}, conversation{truncate}})
    {
        world w{{.talk = talk}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                (void)co_await stream.async_connect("localhost", w.srv.port());
                std::string data;
                CHECK(std::get<0>(
                    co_await asio::async_read(stream, asio::dynamic_buffer(data), asio::transfer_all(), as_tuple)));
                CHECK((co_await stream.async_reconnect()).resumed());
            });
    }
}

TEST_CASE("a moved stream keeps its peer and its sessions")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            auto moved = std::move(stream);
            CHECK((co_await moved.async_reconnect()).resumed());
            co_await read_all(moved);
            co_await moved.async_shutdown();
        });
}

TEST_CASE("callbacks and futures do as well as coroutines")
{
    world w;
    auto stream = w.stream();
    std::vector<std::string> log;
    stream.async_connect("localhost", w.srv.port(),
                         [&](error_code ec, reprise::handshake_info const& info)
                         {
                             log.push_back(ec ? ec.message() : std::string{to_string(info.kind)});
                             stream.async_shutdown(
                                 [&](error_code shutdown_error)
                                 {
                                     log.push_back(shutdown_error.message());
                                     w.io.stop();
                                 });
                         });
    CHECK(log.empty()); // never from within the initiating function
    w.io.run_for(10s);
    CHECK(log == std::vector<std::string>{"full", error_code{}.message()});

    w.io.restart();
    auto future = stream.async_reconnect(asio::use_future);
    std::jthread const runner{[&] { w.io.run_for(10s); }};
    REQUIRE(future.wait_for(10s) == std::future_status::ready);
    CHECK(future.get().resumed());
    w.io.stop();
}

TEST_CASE("a connect that is cancelled fails with operation_aborted, is closed, and can be tried again")
{
    world w;
    silent_peer silent{w.io};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            for (auto const type : {asio::cancellation_type::terminal, asio::cancellation_type::all})
            {
                asio::cancellation_signal cancel;
                asio::steady_timer soon{executor_of(w.io), 5ms};
                soon.async_wait([&](error_code) { cancel.emit(type); });
                auto const [ec, info] = co_await stream.async_connect(
                    "127.0.0.1", silent.port(), asio::bind_cancellation_slot(cancel.slot(), as_tuple));
                CHECK(ec == asio::error::operation_aborted);
                CHECK_FALSE(stream.lowest_layer().is_open());
            }
            CHECK_FALSE((co_await w.visit(stream)).resumed());
        });
}

TEST_CASE("a coroutine that is cancelled takes the operation that it awaits with it")
{
    using namespace asio::experimental::awaitable_operators;
    world w;
    silent_peer silent{w.io};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            asio::steady_timer soon{executor_of(w.io), 5ms};
            auto const won =
                co_await (stream.async_connect("127.0.0.1", silent.port()) || soon.async_wait(asio::use_awaitable));
            CHECK(won.index() == 1);
            CHECK_FALSE(stream.lowest_layer().is_open());
            CHECK_FALSE((co_await w.visit(stream)).resumed());
        });
}

TEST_CASE("connect, handshake and shutdown are bounded in time")
{
    world w;
    silent_peer silent{w.io};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            reprise::client_options options;
            options.connect_timeout = 20ms;
            auto stream = w.stream(options);
            auto const [ec, info] = co_await stream.async_connect("127.0.0.1", silent.port(), as_tuple);
            CHECK(ec == asio::error::timed_out);
            CHECK_FALSE(stream.lowest_layer().is_open());
        });
}

TEST_CASE("a shutdown that is cancelled closes at once and keeps the session")
{
    auto const deaf = [](server_side&) -> asio::awaitable<void>
    {
        asio::steady_timer forever{co_await asio::this_coro::executor, 1h};
        co_await forever.async_wait(asio::use_awaitable);
    };
    world w{{.of = kinds[0], .talk = deaf}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            (void)co_await stream.async_connect("localhost", w.srv.port());
            asio::cancellation_signal cancel;
            asio::steady_timer soon{executor_of(w.io), 5ms};
            soon.async_wait([&](error_code) { cancel.emit(asio::cancellation_type::terminal); });
            auto const [ec] = co_await stream.async_shutdown(asio::bind_cancellation_slot(cancel.slot(), as_tuple));
            CHECK(ec == asio::error::operation_aborted);
            CHECK_FALSE(stream.lowest_layer().is_open());
            CHECK((co_await stream.async_reconnect()).resumed());
        });
}

TEST_CASE("shaking hands on a socket of the caller's, which async_reconnect then replaces")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            awaiting_socket socket{executor_of(w.io)};
            co_await socket.async_connect(w.srv.endpoint());
            client_side stream{std::move(socket), w.client_tls, *w.store};
            CHECK_FALSE((co_await stream.async_handshake("localhost", w.srv.port())).resumed());
            co_await read_all(stream);
            co_await stream.async_shutdown();
            CHECK((co_await stream.async_reconnect()).resumed());
            co_await read_all(stream);
            co_await stream.async_shutdown();
        });
}

TEST_CASE("a stream destroyed in the middle of its handshake, on either end, leaves nothing behind")
{
    int unfinished = 0;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        for (int steps = 1; steps < 40; ++steps)
        {
            world w{{.of = k}};
            auto stream = std::make_unique<client_side>(w.stream());
            stream->async_connect("127.0.0.1", w.srv.port(), [](error_code, reprise::handshake_info const&) {});
            for (int i = 0; i < steps && w.io.poll_one() != 0; ++i)
            {
            }
            unfinished += w.srv.handshakes.empty() ? 1 : 0;
            // Here the stream goes, then the io_context with the operations of both ends. The sanitizers watch.
        }
    }
    CHECK(unfinished > 20);
}

TEST_CASE("context, cache and store may go in any order")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        auto tls = std::make_unique<asio::ssl::context>(server_context());
        set_versions(*tls, k.version, k.version);
        auto cache = std::make_unique<reprise::session_cache>(
            *tls, reprise::session_cache_options{.id_context = "order", .tickets = k.tickets});
        server srv{io, *cache};
        cache.reset(); // the server has its own handle
        auto client_tls = client_context();
        auto store = reprise::memory_session_store::make();
        run(io,
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), client_tls, *store};
                store.reset(); // the stream shares it
                (void)co_await stream.async_connect("localhost", srv.port());
                co_await read_all(stream);
                co_await stream.async_shutdown();
                tls.reset();
                CHECK((co_await stream.async_reconnect()).resumed());
                co_await read_all(stream);
                co_await stream.async_shutdown();
            }());
        CHECK(srv.handshakes.at(1).resumption == k.on_server);
    }
}

TEST_SUITE_END();
