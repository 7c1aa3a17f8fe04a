// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// The smallest server that resumes sessions. Usage: tiny_server CERT.pem KEY.pem PORT
#include <reprise/server.hpp>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>

#include <exception>
#include <iostream>
#include <stdexcept>

namespace asio = boost::asio;
using asio::ip::tcp;

void report(std::exception_ptr e)
try
{
    if (e)
        std::rethrow_exception(e);
}
catch (std::exception const& failure)
{
    std::cerr << "tiny_server: " << failure.what() << std::endl;
}

asio::awaitable<void> greet(tcp::socket socket, reprise::session_cache cache)
{
    reprise::server_stream<> stream{std::move(socket), cache};
    co_await stream.async_handshake();
    bool const resumed = stream.handshake().resumed();
    std::cout << (resumed ? "resumed" : "full handshake") << std::endl;
    std::string const greeting = resumed ? "welcome back\n" : "nice to meet you\n";
    co_await asio::async_write(stream, asio::buffer(greeting), asio::use_awaitable);
    co_await stream.async_shutdown();
}

asio::awaitable<void> serve(tcp::acceptor acceptor, asio::ssl::context& tls)
{
    reprise::session_cache cache{tls, {.id_context = "tiny/v1"}};
    for (;;)
        asio::co_spawn(acceptor.get_executor(), greet(co_await acceptor.async_accept(asio::use_awaitable), cache),
                       report);
}

int main(int argc, char** argv)
try
{
    if (argc != 4)
    {
        std::cerr << "Usage: tiny_server CERT.pem KEY.pem PORT\n";
        return 2;
    }
    asio::io_context io;
    asio::ssl::context tls{asio::ssl::context::tls_server};
    tls.use_certificate_chain_file(argv[1]);
    tls.use_private_key_file(argv[2], asio::ssl::context::pem);
    int const port = std::stoi(argv[3]);
    if (port < 0 || port > 65535)
        throw std::out_of_range{"PORT must be 0 to 65535, not " + std::to_string(port)};
    tcp::endpoint const endpoint{asio::ip::address_v4::loopback(), static_cast<unsigned short>(port)};
    tcp::acceptor acceptor{io, endpoint};
    std::cout << "listening on " << acceptor.local_endpoint() << std::endl;
    asio::co_spawn(io, serve(std::move(acceptor), tls), report);
    io.run();
}
catch (std::exception const& e)
{
    std::cerr << "tiny_server: " << e.what() << '\n';
    return 1;
}
