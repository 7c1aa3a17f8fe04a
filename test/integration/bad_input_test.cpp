// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/write.hpp>

using namespace test;

TEST_SUITE_BEGIN("bad input");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

int reason_of(error_code ec)
{
    return ec.category() == asio::error::get_ssl_category() ? ERR_GET_REASON(static_cast<unsigned long>(ec.value()))
                                                            : 0;
}

// What a client of this context sends first.
std::string first_flight(asio::ssl::context& tls)
{
    reprise::ssl_ptr const ssl{::SSL_new(tls.native_handle())};
    ::SSL_set_connect_state(ssl.get());
    BIO* const out = ::BIO_new(::BIO_s_mem());
    ::SSL_set_bio(ssl.get(), ::BIO_new(::BIO_s_mem()), out);
    (void)::SSL_do_handshake(ssl.get());
    char* data = nullptr;
    auto const size = BIO_get_mem_data(out, &data);
    return {data, static_cast<std::size_t>(size)};
}

asio::awaitable<tcp::socket> connected(world& w)
{
    tcp::socket socket{executor_of(w.io)};
    co_await socket.async_connect(w.srv.endpoint(), asio::use_awaitable);
    co_return socket;
}

asio::awaitable<void> read_to_end(tcp::socket& socket)
{
    std::string ignored;
    (void)co_await asio::async_read(socket, asio::dynamic_buffer(ignored), as_tuple);
}

// Whatever happened before, others are served, in full and resumed.
asio::awaitable<void> still_serves(world& w)
{
    auto stream = w.stream();
    (void)co_await w.visit(stream);
    CHECK((co_await w.visit(stream)).resumed());
}

} // namespace

TEST_CASE("a certificate that nobody vouches for, and one for another host, are refused by the client")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                asio::ssl::context stranger{asio::ssl::context::tls_client};
                client_side first{executor_of(w.io), stranger, *w.store};
                auto const [ec, info] = co_await first.async_connect("localhost", w.srv.port(), as_tuple);
                CHECK(reason_of(ec) == SSL_R_CERTIFICATE_VERIFY_FAILED);

                auto second = w.stream();
                std::vector const endpoints{w.srv.endpoint()};
                auto const [other, info2] = co_await second.async_connect("elsewhere.test", port_of(endpoints),
                                                                          {.endpoints = endpoints}, as_tuple);
                CHECK(reason_of(other) == SSL_R_CERTIFICATE_VERIFY_FAILED);
                CHECK(::SSL_get_verify_result(second.native_handle()) == X509_V_ERR_HOSTNAME_MISMATCH);
                co_await still_serves(w);
            });
    }
}

TEST_CASE("a session made for one host name is not offered under another")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            auto const info = co_await stream.async_connect("127.0.0.1", w.srv.port());
            CHECK(info.reason == reprise::full_handshake_reason::nothing_stored);
            co_await stream.async_shutdown();
        });
}

TEST_CASE("plain HTTP on the TLS port is named as such")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto socket = co_await connected(w);
            co_await asio::async_write(socket, asio::buffer(std::string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n"}),
                                       asio::use_awaitable);
            co_await read_to_end(socket);
            co_await still_serves(w);
        });
    REQUIRE(w.srv.failures.size() == 1);
    CHECK(reason_of(w.srv.failures[0]) == SSL_R_HTTP_REQUEST);
    CHECK(w.cache.stats().failed == 1);
}

TEST_CASE("half a ClientHello and silence ends with the handshake timeout, and delays nobody")
{
    world w{{.server = {.handshake_timeout = 50ms}}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto const hello = first_flight(w.client_tls);
            auto socket = co_await connected(w);
            co_await asio::async_write(socket, asio::buffer(hello.substr(0, hello.size() / 2)), asio::use_awaitable);
            co_await still_serves(w);
            co_await read_to_end(socket); // the server gives up and closes
        });
    REQUIRE(w.srv.failures.size() == 1);
    CHECK(w.srv.failures[0] == asio::error::timed_out);
}

TEST_CASE("half a ClientHello and an end is a truncated stream")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto const hello = first_flight(w.client_tls);
            auto socket = co_await connected(w);
            co_await asio::async_write(socket, asio::buffer(hello.substr(0, hello.size() / 2)), asio::use_awaitable);
            socket.shutdown(tcp::socket::shutdown_send);
            co_await read_to_end(socket);
            co_await still_serves(w);
        });
    REQUIRE(w.srv.failures.size() == 1);
    CHECK(w.srv.failures[0] == asio::ssl::error::stream_truncated);
}

namespace {

// Between a client and the server: passes the client's bytes on one at a time, the server's as they come.
asio::awaitable<void> trickle(tcp::socket from, tcp::socket to, std::size_t at_once)
{
    std::array<char, 16384> buffer{};
    for (;;)
    {
        auto const [ec, size] =
            co_await from.async_read_some(asio::buffer(buffer, std::min(at_once, buffer.size())), as_tuple);
        auto const [write_error, ignored] = co_await asio::async_write(to, asio::buffer(buffer, size), as_tuple);
        if (ec || write_error)
            break;
    }
    error_code ignored;
    to.shutdown(tcp::socket::shutdown_send, ignored);
}

tcp::socket second_handle(tcp::socket& socket)
{
    return {socket.get_executor(), tcp::v4(), ::dup(socket.native_handle())};
}

} // namespace

TEST_CASE("a client whose bytes arrive one by one resumes, every kind")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k}};
        tcp::acceptor between{executor_of(w.io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
        asio::co_spawn(
            executor_of(w.io),
            [&]() -> asio::awaitable<void>
            {
                for (;;)
                {
                    auto [ec, client] = co_await between.async_accept(as_tuple);
                    if (ec)
                        co_return;
                    auto server = co_await connected(w);
                    client.set_option(tcp::no_delay{true});
                    server.set_option(tcp::no_delay{true});
                    auto client2 = second_handle(client);
                    auto server2 = second_handle(server);
                    asio::co_spawn(executor_of(w.io), trickle(std::move(client), std::move(server), 1), asio::detached);
                    asio::co_spawn(executor_of(w.io), trickle(std::move(server2), std::move(client2), 16384),
                                   asio::detached);
                }
            },
            asio::detached);
        auto const port = std::to_string(between.local_endpoint().port());
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                for (bool const resumed : {false, true})
                {
                    CHECK((co_await stream.async_connect("localhost", port)).resumed() == resumed);
                    co_await read_all(stream);
                    co_await stream.async_shutdown();
                }
            });
        CHECK(w.srv.handshakes.at(1).resumption == k.on_server);
        between.close();
    }
}

TEST_CASE("a ClientHello of 40 KB is served; one that never ends is refused")
{
    world w;
    // A custom extension, ignored by the server, makes it long.
    static std::string const filler(40'000, 'x');
    auto const add = [](SSL*, unsigned, unsigned, unsigned char const** out, std::size_t* size, X509*, std::size_t,
                        int*, void*) -> int
    {
        *out = reinterpret_cast<unsigned char const*>(filler.data());
        *size = filler.size();
        return 1;
    };
    REQUIRE(SSL_CTX_add_custom_ext(w.client_tls.native_handle(), 65000, SSL_EXT_CLIENT_HELLO, add, nullptr, nullptr,
                                   nullptr, nullptr) == 1);
    w.run([&]() { return still_serves(w); });
    CHECK(w.srv.failures.empty());

    w.io.restart();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto socket = co_await connected(w);
            // A handshake message that claims 16 MB: OpenSSL stops at SSL3_RT_MAX_PLAIN_LENGTH-like bounds.
            std::string endless{"\x16\x03\x01\x40\x00\x01\xff\xff\xff", 9};
            endless.resize(5 + 0x4000, 'x');
            co_await asio::async_write(socket, asio::buffer(endless), asio::use_awaitable);
            co_await read_to_end(socket);
        });
    REQUIRE(w.srv.failures.size() == 1);
    CHECK(w.srv.failures[0].category() == asio::error::get_ssl_category());
}

TEST_CASE("a client that writes and closes without reading its tickets is not a failed handshake")
{
    std::string heard;
    auto const listen = [&](server_side& stream) -> asio::awaitable<void>
    {
        std::string data;
        (void)co_await asio::async_read(stream, asio::dynamic_buffer(data), asio::transfer_at_least(5), as_tuple);
        heard += data;
    };
    for (auto const& k : {kinds[2], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        heard.clear();
        world w{{.of = k, .talk = listen}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                {
                    auto stream = w.stream();
                    (void)co_await stream.async_connect("localhost", w.srv.port());
                    co_await asio::async_write(stream, asio::buffer("hello", 5), asio::transfer_all(),
                                               asio::use_awaitable);
                    // Closed with the tickets unread: the kernel answers them with a reset.
                    stream.close();
                }
                for (int i = 0; i < 100 && heard.empty(); ++i)
                    co_await asio::post(executor_of(w.io), asio::use_awaitable);
                asio::steady_timer grace{executor_of(w.io), 20ms};
                co_await grace.async_wait(asio::use_awaitable);
            });
        CHECK(w.srv.handshakes.size() == 1);
        CHECK(w.srv.failures.empty());
        CHECK(w.cache.stats().failed == 0);
    }
}

TEST_CASE("an address that nobody listens on, and a name that nobody knows, are the socket's and the resolver's errors")
{
    world w;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            tcp::acceptor gone{executor_of(w.io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
            auto const port = std::to_string(gone.local_endpoint().port());
            gone.close();
            auto stream = w.stream();
            CHECK(std::get<0>(co_await stream.async_connect("127.0.0.1", port, as_tuple)) ==
                  asio::error::connection_refused);
            auto const [ec, info] = co_await stream.async_connect("no-such-host.invalid", "443", as_tuple);
            CHECK((ec == asio::error::host_not_found || ec == asio::error::host_not_found_try_again));
            std::vector<tcp::endpoint> const none;
            CHECK(std::get<0>(co_await stream.async_connect("localhost", "443", {.endpoints = none}, as_tuple)));
            co_await still_serves(w);
        });
}

TEST_CASE("garbage in the storage is a full handshake with its reason")
{
    for (auto const& k : {kinds[0], kinds[3]})
    {
        CAPTURE(std::string{k.name});
        // Answers every question with the same nonsense.
        struct garbage : reprise::storage
        {
            asio::awaitable<std::optional<reprise::secret_bytes>> get(std::string) override { return nonsense(); }
            asio::awaitable<std::optional<reprise::secret_bytes>> take(std::string) override { return nonsense(); }
            asio::awaitable<void> put(std::string, reprise::secret_bytes, reprise::time_point) override { co_return; }
            asio::awaitable<bool> put_if_absent(std::string, reprise::secret_bytes, reprise::time_point) override
            {
                co_return true;
            }
            asio::awaitable<bool> erase(std::string) override { co_return false; }
            asio::awaitable<std::size_t> flush() override { co_return 0; }
            reprise::storage_stats stats() const override { return {}; }

            static asio::awaitable<std::optional<reprise::secret_bytes>> nonsense()
            {
                reprise::secret_bytes bytes{200};
                std::fill_n(bytes.data(), 200, static_cast<unsigned char>(1));
                co_return bytes;
            }
        };
        world w{{.of = k, .cache = {.storage = std::make_shared<garbage>()}}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                (void)co_await w.visit(stream);
                CHECK((co_await w.visit(stream)).reason == reprise::full_handshake_reason::declined);
            });
        CHECK(w.srv.handshakes.at(1).reason == reprise::full_handshake_reason::record_corrupt);
        CHECK(w.srv.failures.empty());
    }
}

TEST_SUITE_END();
