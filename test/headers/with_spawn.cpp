// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Operations with callbacks and futures, in a file that also has Asio's stackful coroutines: unqualified names of ours
// must not find those of Asio.

#include <boost/asio/error.hpp> // spawn.hpp of Boost 1.81 lacks it
#include <boost/asio/spawn.hpp>

#include <reprise/client_stream.hpp>
#include <reprise/http/read_request.hpp>
#include <reprise/http/request.hpp>
#include <reprise/http/retry_request.hpp>
#include <reprise/server_stream.hpp>

#include <boost/asio/use_future.hpp>

namespace asio = boost::asio;

void use(reprise::client_stream<>& client, reprise::server_stream<>& server, asio::yield_context yield)
{
    client.async_connect("a.test", "443", [](reprise::error_code, reprise::handshake_info const&) {});
    (void)client.async_reconnect(asio::use_future);
    client.async_shutdown([](reprise::error_code) {});
    client.async_close([](reprise::error_code) {});
    (void)client.async_connect("a.test", "443", yield);
    client.async_shutdown(yield);
    server.async_handshake([](reprise::error_code, reprise::handshake_info const&) {});
    server.async_finish_handshake([](reprise::error_code) {});
    server.async_shutdown([](reprise::error_code) {});
    (void)server.async_handshake(yield);
}
