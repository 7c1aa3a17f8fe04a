// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// A program with Asio header-only, and, compiled a second time, one with an Asio of its own (asio_source.cpp). The
// library has to know the program's errors, and the program those of the library: categories are compared by address.
#include <reprise/client_stream.hpp>
#include <reprise/detail/client/proxy_handshake.hpp>
#include <reprise/memory_session_store.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <iostream>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// Ends each handshake before it has begun: having read what has come, for it would be a reset otherwise.
asio::awaitable<void> hang_up(tcp::acceptor& acceptor, int& connections)
{
    for (;;)
    {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        ++connections;
        std::array<char, 16 * 1024> bytes;
        (void)co_await socket.async_read_some(asio::buffer(bytes), asio::use_awaitable);
    }
}

asio::awaitable<reprise::error_code> connect(tcp::acceptor& acceptor, asio::ssl::context& tls)
{
    auto const store = reprise::memory_session_store::make();
    reprise::client_options options;
    options.retry.max_attempts = 2;
    options.retry.first_delay = options.retry.max_delay = std::chrono::milliseconds{1};
    reprise::client_stream<> stream{co_await asio::this_coro::executor, tls, *store, options};
    auto const port = std::to_string(acceptor.local_endpoint().port());
    auto const result = co_await stream.async_connect("127.0.0.1", port, asio::as_tuple(asio::use_awaitable));
    acceptor.close();
    co_return std::get<0>(result);
}

bool check(bool ok, char const* what)
{
    if (!ok)
        std::cout << "FAILED: " << what << '\n';
    return ok;
}

} // namespace

int main()
{
    asio::io_context io;
    asio::ssl::context tls{asio::ssl::context::tls_client};
    tcp::acceptor acceptor{io, {asio::ip::address_v4::loopback(), 0}};
    int connections = 0;
    reprise::error_code failure;
    asio::co_spawn(io, hang_up(acceptor, connections), asio::detached);
    asio::co_spawn(io, connect(acceptor, tls), [&](std::exception_ptr, reprise::error_code ec) { failure = ec; });
    io.run();

    reprise::detail::proxy_reply reply;
    reprise::error_code ec;
    bool const is_whole = reply.put("HTTP/1.1 200", ec);

    bool ok = check(connections == 2, "the library tries again after the program's error");
    ok &= check(failure == asio::ssl::error::stream_truncated, "it fails as the program expects");
    ok &= check(!is_whole && !ec, "the first part of an answer is no error");
    return ok ? 0 : 1;
}
