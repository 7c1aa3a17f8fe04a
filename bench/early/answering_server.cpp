// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "early/answering_server.hpp"

#include <reprise/replay_guard.hpp>
#include <reprise/server_stream.hpp>

#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <openssl/ssl.h>

#include <utility>

namespace bench {

namespace {

constexpr char at_once = 'a';
constexpr char when_complete = 'c';

asio::ssl::context& with_tls12(asio::ssl::context& tls)
{
    SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_2_VERSION);
    return tls;
}

} // namespace

std::string answering_server::request(bool answer_at_once)
{
    return std::string(request_size, answer_at_once ? at_once : when_complete);
}

answering_server::answering_server()
    : loopback_server(kinds[2]),
      cache_(with_tls12(tls()),
             {.id_context = "bench", .early_data = {.max_bytes = 16384, .guard = reprise::replay_guard::in_memory()}})
{
    start();
}

answering_server::~answering_server()
{
    stop();
}

asio::awaitable<void> answering_server::connection(asio::ip::tcp::socket socket)
{
    reprise::server_stream<asio::ip::tcp::socket> stream{std::move(socket), cache_};
    co_await stream.async_handshake();
    std::string text(request_size, 0);
    co_await asio::async_read(stream, asio::buffer(text), asio::use_awaitable);
    if (text.front() == when_complete)
        co_await stream.async_finish_handshake();
    auto const answer = stream.is_early() ? early_answer : late_answer;
    co_await asio::async_write(stream, asio::buffer(answer), asio::use_awaitable);
    co_await stream.async_shutdown();
}

} // namespace bench
