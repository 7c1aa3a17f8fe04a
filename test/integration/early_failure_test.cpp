// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Connections with early data that are cancelled or break: what was heard is heard once, and both ends go on.

#include "support/early.hpp"
#include "support/flight.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>

#include <optional>

using namespace test;
using reprise::early_data;
using reprise::early_data_status;

TEST_SUITE_BEGIN("early_failure");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

void reset(auto& socket)
{
    socket.set_option(asio::socket_base::linger{true, 0});
    socket.close();
}

// What came of connecting with this line, when it was cancelled after so many turns of the io_context.
asio::awaitable<error_code> connect_and_cancel(early_world& w, std::string const& line, int turns)
{
    auto stream = w.stream();
    early_data const early{asio::buffer(line)};
    asio::cancellation_signal cancel;
    std::optional<error_code> result;
    stream.async_connect("localhost", w.port, early,
                         asio::bind_cancellation_slot(cancel.slot(), [&](error_code ec, reprise::handshake_info const&)
                                                      { result = ec; }));
    for (int i = 0; i < turns && !result; ++i)
        co_await asio::post(asio::use_awaitable);
    cancel.emit(asio::cancellation_type::terminal);
    while (!result)
        co_await asio::post(asio::use_awaitable);
    co_return *result;
}

} // namespace

TEST_CASE("a client that is cancelled at any step has sent its data at most once, and connects again")
{
    early_world w{kinds[2]};
    int aborted = 0;
    int completed = 0;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            for (int turns = 0; completed < 3; ++turns)
            {
                auto stream = w.stream();
                co_await w.say(stream, "ticket");
                auto const name = "turn " + std::to_string(turns);
                auto const ec = co_await connect_and_cancel(w, name + "\n", turns);
                CHECK((!ec || ec == asio::error::operation_aborted));
                ++(ec ? aborted : completed);
                CHECK(w.times_heard(name) <= 1);
                co_await w.say(stream, "after " + name);
                CHECK(w.times_heard("after " + name) == 1);
                CHECK(w.times_heard(name) <= 1);
            }
        });
    CHECK(aborted > 3);
}

TEST_CASE("a server that is cancelled in the early phase hears nothing more of it, and serves others")
{
    std::vector<error_code> ends;
    auto const talk = [&](server_side& stream) -> asio::awaitable<void>
    {
        if (!stream.is_early())
            co_return co_await answer_and_shut_down(stream);
        asio::cancellation_signal cancel;
        std::optional<error_code> result;
        stream.async_finish_handshake(asio::bind_cancellation_slot(cancel.slot(), [&](error_code ec) { result = ec; }));
        cancel.emit(asio::cancellation_type::terminal);
        while (!result)
            co_await asio::post(asio::use_awaitable);
        ends.push_back(*result);
    };
    early_world w{kinds[2], {.talk = talk}};
    recorder tap{w.inner().io, w.srv().port()};
    w.port = tap.port();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            early_data const early{asio::buffer("x\n", 2)};
            co_await stream.async_connect("localhost", w.port, early);
            co_await read_all(stream);
            co_await stream.async_shutdown();
            tap.loses = true;
            auto const [ec, info] = co_await stream.async_reconnect(early, as_tuple);
            CHECK(ec);
            tcp::socket silent{executor_of(w.inner().io)};
            co_await silent.async_connect(w.srv().endpoint(), asio::use_awaitable);
            co_await asio::async_write(silent, asio::buffer(tap.flights.back()), asio::use_awaitable);
            while (ends.empty())
                co_await asio::post(asio::use_awaitable);
            CHECK(ends == std::vector<error_code>{asio::error::operation_aborted});
            tap.loses = false;
            auto const again = co_await stream.async_reconnect(); // in full: its ticket is used
            CHECK_FALSE(again.resumed());
            co_await read_all(stream);
        });
}

TEST_CASE("a client that never completes its handshake is given up after the handshake timeout")
{
    std::vector<error_code> ends;
    auto const talk = [&](server_side& stream) -> asio::awaitable<void>
    {
        if (!stream.is_early())
            co_return co_await answer_and_shut_down(stream);
        auto const [ec] = co_await stream.async_finish_handshake(as_tuple);
        ends.push_back(ec);
    };
    world w{{.of = kinds[2],
             .cache = {.early_data = {.max_bytes = 100, .guard = reprise::replay_guard::in_memory()}},
             .server = {.handshake_timeout = 100ms},
             .talk = talk}};
    recorder tap{w.io, w.srv.port()};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await stream.async_connect("localhost", tap.port());
            co_await read_all(stream);
            co_await stream.async_shutdown();
            tap.loses = true;
            early_data const early{asio::buffer("x\n", 2)};
            (void)co_await stream.async_reconnect(early, as_tuple);
            tcp::socket silent{executor_of(w.io)};
            co_await silent.async_connect(w.srv.endpoint(), asio::use_awaitable);
            co_await asio::async_write(silent, asio::buffer(tap.flights.back()), asio::use_awaitable);
            std::string answer;
            (void)co_await asio::async_read(silent, asio::dynamic_buffer(answer), asio::transfer_all(), as_tuple);
        });
    CHECK(ends == std::vector<error_code>{asio::error::timed_out});
}

TEST_CASE("what a server has heard early and answered with a reset is not sent again")
{
    early_world* world = nullptr;
    auto const talk = [&](server_side& stream) -> asio::awaitable<void>
    {
        bool const is_early = stream.is_early();
        std::string line;
        auto const [ec, size] = co_await asio::async_read_until(stream, asio::dynamic_buffer(line), '\n', as_tuple);
        if (ec)
            co_return;
        world->heard.push_back({line.substr(0, size - 1), is_early});
        if (is_early)
            co_return reset(stream.lowest_layer());
        (void)co_await asio::async_write(stream, asio::buffer("yes\n", 4), as_tuple);
        co_await stream.async_shutdown();
    };
    early_world w{kinds[2], {.talk = talk}};
    world = &w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            for (int i = 0; i < 20; ++i)
            {
                auto stream = w.stream();
                co_await w.say(stream, "ticket");
                auto const name = "reset " + std::to_string(i) + "\n";
                early_data const early{asio::buffer(name)};
                auto const [ec, info] = co_await stream.async_reconnect(early, as_tuple);
                if (!ec) // the server's flight had come before
                    CHECK(info.early_data == early_data_status::accepted);
                auto const text = "reset " + std::to_string(i);
                while (w.times_heard(text) == 0)
                    co_await asio::post(asio::use_awaitable);
                for (int turn = 0; turn < 20; ++turn) // and not once more
                    co_await asio::post(asio::use_awaitable);
                CHECK(w.times_heard(text) == 1);
            }
        });
}

TEST_CASE("a client that resets while its data is early harms nobody")
{
    early_world w{kinds[2]};
    recorder tap{w.inner().io, w.srv().port()};
    w.port = tap.port();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "first");
            tap.loses = true;
            CHECK_THROWS_AS(co_await w.say(stream, "again"), reprise::system_error);
            tap.loses = false;
            tcp::socket rude{executor_of(w.inner().io)};
            co_await rude.async_connect(w.srv().endpoint(), asio::use_awaitable);
            co_await asio::async_write(rude, asio::buffer(tap.flights.back()), asio::use_awaitable);
            std::string some(1, '\0');
            co_await rude.async_read_some(asio::buffer(some), asio::use_awaitable);
            reset(rude);
            co_await w.say(stream, "after");
        });
    CHECK(w.times_heard("again") <= 1);
    CHECK(w.times_heard("after") == 1);
}

TEST_SUITE_END();
