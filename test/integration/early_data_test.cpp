// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Early data that is accepted: how it is sent, read and answered.

#include "support/early.hpp"

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

using namespace test;
using reprise::early_data;
using reprise::early_data_reason;
using reprise::early_data_status;

TEST_SUITE_BEGIN("early_data");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

asio::awaitable<void> answer(server_side& stream)
{
    (void)co_await asio::async_write(stream, asio::buffer("yes\n", 4), as_tuple);
    co_await stream.async_shutdown();
}

// One byte at a time of what has come.
class dribbling_socket : public tcp::socket
{
public:
    using tcp::socket::socket;
    explicit dribbling_socket(tcp::socket s) : tcp::socket(std::move(s)) {}

    template <class Buffers, class Token>
    auto async_read_some(Buffers const& buffers, Token&& token)
    {
        return tcp::socket::async_read_some(
            asio::buffer(asio::mutable_buffer{*asio::buffer_sequence_begin(buffers)}, 1), std::forward<Token>(token));
    }
};

} // namespace

TEST_CASE("data goes with the ClientHello, is read before the handshake is complete, and is answered at once")
{
    for (auto const& k : tls13_kinds())
    {
        CAPTURE(std::string{k.name});
        int asked = 0;
        auto const accept = [&](reprise::early_data_offer const&) { return ++asked > 0; };
        early_world w{k, {.early = {.max_bytes = 100, .accept = accept}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                auto const first = co_await w.say(stream, "first");
                CHECK(first.early_data == early_data_status::not_offered);
                CHECK(first.early_reason == early_data_reason::no_session);
                for (int i = 0; i < 3; ++i)
                {
                    auto const info = co_await w.say(stream, "again");
                    CHECK(info.resumed());
                    CHECK(info.early_data == early_data_status::accepted);
                    CHECK(info.early_reason == early_data_reason::none);
                    CHECK(info.early_size == 6);
                }
            });
        REQUIRE(w.heard.size() == 4);
        CHECK(w.heard[0] == message{"first", false});
        CHECK(w.srv().handshakes.at(0).early_reason == early_data_reason::not_asked);
        for (std::size_t i = 1; i < 4; ++i)
        {
            CHECK(w.heard[i] == message{"again", true});
            CHECK(w.srv().handshakes.at(i).early_data == early_data_status::accepted);
            CHECK(w.srv().handshakes.at(i).early_reason == early_data_reason::none);
            CHECK(w.srv().handshakes.at(i).resumption == k.on_server);
        }
        CHECK(w.cache().stats().early_accepted == 3);
        CHECK(asked == 3);
        CHECK(w.srv().failures.empty());
    }
}

TEST_CASE("the limit holds to the byte; what is longer comes after the handshake, all of it or the rest of it")
{
    for (auto const& k : tls13_kinds())
        for (std::uint32_t const limit : {100u, 16384u, 50'000u})
        {
            CAPTURE(limit);
            early_world w{k, {.early = {.max_bytes = limit}}};
            std::string const fits(limit - 1, 'x'); // and a newline
            std::string const too_long(limit, 'y');
            std::string const much_too_long(std::size_t{3} * limit, 'z');
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream();
                    co_await w.say(stream, "first");
                    auto info = co_await w.say(stream, fits);
                    CHECK(info.early_data == early_data_status::accepted);
                    CHECK(info.early_size == limit);
                    info = co_await w.say(stream, too_long);
                    CHECK(info.early_data == early_data_status::not_offered);
                    CHECK(info.early_reason == early_data_reason::too_large);
                    info = co_await w.say(stream, much_too_long, {.split = true});
                    CHECK(info.early_data == early_data_status::accepted);
                    CHECK(info.early_size == limit);
                });
            CHECK(w.heard.size() == 4);
            CHECK(w.times_heard(fits) == 1);
            CHECK(w.times_heard(too_long) == 1);
            CHECK(w.times_heard(much_too_long) == 1);
        }
}

TEST_CASE("without send_rest, what was not accepted is left to the caller")
{
    early_world w{kinds[2], {.early = {.max_bytes = 10}}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            std::string const text = "0123456789abcdef\n";
            early_data const early{asio::buffer(text), {.split = true, .send_rest = false}};
            auto const info = co_await stream.async_reconnect(early);
            CHECK(info.early_size == 10);
            co_await asio::async_write(stream, asio::buffer(text) + info.early_size, asio::use_awaitable);
            std::string reply;
            (void)co_await asio::async_read(stream, asio::dynamic_buffer(reply), asio::transfer_all(), as_tuple);
            CHECK(reply == "yes\n");
        });
    CHECK(w.times_heard("0123456789abcdef") == 1);
}

TEST_CASE("no bytes are no early data")
{
    early_world w{kinds[2], {.talk = answer}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            early_data const nothing{asio::const_buffer{}};
            auto const info = co_await stream.async_reconnect(nothing);
            CHECK(info.resumed());
            CHECK(info.early_reason == early_data_reason::not_asked);
            std::string reply;
            (void)co_await asio::async_read(stream, asio::dynamic_buffer(reply), asio::transfer_all(), as_tuple);
            CHECK(reply == "yes\n");
        });
    CHECK(w.srv().handshakes.at(1).early_reason == early_data_reason::not_asked);
}

TEST_CASE("small buffers read early data in pieces, and what follows the handshake after it")
{
    for (std::size_t const size : {1u, 7u, 5000u})
    {
        CAPTURE(size);
        std::string all;
        bool was_early = false;
        auto const talk = [&](server_side& stream) -> asio::awaitable<void>
        {
            all.clear();
            std::string piece(size, '\0');
            while (!all.ends_with('\n'))
            {
                auto const n = co_await stream.async_read_some(asio::buffer(piece));
                all.append(piece, 0, n);
                was_early = was_early || stream.is_early();
            }
            co_await answer(stream);
        };
        early_world w{kinds[2], {.early = {.max_bytes = 4000}, .talk = talk}};
        std::string const text(10'000, 't');
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.say(stream, "first");
                CHECK_FALSE(was_early);
                auto const info = co_await w.say(stream, text, {.split = true});
                CAPTURE(to_string(w.srv().handshakes.back().early_reason));
                CHECK(info.early_size == 4000);
                CHECK(was_early);
                CHECK(all == text + "\n");
            });
    }
}

TEST_CASE("a first flight that comes byte by byte is the same first flight")
{
    early_world w{kinds[2]};
    tcp::acceptor acceptor{executor_of(w.inner().io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    std::string heard;
    bool was_early = false;
    auto const serve = [&]() -> asio::awaitable<void>
    {
        auto socket = co_await acceptor.async_accept(asio::use_awaitable);
        reprise::server_stream<dribbling_socket> stream{dribbling_socket{std::move(socket)}, w.cache()};
        auto const info = co_await stream.async_handshake();
        CHECK(info.early_data == early_data_status::accepted);
        was_early = stream.is_early();
        co_await asio::async_read_until(stream, asio::dynamic_buffer(heard), '\n', asio::use_awaitable);
        co_await asio::async_write(stream, asio::buffer("yes\n", 4), asio::use_awaitable);
        co_await stream.async_shutdown();
    };
    std::string const text(3000, 'd');
    w.run(
        [&]() -> asio::awaitable<void>
        {
            using namespace asio::experimental::awaitable_operators;
            auto stream = w.stream();
            co_await w.say(stream, "first");
            std::string const line = text + "\n";
            early_data const early{asio::buffer(line)};
            auto const connect = [&]() -> asio::awaitable<void>
            {
                std::vector const to{acceptor.local_endpoint()};
                auto other = w.stream();
                auto const info =
                    co_await other.async_connect("localhost", port_of(to), {.early_data = early, .endpoints = to});
                CHECK(info.early_data == early_data_status::accepted);
                std::string reply;
                (void)co_await asio::async_read(other, asio::dynamic_buffer(reply), asio::transfer_all(), as_tuple);
                CHECK(reply == "yes\n");
                co_await other.async_shutdown();
            };
            co_await (serve() && connect());
        });
    CHECK(was_early);
    CHECK(heard == text + "\n");
}

TEST_CASE("who waits for the handshake reads the same data, no longer early")
{
    for (auto const& k : tls13_kinds())
    {
        std::string heard;
        bool before = false;
        bool after = true;
        auto const talk = [&](server_side& stream) -> asio::awaitable<void>
        {
            before = stream.is_early();
            co_await stream.async_finish_handshake();
            after = stream.is_early();
            co_await stream.async_finish_handshake(); // at once
            heard.clear();
            co_await asio::async_read_until(stream, asio::dynamic_buffer(heard), '\n', asio::use_awaitable);
            co_await answer(stream);
        };
        early_world w{k, {.early = {.max_bytes = 40'000}, .talk = talk}};
        std::string const text(39'000, 'w');
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await w.say(stream, "first");
                CHECK_FALSE(before);
                CHECK((co_await w.say(stream, text)).early_data == early_data_status::accepted);
            });
        CHECK(before);
        CHECK_FALSE(after);
        CHECK(heard == text + "\n");
        CHECK(w.srv().handshakes.size() == 2);
    }
}

TEST_CASE("one coroutine may read, another write, while data is early")
{
    std::string const much(200'000, 'm');
    std::string heard;
    auto const talk = [&](server_side& stream) -> asio::awaitable<void>
    {
        using namespace asio::experimental::awaitable_operators;
        heard.clear();
        auto const read = [&]() -> asio::awaitable<void>
        {
            co_await asio::async_read_until(stream, asio::dynamic_buffer(heard), '\n', asio::use_awaitable);
            std::string rest;
            (void)co_await asio::async_read(stream, asio::dynamic_buffer(rest), asio::transfer_all(), as_tuple);
            CHECK(rest.empty());
        };
        auto const write = [&]() -> asio::awaitable<void>
        { co_await asio::async_write(stream, asio::buffer(much), asio::use_awaitable); };
        co_await (read() && write());
        co_await stream.async_shutdown();
    };
    early_world w{kinds[2], {.talk = talk}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            std::string const line = "line\n";
            early_data const early{asio::buffer(line)};
            for (int i = 0; i < 3; ++i)
            {
                if (i == 0)
                    co_await stream.async_connect("localhost", w.srv().port(), early);
                else
                    CHECK((co_await stream.async_reconnect(early)).early_data == early_data_status::accepted);
                std::string got(much.size(), '\0');
                co_await asio::async_read(stream, asio::buffer(got), asio::transfer_all(), asio::use_awaitable);
                CHECK(got == much);
                co_await stream.async_shutdown();
                CHECK(heard == line);
            }
        });
}

TEST_CASE(
    "a server that shuts down while data is early completes the handshake first, so that the client gets its ticket")
{
    auto const talk = [](server_side& stream) -> asio::awaitable<void> { co_await stream.async_shutdown(); };
    for (auto const& k : tls13_kinds())
    {
        early_world w{k, {.talk = talk}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                std::string const text(10'000, 's');
                early_data const early{asio::buffer(text)};
                for (int i = 0; i < 4; ++i)
                {
                    reprise::handshake_info info;
                    if (i == 0)
                        info = co_await stream.async_connect("localhost", w.srv().port(), early);
                    else
                        info = co_await stream.async_reconnect(early);
                    CHECK(info.resumed() == (i > 0));
                    CHECK((info.early_data == early_data_status::accepted) == (i > 0));
                    std::string rest;
                    auto const [ec, n] =
                        co_await asio::async_read(stream, asio::dynamic_buffer(rest), asio::transfer_all(), as_tuple);
                    CHECK(ec == asio::error::eof);
                    co_await stream.async_shutdown();
                }
            });
        CHECK(w.srv().failures.empty());
    }
}

TEST_CASE("the chosen host decides, not the one that the stream began with")
{
    auto const guard = reprise::replay_guard::in_memory();
    auto open_tls = server_context({"a.test"});
    auto closed_tls = server_context({"b.test"});
    reprise::session_cache const open{open_tls, {.id_context = "a", .early_data = {.max_bytes = 100, .guard = guard}}};
    reprise::session_cache const closed{closed_tls, {.id_context = "b"}};
    auto const select =
        [&](reprise::client_hello const& hello) -> asio::awaitable<std::optional<reprise::session_cache>>
    { co_return hello.server_name == "a.test" ? open : closed; };
    asio::io_context io;
    std::vector<bool> early_at_server;
    server srv{io,
               closed,
               {.select_host = select},
               [&](server_side& stream) -> asio::awaitable<void>
               {
                   early_at_server.push_back(stream.is_early());
                   std::string line;
                   co_await asio::async_read_until(stream, asio::dynamic_buffer(line), '\n', asio::use_awaitable);
                   co_await answer(stream);
               }};
    auto tls = client_context();
    auto const store = reprise::memory_session_store::make();
    auto const visit = [&](std::string host) -> asio::awaitable<reprise::handshake_info>
    {
        client_side stream{executor_of(io), tls, *store};
        std::vector const to{srv.endpoint()};
        early_data const early{asio::buffer("line\n", 5)};
        auto info = co_await stream.async_connect(host, port_of(to), {.early_data = early, .endpoints = to});
        std::string reply;
        (void)co_await asio::async_read(stream, asio::dynamic_buffer(reply), asio::transfer_all(), as_tuple);
        CHECK(reply == "yes\n");
        co_await stream.async_shutdown();
        co_return info;
    };
    auto const test = [&]() -> asio::awaitable<void>
    {
        for (auto const* host : {"a.test", "b.test"})
            (void)co_await visit(host);
        CHECK((co_await visit("a.test")).early_data == early_data_status::accepted);
        auto const other = co_await visit("b.test");
        CHECK(other.resumed());
        CHECK(other.early_reason == early_data_reason::not_allowed);
    };
    run(io, test());
    CHECK(early_at_server == std::vector{false, false, true, false});
}

TEST_SUITE_END();
