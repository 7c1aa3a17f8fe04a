// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// The smallest client: connects, shuts down and reconnects. Usage: tiny_client CA.pem HOST PORT
#include <reprise/client.hpp>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

#include <iostream>

namespace asio = boost::asio;

asio::awaitable<void> visit_twice(asio::ssl::context& tls, reprise::session_store& store, char const* host,
                                  char const* port)
{
    reprise::client_stream<> stream{co_await asio::this_coro::executor, tls, store};
    co_await stream.async_connect(host, port);
    for (int visit = 1;; ++visit)
    {
        std::string line;
        co_await asio::async_read_until(stream, asio::dynamic_buffer(line), '\n', asio::use_awaitable);
        std::cout << (stream.handshake().resumed() ? "resumed: " : "full handshake: ") << line;
        co_await stream.async_shutdown();
        if (visit == 2)
            co_return;
        co_await stream.async_reconnect();
    }
}

int main(int argc, char** argv)
try
{
    if (argc != 4)
    {
        std::cerr << "Usage: tiny_client CA.pem HOST PORT\n";
        return 2;
    }
    asio::io_context io;
    asio::ssl::context tls{asio::ssl::context::tls_client};
    tls.load_verify_file(argv[1]);
    auto const store = reprise::memory_session_store::make();
    asio::co_spawn(io, visit_twice(tls, *store, argv[2], argv[3]),
                   [](std::exception_ptr e)
                   {
                       if (e)
                           std::rethrow_exception(e);
                   });
    io.run();
}
catch (std::exception const& e)
{
    std::cerr << "tiny_client: " << e.what() << '\n';
    return 1;
}
