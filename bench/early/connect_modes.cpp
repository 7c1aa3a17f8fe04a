// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "early/connect_modes.hpp"

#include "contexts.hpp"
#include "early/answering_server.hpp"
#include "early/own_network.hpp"

#include <reprise/client_stream.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <openssl/ssl.h>

#include <chrono>
#include <stdexcept>

namespace bench {

namespace {

using asio::ip::tcp;
using client_stream = reprise::client_stream<tcp::socket>;

constexpr int most_warm_ups = 5;

// The same everywhere. Later OpenSSLs send a post-quantum key share by default, and a ClientHello that has it and a
// ticket takes more than one packet, which is what a SYN can carry.
void use_small_key_shares(asio::ssl::context& tls)
{
    if (SSL_CTX_set1_groups_list(tls.native_handle(), "X25519:P-256") != 1)
        throw std::runtime_error{"X25519 is missing"};
}

asio::ssl::context context_for(way const& w)
{
    auto tls = client_context(kinds[w.protocol == reprise::tls_version::tls12 ? 1 : 2]);
    use_small_key_shares(tls);
    return tls;
}

client_stream stream_for(asio::any_io_executor const& ex, asio::ssl::context& tls,
                         std::shared_ptr<reprise::session_store> const& store, reprise::client_options const& options)
{
    if (store)
        return {ex, tls, *store, options};
    return {ex, tls, options};
}

} // namespace

visitor::visitor(way const& w, tcp::endpoint server)
    : way_(w), server_{server}, tls_(context_for(w)), options_{.fast_open = w.fast_open},
      store_(w.resumes ? reprise::memory_session_store::make() : nullptr),
      request_(answering_server::request(w.how == sending::early_answered_at_once))
{
}

asio::awaitable<void> visitor::warm_up()
{
    std::string last;
    for (int i = 0; i < most_warm_ups; ++i)
    {
        auto const result = co_await attempt();
        last = result.deviation;
        if (last.empty())
            co_return;
    }
    throw std::runtime_error{last};
}

asio::awaitable<double> visitor::visit()
{
    auto const result = co_await attempt();
    if (!result.deviation.empty())
        throw std::runtime_error{result.deviation};
    co_return result.ms;
}

asio::awaitable<visitor::outcome> visitor::attempt()
{
    auto stream = stream_for(co_await asio::this_coro::executor, tls_, store_, options_);
    reprise::early_data const early{asio::buffer(request_)};
    reprise::handshake_info info;
    char part[64];

    auto const start = std::chrono::steady_clock::now();
    if (way_.is_early())
        info = co_await stream.async_connect("localhost", std::to_string(server_.front().port()),
                                             {.early_data = early, .endpoints = server_});
    else
    {
        info =
            co_await stream.async_connect("localhost", std::to_string(server_.front().port()), {.endpoints = server_});
        co_await asio::async_write(stream, asio::buffer(request_), asio::use_awaitable);
    }
    auto const size = co_await stream.async_read_some(asio::buffer(part));
    auto const end = std::chrono::steady_clock::now();

    std::string answer(part, size);
    auto const [ec, rest] = co_await asio::async_read(stream, asio::dynamic_buffer(answer), asio::transfer_all(),
                                                      asio::as_tuple(asio::use_awaitable));
    if (ec != asio::error::eof)
        throw boost::system::system_error{ec, way_.name};
    bool const in_syn = syn_carried_data(stream.lowest_layer().native_handle());
    co_await stream.async_shutdown();
    co_return outcome{std::chrono::duration<double, std::milli>(end - start).count(), deviation(info, answer, in_syn)};
}

std::string visitor::deviation(reprise::handshake_info const& info, std::string const& answer, bool in_syn) const
{
    auto const say = [this](auto const&... what)
    { return ((std::string{way_.name} + ": ") + ... + std::string{what}); };
    if (info.protocol != way_.protocol)
        return say("it was ", to_string(info.protocol));
    if (info.resumed() != way_.resumes)
        return say("it was ", to_string(info.kind), ", reason: ", to_string(info.reason));
    if ((info.early_data == reprise::early_data_status::accepted) != way_.is_early() ||
        info.early_size != (way_.is_early() ? request_.size() : 0))
        return say("early data was ", to_string(info.early_data), ", reason: ", to_string(info.early_reason));
    if (in_syn != way_.fast_open)
        return say("the SYN carried ", in_syn ? "data" : "no data");
    if (answer !=
        (way_.how == sending::early_answered_at_once ? answering_server::early_answer : answering_server::late_answer))
        return say("the answer was ", answer);
    return {};
}

} // namespace bench
