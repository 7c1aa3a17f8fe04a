// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// A server that shuts down while the client is still sending.

#include "support/harness.hpp"

#include <reprise/ssl_handles.hpp>

#include <boost/asio/ssl/stream.hpp>

#include <future>
#include <optional>

using namespace test;
using std::chrono::steady_clock;

TEST_SUITE_BEGIN("linger");

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t large = std::size_t{8} * 1024 * 1024;
std::string const answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";

// A server that answers the first bytes, whatever follows, and shuts down.
struct refuser
{
    explicit refuser(kind const& k, reprise::server_options options = {})
        : w{{.of = k, .server = std::move(options), .talk = [this](server_side& s) { return refuse(s); }}}
    {
    }

    asio::awaitable<void> refuse(server_side& stream)
    {
        std::array<char, 100> some;
        (void)co_await stream.async_read_some(asio::buffer(some), no_throw);
        (void)co_await asio::async_write(stream, asio::buffer(answer), asio::transfer_all(), no_throw);
        auto const begin = steady_clock::now();
        auto const [ec] = co_await stream.async_shutdown(no_throw);
        took = steady_clock::now() - begin;
        result = ec;
    }

    asio::awaitable<void> until_shut()
    {
        while (!result)
            co_await asio::post(asio::use_awaitable);
    }

    std::optional<error_code> result;
    steady_clock::duration took{};
    world w;
};

asio::awaitable<std::string> read_to_end(client_side& stream)
{
    std::string text;
    auto const [ec, size] =
        co_await asio::async_read(stream, asio::dynamic_buffer(text), asio::transfer_all(), no_throw);
    CHECK(ec == asio::error::eof); // close_notify
    co_return text;
}

// Sends until it cannot any more; how much that was.
asio::awaitable<std::size_t> flood(client_side& stream)
{
    std::string const some(100'000, 'x');
    std::size_t sent = 0;
    for (error_code ec; !ec;)
    {
        std::size_t size = 0;
        std::tie(ec, size) = co_await stream.async_write_some(asio::buffer(some), no_throw);
        sent += size;
    }
    co_return sent;
}

} // namespace

TEST_CASE("a client that sends its whole request before it reads gets the early response, every kind")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        refuser r{k};
        r.w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = r.w.stream();
                co_await stream.async_connect("localhost", r.w.srv.port());
                std::string const request(large, 'x');
                auto const [ec, size] =
                    co_await asio::async_write(stream, asio::buffer(request), asio::transfer_all(), no_throw);
                CHECK_FALSE(ec);
                CHECK(size == large);
                CHECK(co_await read_to_end(stream) == answer);
                // A client that does not know close_notify sees the end of the connection, while the server waits for
                // its.
                std::array<char, 1> byte;
                auto const [end, none] = co_await stream.next_layer().async_read_some(asio::buffer(byte), no_throw);
                CHECK(end == asio::error::eof);
                CHECK_FALSE(r.result);
                co_await stream.async_shutdown();
                co_await r.until_shut();
                CHECK_FALSE(*r.result);
            });
    }
}

TEST_CASE("input that has arrived and was not read does not reset the connection")
{
    refuser r{kinds[3]};
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = r.w.stream();
            co_await stream.async_connect("localhost", r.w.srv.port());
            std::string const request(10'000, 'x'); // in one record, of which 100 bytes are read
            co_await asio::async_write(stream, asio::buffer(request), asio::transfer_all(), asio::use_awaitable);
            CHECK(co_await read_to_end(stream) == answer);
            co_await stream.async_shutdown();
            co_await r.until_shut();
        });
}

TEST_CASE("a client that never stops sending is read up to linger_bytes")
{
    reprise::server_options options;
    options.linger_bytes = 1'000'000;
    options.shutdown_timeout = 0ms;
    refuser r{kinds[3], options};
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = r.w.stream();
            co_await stream.async_connect("localhost", r.w.srv.port());
            auto const sent = co_await flood(stream);
            co_await r.until_shut();
            CHECK_FALSE(*r.result);
            CHECK(sent > 1'000'000);
        });
}

TEST_CASE("a client that neither closes nor sends is waited for until the timeout")
{
    reprise::server_options options;
    options.shutdown_timeout = 300ms;
    refuser r{kinds[3], options};
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = r.w.stream();
            co_await stream.async_connect("localhost", r.w.srv.port());
            for (int i = 0; i < 2; ++i)
                co_await asio::async_write(stream, asio::buffer(answer), asio::transfer_all(), asio::use_awaitable);
            co_await r.until_shut();
            CHECK_FALSE(*r.result);
            CHECK(r.took >= 300ms);
        });
}

TEST_CASE("with linger_bytes 0 the socket is closed at once")
{
    reprise::server_options options;
    options.linger_bytes = 0;
    options.shutdown_timeout = 0ms;
    refuser r{kinds[3], options};
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = r.w.stream();
            co_await stream.async_connect("localhost", r.w.srv.port());
            CHECK(co_await flood(stream) < large);
            co_await r.until_shut();
        });
}

TEST_CASE("a client's close_notify ends the shutdown at once, even if its socket stays open")
{
    for (auto const& k : {kinds[0], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        reprise::server_options options;
        options.shutdown_timeout = 0ms; // to wait for the socket's end would be for ever
        refuser r{k, options};
        r.w.run(
            [&]() -> asio::awaitable<void>
            {
                asio::ssl::stream<tcp::socket> client{r.w.io, r.w.client_tls};
                co_await client.next_layer().async_connect(r.w.srv.endpoint(), asio::use_awaitable);
                co_await client.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
                co_await asio::async_write(client, asio::buffer(answer), asio::use_awaitable);
                std::string text(answer.size(), '\0');
                co_await asio::async_read(client, asio::buffer(text), asio::use_awaitable);
                CHECK(text == answer);
                (void)co_await client.async_shutdown(no_throw);
                co_await r.until_shut();
                CHECK_FALSE(*r.result);
                CHECK(client.next_layer().is_open());
            });
    }
}

namespace {

// Says "ask" and goodbye at once, reads to the end, and keeps the socket until it is let go.
std::string ask_with_goodbye(SSL_CTX* context, tcp::endpoint const& server, std::future<void> const& let_go)
{
    asio::io_context io;
    tcp::socket socket{io};
    socket.connect(server);
    reprise::ssl_ptr const ssl{SSL_new(context)};
    SSL_set_fd(ssl.get(), socket.native_handle());
    std::string text;
    if (SSL_connect(ssl.get()) != 1)
        return "no handshake";
    SSL_write(ssl.get(), "ask", 3);
    SSL_shutdown(ssl.get());
    std::array<char, 100> bytes;
    for (int size = 0; (size = SSL_read(ssl.get(), bytes.data(), static_cast<int>(bytes.size()))) > 0;)
        text.append(bytes.data(), static_cast<std::size_t>(size));
    let_go.wait_for(20s);
    return text;
}

} // namespace

TEST_CASE("a client that sends close_notify before it reads gets its response, and the shutdown ends at once")
{
    for (auto const& k : {kinds[0], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        reprise::server_options options;
        options.shutdown_timeout = 0ms;
        refuser r{k, options};
        std::promise<void> shut;
        auto const let_go = shut.get_future();
        auto text =
            std::async(std::launch::async,
                       [&] { return ask_with_goodbye(r.w.client_tls.native_handle(), r.w.srv.endpoint(), let_go); });
        r.w.run(
            [&]() -> asio::awaitable<void>
            {
                co_await r.until_shut();
                CHECK_FALSE(*r.result);
            });
        shut.set_value();
        CHECK(text.get() == answer);
    }
}

TEST_CASE("cancellation ends the lingering")
{
    asio::cancellation_signal cancel;
    std::optional<error_code> result;
    bool shuts = false;
    reprise::server_options options;
    options.shutdown_timeout = 0ms;
    world w{{.server = options,
             .talk = [&](server_side& stream) -> asio::awaitable<void>
             {
                 std::array<char, 1> byte;
                 co_await stream.async_read_some(asio::buffer(byte));
                 shuts = true;
                 stream.async_shutdown(
                     asio::bind_cancellation_slot(cancel.slot(), [&](error_code ec) { result = ec; }));
                 while (!result)
                     co_await asio::post(asio::use_awaitable);
                 CHECK_FALSE(stream.lowest_layer().is_open());
             }}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await stream.async_connect("localhost", w.srv.port());
            co_await asio::async_write(stream, asio::buffer(answer), asio::transfer_all(), asio::use_awaitable);
            // Its end shows that the server lingers.
            std::array<char, 1> byte;
            auto const [ec, size] = co_await stream.async_read_some(asio::buffer(byte), no_throw);
            CHECK(ec == asio::error::eof);
            while (!shuts)
                co_await asio::post(asio::use_awaitable);
            CHECK_FALSE(result);
            cancel.emit(asio::cancellation_type::terminal);
            while (!result)
                co_await asio::post(asio::use_awaitable);
            CHECK(*result == asio::error::operation_aborted);
        });
}

TEST_SUITE_END();
