// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "coroutines.hpp"
#include "reconnect/clients.hpp"
#include "stopwatch.hpp"

#include <reprise/client_stream.hpp>
#include <reprise/memory_session_store.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <stdexcept>

namespace bench {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

asio::ssl::context client_context(nginx const& server, bool tls13)
{
    asio::ssl::context tls{asio::ssl::context::tls_client};
    tls.load_verify_file(server.ca_file());
    tls.set_verify_mode(asio::ssl::verify_peer);
    auto const version = tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    SSL_CTX_set_min_proto_version(tls.native_handle(), version);
    SSL_CTX_set_max_proto_version(tls.native_handle(), version);
    return tls;
}

template <class Stream>
asio::awaitable<void> ask(Stream& stream, std::string const& host)
{
    http::request<http::empty_body> request{http::verb::get, "/", 11};
    request.set(http::field::host, host);
    co_await http::async_write(stream, request, asio::use_awaitable);
    boost::beast::flat_buffer buffer;
    http::response<http::string_body> response;
    co_await http::async_read(stream, buffer, response, asio::use_awaitable);
    if (response.body() != "ok")
        throw std::runtime_error{"nginx says something else"};
}

// Both in one thread, with one io_context.
class asio_client : public client
{
public:
    asio_client(nginx const& server, bool tls13) : port_(server.port()), tls_(client_context(server, tls13)) {}

    cost fetch(std::size_t count) override
    {
        cost result{.count = count};
        auto const cpu = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
        auto const time = cpu_time(CLOCK_MONOTONIC);
        io_.restart();
        asio::co_spawn(io_, fetch_all(count, result), rethrow);
        io_.run();
        result.cpu_us = static_cast<double>((cpu_time(CLOCK_PROCESS_CPUTIME_ID) - cpu).count()) / 1e3;
        result.time_us = static_cast<double>((cpu_time(CLOCK_MONOTONIC) - time).count()) / 1e3;
        return result;
    }

protected:
    virtual asio::awaitable<void> fetch_all(std::size_t count, cost& result) = 0;

    std::string const port_;
    asio::ssl::context tls_;
    asio::io_context io_{1};
};

class reprise_client final : public asio_client
{
public:
    using asio_client::asio_client;

private:
    asio::awaitable<void> fetch_all(std::size_t count, cost& result) override
    {
        reprise::client_stream<> stream{io_.get_executor(), tls_, *store_};
        for (std::size_t i = 0; i < count; ++i)
        {
            auto const info = co_await stream.async_connect("localhost", port_);
            result.resumed += info.resumed() ? 1u : 0u;
            co_await ask(stream, "localhost");
            co_await stream.async_shutdown();
        }
    }

    std::shared_ptr<reprise::memory_session_store> store_ = reprise::memory_session_store::make();
};

class plain_client final : public asio_client
{
public:
    using asio_client::asio_client;

private:
    asio::awaitable<void> fetch_all(std::size_t count, cost&) override
    {
        tcp::resolver resolver{io_};
        for (std::size_t i = 0; i < count; ++i)
        {
            asio::ssl::stream<tcp::socket> stream{io_, tls_};
            if (!SSL_set_tlsext_host_name(stream.native_handle(), "localhost"))
                throw std::bad_alloc{};
            ::SSL_set1_host(stream.native_handle(), "localhost");
            auto const found = co_await resolver.async_resolve("localhost", port_, asio::use_awaitable);
            co_await asio::async_connect(stream.next_layer(), found, asio::use_awaitable);
            stream.next_layer().set_option(tcp::no_delay{true});
            co_await stream.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
            co_await ask(stream, "localhost");
            (void)co_await stream.async_shutdown(asio::as_tuple(asio::use_awaitable));
        }
    }
};

} // namespace

std::unique_ptr<client> make_reprise(nginx const& server, bool tls13)
{
    return std::make_unique<reprise_client>(server, tls13);
}

std::unique_ptr<client> make_plain_asio(nginx const& server, bool tls13)
{
    return std::make_unique<plain_client>(server, tls13);
}

} // namespace bench
