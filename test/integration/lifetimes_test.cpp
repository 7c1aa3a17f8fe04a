// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Streams that go, or are closed, while operations are pending; operations that come when they cannot be.

#include "support/harness.hpp"
#include "support/own_network.hpp"

#include <reprise/detail/net/connect_race.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/beast/core/detect_ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <memory>
#include <new>
#include <optional>
#include <stdexcept>

using namespace test;
using reprise::errc;

TEST_SUITE_BEGIN("lifetimes");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

// How an operation has ended, if it has.
struct ending
{
    std::optional<error_code> ec;
    int times = 0;

    auto handler()
    {
        return [this](error_code e, auto&&...)
        {
            ec = e;
            ++times;
        };
    }
};

// Handlers, up to so many.
void poll(asio::io_context& io, int handlers)
{
    io.restart();
    for (int i = 0; i < handlers && io.poll_one() != 0; ++i)
    {
    }
}

// Until the operation has ended, or the time is up.
void run_until_ended(asio::io_context& io, ending const& operation)
{
    io.restart();
    auto const end = std::chrono::steady_clock::now() + 10s;
    while (!operation.ec && std::chrono::steady_clock::now() < end)
        io.run_one_for(100ms);
    REQUIRE(operation.ec);
}

// Keeps a connection open and says nothing.
asio::awaitable<void> stay_silent(server_side& stream)
{
    std::string data;
    (void)co_await asio::async_read(stream, asio::dynamic_buffer(data), asio::transfer_all(), as_tuple);
}

} // namespace

TEST_CASE("a stream that is destroyed while it connects: the operation ends with operation_aborted, once")
{
    int unfinished = 0;
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        for (bool const race : {false, true})
            for (int handlers = 0; handlers < 30; ++handlers)
            {
                world w{{.of = k}};
                auto stream = std::make_unique<client_side>(w.stream());
                ending connecting;
                std::vector const endpoints(race ? 2 : 1, w.srv.endpoint());
                stream->async_connect("localhost", port_of(endpoints), {.endpoints = endpoints}, connecting.handler());
                poll(w.io, handlers);
                bool const had_ended = connecting.ec.has_value();
                stream.reset();
                run_until_ended(w.io, connecting);
                CHECK(connecting.times == 1);
                // It may have ended in success, with its handler still to be called.
                CHECK((had_ended || (handlers > 0 && !*connecting.ec) ||
                       *connecting.ec == asio::error::operation_aborted));
                unfinished += *connecting.ec ? 1 : 0;
            }
    }
    CHECK(unfinished > 50);
}

TEST_CASE("whatever the connecting stream waits for when it is destroyed, the operation ends at once")
{
    world w{};
    auto const ended_when_destroyed = [&](std::unique_ptr<client_side> stream, std::string const& host, auto is_waiting)
    {
        ending connecting;
        stream->async_connect(host, w.srv.port(), connecting.handler());
        w.io.restart();
        auto const end = std::chrono::steady_clock::now() + 10s;
        while (!is_waiting() && std::chrono::steady_clock::now() < end)
            w.io.run_one_for(10ms);
        REQUIRE(is_waiting());
        REQUIRE_FALSE(connecting.ec);
        stream.reset();
        auto const begin = std::chrono::steady_clock::now();
        run_until_ended(w.io, connecting);
        CHECK(std::chrono::steady_clock::now() - begin < 5s); // not after the limits, which are longer
        return *connecting.ec;
    };
    bool waits = false;
    auto const wait = [&](client_side::next_layer_type& socket, std::string, std::string) -> asio::awaitable<void>
    {
        waits = true;
        asio::steady_timer forever{socket.get_executor(), asio::steady_timer::time_point::max()};
        co_await forever.async_wait(asio::use_awaitable);
    };
    auto const refuse = [&](client_side::next_layer_type&, std::string, std::string) -> asio::awaitable<void>
    {
        waits = true;
        throw reprise::system_error{asio::error::connection_refused};
        co_return;
    };
    auto const connector = [&](auto function, reprise::client_options options)
    {
        waits = false;
        auto stream = std::make_unique<client_side>(w.stream(std::move(options)));
        stream->set_connector("test", function);
        return stream;
    };
    auto const is_waiting = [&] { return waits; };
    CHECK(ended_when_destroyed(connector(wait, {}), "localhost", is_waiting) == asio::error::operation_aborted);
    reprise::client_options patient;
    patient.retry = {.max_attempts = 2, .first_delay = 1h, .max_delay = 1h};
    CHECK(ended_when_destroyed(connector(refuse, patient), "localhost", is_waiting) == asio::error::operation_aborted);
}

TEST_CASE("closing a stream ends an operation that has not taken its first step")
{
    world w{};
    auto stream = w.stream();
    ending connecting;
    stream.async_connect("localhost", w.srv.port(), connecting.handler());
    stream.close();
    run_until_ended(w.io, connecting);
    CHECK(*connecting.ec == asio::error::operation_aborted);
    ending again;
    stream.async_connect("localhost", w.srv.port(), again.handler());
    run_until_ended(w.io, again);
    CHECK_FALSE(*again.ec);
}

TEST_CASE("reads and writes that are pending when their stream goes end with operation_aborted")
{
    world w{{.talk = stay_silent}};
    auto stream = std::make_unique<client_side>(w.stream());
    ending connecting;
    stream->async_connect("localhost", w.srv.port(), connecting.handler());
    run_until_ended(w.io, connecting);
    REQUIRE_FALSE(*connecting.ec);
    std::string one(1, ' ');
    std::string two(1, ' ');
    ending reading;
    ending waiting; // for the first one
    ending shutting_down;
    stream->async_read_some(asio::buffer(one), reading.handler());
    stream->async_read_some(asio::buffer(two), waiting.handler());
    poll(w.io, 10);
    SUBCASE("destroyed")
    {
        stream.reset();
    }
    SUBCASE("closed")
    {
        stream->close();
    }
    SUBCASE("another in its place")
    {
        *stream = w.stream();
    }
    SUBCASE("shut down, and destroyed meanwhile")
    {
        stream->async_shutdown(shutting_down.handler());
        poll(w.io, 1);
        stream.reset();
        run_until_ended(w.io, shutting_down);
        CHECK(*shutting_down.ec == asio::error::operation_aborted);
    }
    run_until_ended(w.io, reading);
    run_until_ended(w.io, waiting);
    CHECK(*reading.ec == asio::error::operation_aborted);
    CHECK(*waiting.ec == asio::error::operation_aborted);
    CHECK(reading.times + waiting.times == 2);
}

TEST_CASE("a server stream that is destroyed in its handshake, or while it reads")
{
    for (bool const reads : {false, true})
        for (int handlers = 0; handlers < 12; ++handlers)
        {
            asio::io_context io;
            auto tls = server_context();
            reprise::session_cache const cache{tls, {.id_context = "lifetimes"}};
            tcp::acceptor acceptor{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
            auto client_tls = client_context();
            tcp::socket socket{io};
            socket.connect(acceptor.local_endpoint());
            reprise::client_stream<> client{std::move(socket), client_tls};
            ending connecting;
            client.async_handshake("localhost", "443", connecting.handler());
            auto stream = std::make_unique<reprise::server_stream<>>(acceptor.accept(), cache);
            ending shaking_hands;
            ending reading;
            stream->async_handshake(shaking_hands.handler());
            std::string data(1, ' ');
            if (reads)
            {
                run_until_ended(io, shaking_hands);
                REQUIRE_FALSE(*shaking_hands.ec);
                stream->async_read_some(asio::buffer(data), reading.handler());
            }
            poll(io, handlers);
            bool const had_ended = shaking_hands.ec.has_value();
            stream.reset();
            run_until_ended(io, reads ? reading : shaking_hands);
            if (reads)
                CHECK(*reading.ec == asio::error::operation_aborted);
            else if (!had_ended)
                CHECK(*shaking_hands.ec == asio::error::operation_aborted);
            run_until_ended(io, connecting);
        }
}

TEST_CASE("a stream may be destroyed by the handler of its own operation")
{
    world w{};
    auto stream = std::make_unique<client_side>(w.stream());
    bool done = false;
    stream->async_connect("localhost", w.srv.port(),
                          [&](error_code ec, auto const&)
                          {
                              CHECK_FALSE(ec);
                              stream.reset();
                              done = true;
                          });
    w.io.run_for(1s);
    CHECK(done);
}

TEST_CASE("a second operation that would connect says that one is pending, and disturbs nothing")
{
    world w{};
    auto stream = w.stream();
    ending first;
    ending second;
    ending third;
    ending fourth;
    ending reading;
    std::string data(1, ' ');
    stream.async_connect("localhost", w.srv.port(), first.handler());
    poll(w.io, 4);
    REQUIRE_FALSE(first.ec);
    stream.async_connect("localhost", w.srv.port(), second.handler());
    stream.async_reconnect(third.handler());
    stream.async_handshake("localhost", w.srv.port(), fourth.handler());
    stream.async_read_some(asio::buffer(data), reading.handler());
    for (auto* const refused : {&second, &third, &fourth, &reading})
    {
        run_until_ended(w.io, *refused);
        CHECK(*refused->ec == errc::operation_in_progress);
    }
    run_until_ended(w.io, first);
    CHECK_FALSE(*first.ec);
    ending afterwards;
    stream.async_read_some(asio::buffer(data), afterwards.handler());
    run_until_ended(w.io, afterwards);
    CHECK(data == "!");

    asio::io_context io;
    reprise::session_cache const cache{w.cache};
    tcp::acceptor acceptor{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    tcp::socket socket{io};
    socket.connect(acceptor.local_endpoint());
    reprise::client_stream<> client{std::move(socket), w.client_tls};
    ending connecting;
    client.async_handshake("localhost", "443", connecting.handler());
    reprise::server_stream<> server{acceptor.accept(), cache};
    ending handshake;
    ending again;
    ending once_more;
    ending early;
    server.async_read_some(asio::buffer(data), early.handler());
    run_until_ended(io, early);
    CHECK(*early.ec == errc::never_connected);
    server.async_handshake(handshake.handler());
    server.async_handshake(again.handler());
    run_until_ended(io, again);
    CHECK(*again.ec == errc::operation_in_progress);
    run_until_ended(io, handshake);
    CHECK_FALSE(*handshake.ec);
    server.async_handshake(once_more.handler());
    run_until_ended(io, once_more);
    CHECK(*once_more.ec == errc::already_connected);
    CHECK(cache.stats().full + cache.stats().resumed == 2); // each handshake was counted once
}

TEST_CASE("reading or writing on a stream that is closed says so, and says what to do")
{
    world w{};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            std::string data(1, ' ');
            auto stream = w.stream();
            for (bool const shuts_down : {true, false})
            {
                co_await stream.async_connect("localhost", w.srv.port());
                if (shuts_down)
                    co_await stream.async_shutdown();
                else
                    stream.close();
                CHECK(std::get<0>(co_await stream.async_read_some(asio::buffer(data), as_tuple)) ==
                      errc::stream_closed);
                CHECK(std::get<0>(co_await stream.async_write_some(asio::buffer(data), as_tuple)) ==
                      errc::stream_closed);
                co_await stream.async_shutdown(); // there is nothing left to shut down
            }
            error_code const closed = errc::stream_closed;
            CHECK(closed.message().find("connect it again") != std::string::npos);
            co_await stream.async_reconnect();
            co_await read_all(stream);
        });

    std::optional<error_code> reading;
    std::optional<error_code> finishing;
    auto const talk = [&](server_side& stream) -> asio::awaitable<void>
    {
        co_await stream.async_shutdown();
        std::string data(1, ' ');
        reading = std::get<0>(co_await stream.async_read_some(asio::buffer(data), as_tuple));
        finishing = std::get<0>(co_await stream.async_finish_handshake(as_tuple));
    };
    world other{{.talk = talk}};
    other.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = other.stream();
            co_await stream.async_connect("localhost", other.srv.port());
            co_await stream.async_shutdown();
            while (!finishing)
                co_await asio::post(asio::use_awaitable);
        });
    CHECK(reading == error_code{errc::stream_closed});
    CHECK(finishing == error_code{errc::stream_closed});
}

TEST_CASE("a connector that throws anything ends the operation, whatever its token")
{
    world w{};
    int what = 0;
    auto const connect = [&](client_side::next_layer_type&, std::string, std::string) -> asio::awaitable<void>
    {
        switch (what)
        {
        case 0: throw reprise::system_error{asio::error::host_unreachable};
        case 1: throw std::bad_alloc{};
        case 2: throw std::runtime_error{"a connector"};
        case 3: throw 42;
        default: co_return;
        }
    };
    // Not a coroutine: it throws when it is called.
    auto const refuse = [](client_side::next_layer_type&, std::string, std::string) -> asio::awaitable<void>
    { throw std::logic_error{"no awaitable"}; };
    auto const hook = [&](SSL*)
    {
        if (what == 4)
            throw std::runtime_error{"a hook"};
    };
    std::vector<error_code> const expected{asio::error::host_unreachable, asio::error::no_memory, errc::callback_threw,
                                           errc::callback_threw};
    for (what = 0; what < 4; ++what)
    {
        CAPTURE(what);
        auto stream = w.stream();
        stream.set_connector("test", connect);
        ending with_callback;
        stream.async_connect("localhost", w.srv.port(), with_callback.handler());
        run_until_ended(w.io, with_callback);
        CHECK(*with_callback.ec == expected.at(static_cast<std::size_t>(what)));
        CHECK_FALSE(stream.is_open());
    }
    what = -1;
    auto stream = w.stream();
    stream.set_connector("test", refuse);
    ending refused;
    stream.async_connect("localhost", w.srv.port(), refused.handler());
    run_until_ended(w.io, refused);
    CHECK(*refused.ec == errc::callback_threw);

    reprise::client_options options;
    options.on_ssl = hook;
    auto hooked = w.stream(options);
    what = 4;
    ending with_hook;
    hooked.async_connect("localhost", w.srv.port(), with_hook.handler());
    run_until_ended(w.io, with_hook);
    CHECK(*with_hook.ec == errc::callback_threw);
    what = -1; // the stream is as good as new
    ending connecting;
    hooked.async_connect("localhost", w.srv.port(), connecting.handler());
    run_until_ended(w.io, connecting);
    CHECK_FALSE(*connecting.ec);
}

TEST_CASE("a socket that is connected to itself is known")
{
    asio::io_context io;
    tcp::socket to_itself{io};
    to_itself.open(tcp::v4());
    to_itself.bind({asio::ip::address_v4::loopback(), 0});
    to_itself.connect(to_itself.local_endpoint()); // simultaneous open: RFC 9293, 3.5
    CHECK(reprise::detail::is_connected_to_itself(to_itself));
    CHECK(reprise::detail::connect_result(to_itself, {}) == asio::error::connection_refused);
    CHECK(reprise::detail::connect_result(to_itself, asio::error::timed_out) == asio::error::timed_out);

    tcp::acceptor acceptor{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    tcp::socket to_other{io};
    to_other.connect(acceptor.local_endpoint());
    CHECK_FALSE(reprise::detail::is_connected_to_itself(to_other));
    CHECK_FALSE(reprise::detail::is_connected_to_itself(tcp::socket{io}));
}

TEST_CASE("a client whose own port is the one that it connects to is refused")
{
    auto const connect = [](bool fast_open, std::size_t addresses)
    {
        asio::io_context io;
        auto tls = client_context();
        reprise::client_options options;
        options.fast_open = fast_open;
        std::vector<tcp::endpoint> endpoints; // at which nobody listens
        for (unsigned short port = 40000; endpoints.size() < addresses; ++port)
            endpoints.emplace_back(asio::ip::address_v4::loopback(), port);
        run(io,
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), tls, options};
                auto const [ec, info] =
                    co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints}, as_tuple);
                CHECK(ec == asio::error::connection_refused);
            }());
    };
    bool allowed = true;
    for (bool const fast_open : {false, true})
        for (std::size_t const addresses : {1u, 2u})
        {
            CAPTURE(fast_open);
            CAPTURE(addresses);
            // The only port that this network has for clients is the one that they connect to.
            allowed = in_own_network("ip_local_port_range", "40000\t40000", [&] { connect(fast_open, addresses); }) &&
                      allowed;
        }
    if (!allowed)
        MESSAGE("no network of our own is allowed here: only what tells such a socket was tested");
}

TEST_CASE("a client that does not verify resumes with a server whose certificate has expired")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        asio::ssl::context server_tls{asio::ssl::context::tls_server};
        auto const own = authority().issue({"localhost"}, -1h);
        server_tls.use_certificate_chain(asio::buffer(own.certificate));
        server_tls.use_private_key(asio::buffer(own.key), asio::ssl::context::pem);
        set_versions(server_tls, k.version, k.version);
        server srv{io, reprise::session_cache{server_tls, {.id_context = "expired", .tickets = k.tickets}}};
        asio::ssl::context client_tls{asio::ssl::context::tls_client};
        auto const store = reprise::memory_session_store::make();
        reprise::client_options options;
        options.verify_peer = false;
        run(io,
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), client_tls, *store, options};
                for (bool const resumes : {false, true, true})
                {
                    auto const info = co_await stream.async_connect("localhost", srv.port());
                    CHECK(info.resumed() == resumes);
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
            }());
        CHECK(srv.handshakes.at(1).resumption == k.on_server);
    }
}

TEST_CASE("a server takes the bytes that it has read to tell TLS from plain text")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        asio::io_context io;
        auto server_tls = server_context();
        auto client_tls = client_context();
        set_versions(server_tls, k.version, k.version);
        reprise::session_cache const cache{server_tls, {.id_context = "detect", .tickets = k.tickets}};
        tcp::acceptor acceptor{executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        std::vector<reprise::handshake_info> at_server;
        std::size_t most_read = 0;
        auto const serve = [&]() -> asio::awaitable<void>
        {
            for (int i = 0; i < 3; ++i)
            {
                auto socket = co_await acceptor.async_accept(asio::use_awaitable);
                boost::beast::flat_buffer first;
                if (i == 2) // a single byte
                    first.commit(co_await socket.async_read_some(first.prepare(1), asio::use_awaitable));
                else
                    CHECK(co_await boost::beast::async_detect_ssl(socket, first, asio::use_awaitable));
                most_read = std::max(most_read, first.size());
                reprise::server_stream<> stream{std::move(socket), cache};
                at_server.push_back(co_await stream.async_handshake(first.data()));
                co_await asio::async_write(stream, asio::buffer("!", 1), asio::use_awaitable);
                co_await stream.async_shutdown();
            }
        };
        asio::co_spawn(executor_of(io), serve(), asio::detached);
        auto const store = reprise::memory_session_store::make();
        auto const port = std::to_string(acceptor.local_endpoint().port());
        run(io,
            [&]() -> asio::awaitable<void>
            {
                client_side stream{executor_of(io), client_tls, *store};
                for (int i = 0; i < 3; ++i)
                {
                    co_await stream.async_connect("localhost", port);
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
            }());
        REQUIRE(at_server.size() == 3);
        CHECK(at_server[1].resumption == k.on_server);
        CHECK(at_server[2].resumption == k.on_server);
        CHECK(most_read > 100); // the ClientHello
    }
}

TEST_CASE("bytes that are no TLS, handed to a server's handshake, fail it")
{
    asio::io_context io;
    auto tls = server_context();
    reprise::session_cache const cache{tls, {.id_context = "bytes"}};
    tcp::acceptor acceptor{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    for (std::string const& bytes : {std::string{"GET / HTTP/1.1\r\n\r\n"}, std::string(100'000, 'x')})
    {
        tcp::socket socket{io};
        socket.connect(acceptor.local_endpoint());
        reprise::server_stream<> stream{acceptor.accept(), cache};
        ending handshake;
        stream.async_handshake(asio::buffer(bytes), handshake.handler());
        run_until_ended(io, handshake);
        CHECK(handshake.ec->category() == asio::error::get_ssl_category());
        ending reading;
        std::string data(1, ' ');
        stream.async_read_some(asio::buffer(data), reading.handler());
        run_until_ended(io, reading);
        CHECK(*reading.ec == errc::stream_closed);
    }
}

TEST_SUITE_END();
