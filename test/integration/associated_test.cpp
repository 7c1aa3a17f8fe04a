// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Every operation keeps what is associated with its handler: executor, allocator, cancellation slot.

#include "support/early.hpp"

#include <reprise/http/read_request.hpp>
#include <reprise/http/request.hpp>
#include <reprise/http/retry_request.hpp>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

using namespace test;
namespace http = boost::beast::http;

TEST_SUITE_BEGIN("associated with a handler");

namespace {

struct memory_use
{
    std::atomic<long> allocations{0};
    std::atomic<long> live{0};
};

template <class T>
class counting_allocator
{
public:
    using value_type = T;

    explicit counting_allocator(memory_use& m) noexcept : memory_(&m) {}
    template <class U>
    counting_allocator(counting_allocator<U> const& other) noexcept : memory_(other.memory_)
    {
    }

    T* allocate(std::size_t n)
    {
        ++memory_->allocations;
        ++memory_->live;
        return std::allocator<T>{}.allocate(n);
    }
    void deallocate(T* p, std::size_t n) noexcept
    {
        --memory_->live;
        std::allocator<T>{}.deallocate(p, n);
    }

    template <class U>
    bool operator==(counting_allocator<U> const& other) const noexcept
    {
        return memory_ == other.memory_;
    }

private:
    template <class U>
    friend class counting_allocator;

    memory_use* memory_;
};

// What a test associates with the handlers of its operations, and what it sees of them.
struct associated
{
    explicit associated(asio::io_context& io) : strand(asio::make_strand(io)) {}

    asio::strand<asio::io_context::executor_type> strand;
    memory_use memory{};
    asio::cancellation_signal cancel{};
    std::optional<error_code> ended{};
    bool ran_elsewhere = false; // the handler, or a step that asks `check`

    void check() { ran_elsewhere = ran_elsewhere || !strand.running_in_this_thread(); }

    auto handler()
    {
        return asio::bind_executor(strand,
                                   asio::bind_allocator(counting_allocator<void>{memory},
                                                        asio::bind_cancellation_slot(cancel.slot(),
                                                                                     [this](error_code ec, auto&&...)
                                                                                     {
                                                                                         check();
                                                                                         ended = ec;
                                                                                     })));
    }
};

using plain_client = reprise::client_stream<>;
using plain_server = reprise::server_stream<>;

// A client and a server that it can connect to; everything runs on the context's own executor.
struct pair
{
    pair() : acceptor(io, tcp::endpoint{asio::ip::address_v4::loopback(), 0})
    {
        options.on_ssl = [this](SSL*)
        {
            if (watching != nullptr)
                watching->check();
        };
    }

    [[nodiscard]] std::string port() const { return std::to_string(acceptor.local_endpoint().port()); }
    [[nodiscard]] std::vector<tcp::endpoint> endpoints() const { return std::vector(2, acceptor.local_endpoint()); }

    plain_client make_client() { return {io, client_tls, *store, options}; }

    // Run until `done`, for so long at most.
    void run_until(std::function<bool()> const& done)
    {
        io.restart();
        auto const end = std::chrono::steady_clock::now() + 10s;
        while (!done() && std::chrono::steady_clock::now() < end)
            io.run_one_for(100ms);
        REQUIRE(done());
    }

    // Perform one operation, with everything that can be associated, beside whatever else runs.
    error_code perform(std::function<void(associated&)> const& start)
    {
        associated a{io};
        watching = &a;
        start(a);
        CHECK_FALSE(a.ended);
        run_until([&] { return a.ended.has_value(); });
        watching = nullptr;
        CHECK_FALSE(a.ran_elsewhere);
        CHECK(a.memory.allocations > 0);
        CHECK(a.memory.live == 0);
        return *a.ended;
    }

    // The same, cancelled after so many handlers.
    error_code cancel_after(int handlers, std::function<void(associated&)> const& start)
    {
        associated a{io};
        start(a);
        io.restart();
        for (int i = 0; i < handlers; ++i)
            io.poll_one();
        asio::post(a.strand, [&] { a.cancel.emit(asio::cancellation_type::terminal); });
        run_until([&] { return a.ended.has_value(); });
        CHECK(a.memory.live == 0);
        return *a.ended;
    }

    // Accept one connection and shake hands, without a token that is looked at.
    void accept(std::optional<plain_server>& into)
    {
        acceptor.async_accept(
            [&](error_code ec, tcp::socket socket)
            {
                REQUIRE_FALSE(ec);
                into.emplace(std::move(socket), cache);
                into->async_handshake([](error_code, reprise::handshake_info const&) {});
            });
    }

    asio::io_context io;
    asio::ssl::context server_tls = server_context();
    asio::ssl::context client_tls = client_context();
    reprise::session_cache cache{server_tls, {.id_context = "associated"}};
    std::shared_ptr<reprise::memory_session_store> store = reprise::memory_session_store::make();
    reprise::client_options options{};
    tcp::acceptor acceptor;
    associated* watching = nullptr;
};

// Both ends of a connection.
struct connected : pair
{
    connected()
    {
        accept(at_server);
        CHECK_FALSE(perform(
            [&](associated& a)
            { at_client.async_connect("localhost", port_of(endpoints()), {.endpoints = endpoints()}, a.handler()); }));
        run_until([&] { return at_server && at_server->handshake().cipher.size() > 0; });
    }

    plain_client at_client = make_client();
    std::optional<plain_server> at_server{};
};

} // namespace

TEST_CASE("connecting, to a name and to endpoints that race, and connecting again")
{
    pair p;
    auto stream = p.make_client();
    std::optional<plain_server> peer;
    p.accept(peer);
    CHECK_FALSE(p.perform([&](associated& a) { stream.async_connect("localhost", p.port(), a.handler()); }));
    stream.close();
    p.accept(peer);
    CHECK_FALSE(p.perform(
        [&](associated& a)
        { stream.async_connect("localhost", port_of(p.endpoints()), {.endpoints = p.endpoints()}, a.handler()); }));
    stream.close();
    p.accept(peer);
    CHECK_FALSE(p.perform([&](associated& a) { stream.async_reconnect(a.handler()); }));
    stream.close();
    for (int const handlers : {0, 1, 2, 3})
    {
        CHECK(p.cancel_after(handlers, [&](associated& a) { stream.async_reconnect(a.handler()); }) ==
              asio::error::operation_aborted);
        CHECK(p.cancel_after(handlers,
                             [&](associated& a)
                             {
                                 stream.async_connect("localhost", port_of(p.endpoints()), {.endpoints = p.endpoints()},
                                                      a.handler());
                             }) == asio::error::operation_aborted);
    }
}

TEST_CASE("a connector runs where the operation does")
{
    pair p;
    auto stream = p.make_client();
    std::optional<plain_server> peer;
    auto const connect = [&](tcp::socket& socket, std::string, std::string) -> asio::awaitable<void>
    {
        p.watching->check();
        co_await socket.async_connect(p.acceptor.local_endpoint(), asio::use_awaitable);
        p.watching->check();
    };
    stream.set_connector("test", connect);
    p.accept(peer);
    CHECK_FALSE(p.perform([&](associated& a) { stream.async_connect("localhost", p.port(), a.handler()); }));
}

TEST_CASE("shaking hands on a socket that is connected, on either end")
{
    pair p;
    tcp::socket one{p.io};
    one.connect(p.acceptor.local_endpoint());
    plain_server at_server{p.acceptor.accept(), p.cache};
    plain_client at_client{std::move(one), p.client_tls, *p.store};
    at_client.async_handshake("localhost", p.port(), [](error_code ec, auto const&) { CHECK_FALSE(ec); });
    CHECK_FALSE(p.perform([&](associated& a) { at_server.async_handshake(a.handler()); }));

    tcp::socket two{p.io};
    two.connect(p.acceptor.local_endpoint());
    plain_server other_server{p.acceptor.accept(), p.cache};
    plain_client other_client{std::move(two), p.client_tls, *p.store, p.options};
    other_server.async_handshake([](error_code ec, auto const&) { CHECK_FALSE(ec); });
    CHECK_FALSE(p.perform([&](associated& a) { other_client.async_handshake("localhost", p.port(), a.handler()); }));

    tcp::socket silent{p.io};
    silent.connect(p.acceptor.local_endpoint());
    plain_server waiting{p.acceptor.accept(), p.cache};
    CHECK(p.cancel_after(3, [&](associated& a) { waiting.async_handshake(a.handler()); }) ==
          asio::error::operation_aborted);

    tcp::socket rude{p.io};
    rude.connect(p.acceptor.local_endpoint());
    plain_server with_bytes{p.acceptor.accept(), p.cache};
    CHECK(p.perform([&](associated& a) { with_bytes.async_handshake(asio::buffer("no TLS", 6), a.handler()); }));
}

TEST_CASE("a selector runs where the handshake does")
{
    pair p;
    associated* watching = nullptr;
    reprise::server_options options;
    options.select_host = [&](reprise::client_hello const&) -> asio::awaitable<std::optional<reprise::session_cache>>
    {
        watching->check();
        co_return p.cache;
    };
    tcp::socket socket{p.io};
    socket.connect(p.acceptor.local_endpoint());
    plain_server at_server{p.acceptor.accept(), p.cache, options};
    plain_client at_client{std::move(socket), p.client_tls, *p.store};
    at_client.async_handshake("localhost", p.port(), [](error_code ec, auto const&) { CHECK_FALSE(ec); });
    CHECK_FALSE(p.perform(
        [&](associated& a)
        {
            watching = &a;
            at_server.async_handshake(a.handler());
        }));
}

TEST_CASE("reading and writing, on either end")
{
    connected c;
    std::string data(5, ' ');
    std::string const text = "hello";
    CHECK_FALSE(c.perform([&](associated& a) { c.at_client.async_write_some(asio::buffer(text), a.handler()); }));
    CHECK_FALSE(c.perform([&](associated& a) { c.at_server->async_read_some(asio::buffer(data), a.handler()); }));
    CHECK(data == text);
    CHECK_FALSE(c.perform([&](associated& a) { c.at_server->async_write_some(asio::buffer(text), a.handler()); }));
    CHECK_FALSE(c.perform([&](associated& a) { c.at_client.async_read_some(asio::buffer(data), a.handler()); }));
    CHECK(c.cancel_after(2, [&](associated& a) { c.at_client.async_read_some(asio::buffer(data), a.handler()); }) ==
          asio::error::operation_aborted);
    CHECK(c.cancel_after(2, [&](associated& a) { c.at_server->async_read_some(asio::buffer(data), a.handler()); }) ==
          asio::error::operation_aborted);

    // What fails before it begins does so through the same handler.
    auto fresh = c.make_client();
    CHECK(c.perform([&](associated& a) { fresh.async_read_some(asio::buffer(data), a.handler()); }) ==
          reprise::errc::never_connected);
}

TEST_CASE("shutting down and closing, on either end")
{
    {
        connected c;
        c.at_server->async_shutdown([](error_code ec) { CHECK_FALSE(ec); });
        CHECK_FALSE(c.perform([&](associated& a) { c.at_client.async_shutdown(a.handler()); }));
    }
    {
        connected c;
        c.at_client.async_shutdown([](error_code ec) { CHECK_FALSE(ec); });
        CHECK_FALSE(c.perform([&](associated& a) { c.at_server->async_shutdown(a.handler()); }));
    }
    {
        connected c;
        CHECK_FALSE(c.perform([&](associated& a) { c.at_client.async_close(a.handler()); }));
    }
    {
        connected c; // the server does not answer
        CHECK(c.cancel_after(3, [&](associated& a) { c.at_client.async_shutdown(a.handler()); }) ==
              asio::error::operation_aborted);
    }
    {
        connected c;
        CHECK(c.cancel_after(3, [&](associated& a) { c.at_server->async_shutdown(a.handler()); }) ==
              asio::error::operation_aborted);
    }
}

TEST_CASE("finishing a handshake of which early data came first")
{
    std::optional<error_code> finished;
    associated* watching = nullptr;
    auto const talk = [&](server_side& stream) -> asio::awaitable<void>
    {
        if (stream.is_early() && watching != nullptr)
        {
            stream.async_finish_handshake(watching->handler());
            while (!watching->ended)
                co_await asio::post(asio::use_awaitable);
            finished = watching->ended;
        }
        std::string line;
        co_await asio::async_read_until(stream, asio::dynamic_buffer(line), '\n');
        co_await asio::async_write(stream, asio::buffer("yes\n", 4), asio::transfer_all(), asio::use_awaitable);
        co_await stream.async_shutdown();
    };
    early_world w{kinds[2], {.talk = talk}};
    associated a{w.inner().io};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.say(stream, "ticket");
            watching = &a;
            CHECK((co_await w.say(stream, "early")).early_data == reprise::early_data_status::accepted);
        });
    REQUIRE(finished);
    CHECK_FALSE(*finished);
    CHECK_FALSE(a.ran_elsewhere);
    CHECK(a.memory.allocations > 0);
    CHECK(a.memory.live == 0);
}

TEST_CASE("requests, on either end")
{
    connected c;
    boost::beast::flat_buffer client_buffer;
    boost::beast::flat_buffer server_buffer;
    http::request<http::empty_body> request{http::verb::get, "/", 11};
    request.set(http::field::host, "localhost");
    http::request<http::string_body> received;
    http::response<http::string_body> response;
    http::response<http::empty_body> answer{http::status::ok, 11};
    answer.prepare_payload();
    auto const serve = [&](plain_server& stream)
    { http::async_write(stream, answer, [](error_code ec, std::size_t) { CHECK_FALSE(ec); }); };
    c.at_client.async_write_some(asio::buffer("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35),
                                 [](error_code, std::size_t) {});
    CHECK_FALSE(c.perform(
        [&](associated& a)
        {
            reprise::async_read_request(*c.at_server, server_buffer, received, reprise::early_request_policy{},
                                        a.handler());
        }));
    serve(*c.at_server);
    http::async_read(c.at_client, client_buffer, response, [](error_code ec, std::size_t) { CHECK_FALSE(ec); });
    c.run_until([&] { return response.result_int() == 200 && client_buffer.size() == 0; });

    response = {};
    received = {};
    http::async_read(*c.at_server, server_buffer, received,
                     [&](error_code ec, std::size_t)
                     {
                         REQUIRE_FALSE(ec);
                         serve(*c.at_server);
                     });
    CHECK_FALSE(c.perform(
        [&](associated& a)
        {
            reprise::async_request(c.at_client, request, client_buffer, response, reprise::request_retry::never,
                                   a.handler());
        }));
    CHECK(response.result_int() == 200);

    auto stream = c.make_client();
    std::optional<plain_server> peer;
    c.acceptor.async_accept(
        [&](error_code, tcp::socket socket)
        {
            peer.emplace(std::move(socket), c.cache);
            peer->async_handshake(
                [&](error_code handshake_error, auto const&)
                {
                    REQUIRE_FALSE(handshake_error);
                    received = {};
                    http::async_read(*peer, server_buffer, received, [&](error_code, std::size_t) { serve(*peer); });
                });
        });
    response = {};
    CHECK_FALSE(c.perform(
        [&](associated& a)
        {
            reprise::async_connect_and_request(stream, "localhost", c.port(), request, client_buffer, response,
                                               reprise::early_request::if_safe, a.handler());
        }));
    CHECK(response.result_int() == 200);
}

TEST_SUITE_END();
