// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/early.hpp"

#include <boost/asio/read_until.hpp>

#include <algorithm>

namespace test {

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

setup to_setup(kind const& k, early_setup s)
{
    setup result{.of = k, .cache = std::move(s.cache), .talk = std::move(s.talk), .configure = std::move(s.configure)};
    result.cache.early_data = std::move(s.early);
    auto& early = result.cache.early_data;
    if (early.max_bytes != 0 && !early.guard.is_set())
        early.guard = k.tickets ? reprise::replay_guard::in_memory() : reprise::replay_guard::single_use_tickets();
    return result;
}

early_setup with_talk(early_setup s, conversation talk)
{
    if (!s.talk)
        s.talk = std::move(talk);
    return s;
}

} // namespace

early_world::early_world(kind const& k, early_setup s)
    : world_(to_setup(k, with_talk(std::move(s), [this](server_side& stream) { return hear(stream); })))
{
}

std::size_t early_world::times_heard(std::string const& text) const
{
    return static_cast<std::size_t>(std::ranges::count(heard, text, &message::text));
}

asio::awaitable<void> early_world::hear(server_side& stream)
{
    std::string text;
    bool is_early = stream.is_early();
    auto const [ec, size] = co_await asio::async_read_until(stream, asio::dynamic_buffer(text), '\n', as_tuple);
    is_early = is_early && stream.is_early();
    if (!ec)
    {
        heard.push_back({text.substr(0, size - 1), is_early});
        (void)co_await asio::async_write(stream, asio::buffer("yes\n", 4), as_tuple);
    }
    co_await stream.async_shutdown();
}

asio::awaitable<reprise::handshake_info> early_world::say(client_side& stream, std::string text,
                                                          reprise::early_data_send_options options)
{
    text += '\n';
    reprise::early_data const early{asio::buffer(text), options};
    reprise::handshake_info info; // not with ?:, of which GCC 12 destroys both ends
    if (stream.key().host.empty())
        info = co_await stream.async_connect("localhost", port, early);
    else
        info = co_await stream.async_reconnect(early);
    std::string answer;
    auto const [ec, size] =
        co_await asio::async_read(stream, asio::dynamic_buffer(answer), asio::transfer_all(), as_tuple);
    CHECK(ec == asio::error::eof);
    CHECK(answer == "yes\n");
    co_await stream.async_shutdown();
    co_return info;
}

} // namespace test
