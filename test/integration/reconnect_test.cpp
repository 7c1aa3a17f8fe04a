// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/accept_each.hpp"
#include "support/harness.hpp"

#include <reprise/handshake_counters.hpp>
#include <reprise/http/retry_request.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <deque>
#include <filesystem>
#include <optional>

using namespace test;
using reprise::errc;
using reprise::full_handshake_reason;
namespace http = boost::beast::http;

TEST_SUITE_BEGIN("reconnecting");

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

// A port on which nobody listens.
tcp::endpoint refusing(asio::io_context& io)
{
    tcp::acceptor const holder{executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    return holder.local_endpoint();
}

// One that takes no connection: its backlog is full.
struct silent
{
    explicit silent(asio::io_context& io) : acceptor(executor_of(io))
    {
        acceptor.open(tcp::v4());
        acceptor.bind({asio::ip::address_v4::loopback(), 0});
        acceptor.listen(0);
        for (int i = 0; i < 4; ++i)
        {
            waiting.emplace_back(executor_of(io));
            waiting.back().async_connect(acceptor.local_endpoint(), [](error_code) {});
        }
    }

    tcp::acceptor acceptor;
    std::deque<tcp::socket> waiting;
};

asio::awaitable<void> finish(client_side& stream)
{
    co_await read_all(stream);
    co_await stream.async_shutdown();
}

} // namespace

TEST_CASE("where the first address refuses, the next one is tried at once")
{
    world w{};
    std::vector const endpoints{refusing(w.io), refusing(w.io), w.srv.endpoint()};
    reprise::client_options options;
    options.attempt_delay = 10s; // nobody waits for that
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            for (bool const resumes : {false, true})
            {
                CHECK((co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints}))
                          .resumed() == resumes);
                CHECK(stream.lowest_layer().remote_endpoint() == w.srv.endpoint());
                co_await finish(stream);
            }
            std::vector const none{refusing(w.io), refusing(w.io)};
            auto const [ec, info] =
                co_await stream.async_connect("localhost", port_of(none), {.endpoints = none}, no_throw);
            CHECK(ec == asio::error::connection_refused);
        });
}

TEST_CASE("an address that has worked is tried first the next time")
{
    world w{};
    reprise::client_options options;
    options.attempt_delay = 10s;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options); // "localhost" is ::1 first, where nobody listens
            co_await w.visit(stream);
            // Somebody who would be found there now is not asked.
            error_code ec;
            tcp::acceptor six{executor_of(w.io)};
            six.open(tcp::v6(), ec);
            if (!ec)
                six.bind({asio::ip::address_v6::loopback(), w.srv.endpoint().port()}, ec);
            if (!ec)
                six.listen(1, ec);
            REQUIRE_FALSE(ec);
            CHECK((co_await w.visit(stream)).resumed());
            CHECK(stream.handshake().resumed());
        });
    CHECK(w.srv.handshakes.size() == 2);
}

TEST_CASE("where the first address is silent, the next one is tried beside it, after the delay")
{
    world w{};
    silent const first{w.io};
    std::vector const endpoints{first.acceptor.local_endpoint(), w.srv.endpoint()};
    reprise::client_options options;
    options.attempt_delay = 10ms;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints});
            CHECK(stream.lowest_layer().remote_endpoint() == w.srv.endpoint());
            co_await finish(stream);
        });
}

TEST_CASE("silent addresses end with the time limit, and the stream is as good as new")
{
    world w{};
    silent const one{w.io};
    silent const two{w.io};
    std::vector const endpoints{one.acceptor.local_endpoint(), two.acceptor.local_endpoint()};
    reprise::client_options options;
    options.attempt_delay = 10ms;
    options.connect_timeout = 40ms;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            auto const [ec, info] =
                co_await stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints}, no_throw);
            CHECK(ec == asio::error::timed_out);
        });
    w.io.restart();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
        });
}

TEST_CASE("a race that is cancelled ends at once, and the stream is as good as new")
{
    world w{};
    silent const one{w.io};
    silent const two{w.io};
    std::vector const endpoints{one.acceptor.local_endpoint(), two.acceptor.local_endpoint()};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            asio::cancellation_signal cancel;
            error_code ended;
            bool done = false;
            stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints},
                                 asio::bind_cancellation_slot(cancel.slot(),
                                                              [&](error_code ec, auto const&)
                                                              {
                                                                  ended = ec;
                                                                  done = true;
                                                              }));
            for (int i = 0; i < 10; ++i)
                co_await asio::post(asio::use_awaitable);
            CHECK_FALSE(done);
            cancel.emit(asio::cancellation_type::terminal);
            while (!done)
                co_await asio::post(asio::use_awaitable);
            CHECK(ended == asio::error::operation_aborted);
            co_await w.visit(stream);
        });
}

TEST_CASE("close() ends a race")
{
    world w{};
    silent const one{w.io};
    silent const two{w.io};
    std::vector const endpoints{one.acceptor.local_endpoint(), two.acceptor.local_endpoint()};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            bool done = false;
            error_code ended;
            stream.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints},
                                 [&](error_code ec, auto const&)
                                 {
                                     ended = ec;
                                     done = true;
                                 });
            for (int i = 0; i < 10; ++i)
                co_await asio::post(asio::use_awaitable);
            CHECK_FALSE(done);
            stream.close();
            while (!done)
                co_await asio::post(asio::use_awaitable);
            CHECK(ended == asio::error::operation_aborted);
        });
}

TEST_CASE("a race that is cancelled at any step leaves no socket behind")
{
    world w{};
    silent const quiet{w.io};
    std::vector const endpoints{refusing(w.io), quiet.acceptor.local_endpoint(), quiet.acceptor.local_endpoint()};
    auto const files = []
    {
        std::filesystem::directory_iterator const open{"/proc/self/fd"};
        return std::distance(begin(open), end(open));
    };
    w.run(
        [&]() -> asio::awaitable<void>
        {
            for (int steps = 0; steps < 40; ++steps)
            {
                auto stream = w.stream();
                auto const before = files();
                asio::cancellation_signal cancel;
                std::optional<error_code> ended;
                stream.async_connect(
                    "localhost", port_of(endpoints), {.endpoints = endpoints},
                    asio::bind_cancellation_slot(cancel.slot(), [&](error_code ec, auto const&) { ended = ec; }));
                for (int i = 0; i < steps; ++i)
                    co_await asio::post(asio::use_awaitable);
                cancel.emit(asio::cancellation_type::terminal);
                while (!ended)
                    co_await asio::post(asio::use_awaitable);
                CHECK_MESSAGE(*ended == asio::error::operation_aborted, "after ", steps, " steps");
                CHECK_MESSAGE(files() == before, "after ", steps, " steps");
            }
        });
}

TEST_CASE("close() and the time limit end whatever a connection waits for")
{
    world w{};
    int asked = 0;
    auto const refuse = [&, at = refusing(w.io)](client_side::next_layer_type& socket, std::string,
                                                 std::string) -> asio::awaitable<void>
    {
        ++asked;
        co_await socket.async_connect(at, asio::use_awaitable);
    };
    auto const wait = [&](client_side::next_layer_type& socket, std::string, std::string) -> asio::awaitable<void>
    {
        ++asked;
        asio::steady_timer forever{socket.get_executor(), asio::steady_timer::time_point::max()};
        co_await forever.async_wait(asio::use_awaitable);
    };
    auto const closed_while = [&](client_side& stream) -> asio::awaitable<error_code>
    {
        std::optional<error_code> ended;
        asked = 0;
        stream.async_connect("localhost", w.srv.port(), [&](error_code ec, auto const&) { ended = ec; });
        while (asked == 0)
            co_await asio::post(asio::use_awaitable);
        for (int i = 0; i < 20; ++i)
            co_await asio::post(asio::use_awaitable);
        CHECK_FALSE(ended);
        stream.close();
        while (!ended)
            co_await asio::post(asio::use_awaitable);
        CHECK(asked == 1);
        co_return *ended;
    };
    w.run(
        [&]() -> asio::awaitable<void>
        {
            reprise::client_options options;
            options.retry = {.max_attempts = 2, .first_delay = 1h, .max_delay = 1h};
            auto pausing = w.stream(options);
            pausing.set_connector("test", refuse);
            CHECK(co_await closed_while(pausing) == asio::error::operation_aborted);

            auto waiting = w.stream(options);
            waiting.set_connector("test", wait);
            CHECK(co_await closed_while(waiting) == asio::error::operation_aborted);
            CHECK(co_await closed_while(waiting) == asio::error::operation_aborted); // as good as new

            options = {};
            options.connect_timeout = 5ms;
            auto late = w.stream(options);
            late.set_connector("test", wait);
            auto const [ec, info] = co_await late.async_connect("localhost", w.srv.port(), no_throw);
            CHECK(ec == asio::error::timed_out);
        });
    CHECK(w.srv.handshakes.empty());
}

namespace {

// It answers when it is told to.
class slow_store final : public reprise::session_store
{
public:
    explicit slow_store(asio::io_context& io) : answer(executor_of(io), asio::steady_timer::time_point::max()) {}

    void capture(reprise::session_scope const&, reprise::session) noexcept override {}
    asio::awaitable<reprise::take_result> take(reprise::session_scope) override
    {
        is_asked = true;
        (void)co_await answer.async_wait(no_throw);
        co_return reprise::take_result{};
    }
    asio::awaitable<std::size_t> remove(reprise::session_scope) override { co_return 0; }
    asio::awaitable<void> clear() override { co_return; }
    asio::awaitable<void> drain() override { co_return; }
    [[nodiscard]] std::size_t size() const override { return 0; }
    [[nodiscard]] bool is_immediate() const noexcept override { return false; }

    asio::steady_timer answer;
    bool is_asked = false;
};

} // namespace

TEST_CASE("what was closed while the store was asked goes no further")
{
    world w{};
    auto const store = std::make_shared<slow_store>(w.io);
    reprise::client_options options;
    options.lookup_timeout = 1h;
    options.retry = {.max_attempts = 3, .first_delay = 1ms, .max_delay = 1ms};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            client_side stream{executor_of(w.io), w.client_tls, *store, options};
            std::optional<error_code> ended;
            stream.async_connect("localhost", w.srv.port(), [&](error_code ec, auto const&) { ended = ec; });
            while (!store->is_asked)
                co_await asio::post(asio::use_awaitable);
            stream.close();
            store->answer.cancel();
            while (!ended)
                co_await asio::post(asio::use_awaitable);
            CHECK(*ended == asio::error::operation_aborted);
        });
    CHECK(w.srv.handshakes.empty());
}

TEST_CASE("a server that comes up late is found by trying again, and an observer hears of one handshake")
{
    world w{};
    auto const counters = std::make_shared<reprise::handshake_counters>();
    auto const at = refusing(w.io);
    reprise::client_options options;
    options.retry = {.max_attempts = 1000, .first_delay = 1ms, .max_delay = 2ms};
    options.observer = counters;
    std::optional<server> late;
    int asked = 0;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            // It stands for connecting: the third time there is somebody.
            stream.set_connector(
                "test",
                [&](client_side::next_layer_type& socket, std::string, std::string) -> asio::awaitable<void>
                {
                    auto const to = ++asked < 3 ? at : w.srv.endpoint();
                    co_await socket.async_connect(to, asio::use_awaitable);
                });
            co_await stream.async_connect("localhost", w.srv.port());
            co_await finish(stream);
            asked = 0;
            CHECK((co_await stream.async_reconnect()).resumed());
            co_await finish(stream);
        });
    CHECK(asked == 3);
    CHECK(counters->counts().failed == 0);
    CHECK(counters->counts().full == 1);
    CHECK(counters->counts().resumed == 1);
}

TEST_CASE("attempts end: by number, by deadline, by cancellation while waiting; and at what says no")
{
    world w{};
    auto const at = refusing(w.io);
    auto const counters = std::make_shared<reprise::handshake_counters>();
    std::vector const endpoints{at};
    reprise::client_options options;
    options.retry = {.max_attempts = 3, .first_delay = 1ms, .max_delay = 1ms};
    options.observer = counters;
    int asked = 0;
    auto const refuse = [&](client_side::next_layer_type& socket, std::string, std::string) -> asio::awaitable<void>
    {
        ++asked;
        co_await socket.async_connect(at, asio::use_awaitable);
    };
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream(options);
            stream.set_connector("test", refuse);
            auto const [ec, info] = co_await stream.async_connect("localhost", "1", no_throw);
            CHECK(ec == asio::error::connection_refused);
            CHECK(asked == 3);
            CHECK(counters->counts().failed == 1);

            options.retry = {.max_attempts = 1'000'000, .first_delay = 1ms, .max_delay = 1ms, .total_timeout = 30ms};
            auto other = w.stream(options);
            other.set_connector("test", refuse);
            auto const [late, none] = co_await other.async_connect("localhost", "1", no_throw);
            CHECK(late == asio::error::connection_refused);

            options.retry = {.max_attempts = 2, .first_delay = 1h, .max_delay = 1h};
            auto waiting = w.stream(options);
            asked = 0;
            waiting.set_connector("test", refuse);
            asio::cancellation_signal cancel;
            error_code ended;
            bool done = false;
            waiting.async_connect("localhost", "1",
                                  asio::bind_cancellation_slot(cancel.slot(),
                                                               [&](error_code e, auto const&)
                                                               {
                                                                   ended = e;
                                                                   done = true;
                                                               }));
            while (asked == 0)
                co_await asio::post(asio::use_awaitable);
            for (int i = 0; i < 20; ++i)
                co_await asio::post(asio::use_awaitable);
            CHECK_FALSE(done);
            cancel.emit(asio::cancellation_type::terminal);
            while (!done)
                co_await asio::post(asio::use_awaitable);
            CHECK(ended == asio::error::operation_aborted);
            CHECK(asked == 1);

            // A certificate for another name is no accident.
            options.server_name = "wrong.test";
            auto wrong = w.stream(options);
            auto const [no, never] = co_await wrong.async_connect("localhost", w.srv.port(), no_throw);
            CHECK(no.category() == asio::error::get_ssl_category());
        });
    CHECK(w.srv.failures.size() <= 1);
}

namespace {

// A proxy that answers as it is told, and connects if that was yes.
struct proxy
{
    explicit proxy(asio::io_context& io) : acceptor(executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0})
    {
        asio::co_spawn(executor_of(io), serve(), asio::detached);
    }

    [[nodiscard]] reprise::http_proxy options() const
    {
        return {"127.0.0.1", std::to_string(acceptor.local_endpoint().port()), "Basic secret"};
    }

    asio::awaitable<void> serve()
    {
        return accept_each(acceptor, [this](tcp::socket client) { return session(std::move(client)); });
    }

    asio::awaitable<void> session(tcp::socket client)
    {
        std::string head;
        auto const [failed, size] =
            co_await asio::async_read_until(client, asio::dynamic_buffer(head), "\r\n\r\n", no_throw);
        if (failed)
            co_return;
        heard.push_back(head);
        auto said = answer;
        if (!first.empty())
        {
            said = first.front();
            first.pop_front();
        }
        for (std::size_t at = 0; at < said.size(); at += piece)
        {
            auto const part = said.substr(at, piece);
            (void)co_await asio::async_write(client, asio::buffer(part), asio::transfer_all(), no_throw);
        }
        if (said.find(" 200") == std::string::npos || !(said.ends_with("\n\r\n") || said.ends_with("\n\n")))
            co_return;
        tcp::socket peer{client.get_executor()};
        auto const colon = head.rfind(':', head.find(" HTTP/"));
        auto const port = static_cast<unsigned short>(std::stoi(head.substr(colon + 1)));
        co_await peer.async_connect({asio::ip::address_v4::loopback(), port}, asio::use_awaitable);
        using namespace asio::experimental::awaitable_operators;
        co_await (pump(peer, client) && pump(client, peer));
    }

    static asio::awaitable<void> pump(tcp::socket& from, tcp::socket& to)
    {
        std::array<char, 4096> bytes;
        for (;;)
        {
            auto const [ec, size] = co_await from.async_read_some(asio::buffer(bytes), no_throw);
            if (ec)
                break;
            auto const [failed, written] =
                co_await asio::async_write(to, asio::buffer(bytes, size), asio::transfer_all(), no_throw);
            if (failed)
                break;
        }
        error_code ignored;
        to.shutdown(tcp::socket::shutdown_send, ignored);
        from.close(ignored);
    }

    tcp::acceptor acceptor;
    std::string answer = "HTTP/1.1 200 Connection established\r\n\r\n";
    std::deque<std::string> first{}; // what is answered before
    std::size_t piece = 1000;
    std::vector<std::string> heard;
};

} // namespace

TEST_CASE("through a proxy a connection resumes, every kind, and its sessions stay apart from direct ones")
{
    for (auto const& k : kinds)
        for (std::size_t const piece : {1u, 1000u})
        {
            CAPTURE(std::string{k.name});
            world w{{.of = k}};
            proxy between{w.io};
            between.piece = piece;
            reprise::client_options options;
            options.proxy = between.options();
            w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = w.stream(options);
                    CHECK_FALSE((co_await w.visit(stream)).resumed());
                    CHECK((co_await w.visit(stream)).resumed());
                    auto direct = w.stream();
                    CHECK((co_await w.visit(direct)).reason == full_handshake_reason::policy_differs);
                    CHECK((co_await w.visit(direct)).resumed());
                    CHECK((co_await w.visit(stream)).resumed());
                });
            CHECK(w.srv.handshakes.at(1).resumption == k.on_server);
            CHECK_FALSE(w.srv.handshakes.at(2).resumed());
            REQUIRE(between.heard.size() == 3);
            CHECK(between.heard[0] == "CONNECT localhost:" + w.srv.port() + " HTTP/1.1\r\nHost: localhost:" +
                                          w.srv.port() + "\r\nProxy-Authorization: Basic secret\r\n\r\n");
        }
}

TEST_CASE("a proxy's yes counts in the words of any proxy")
{
    world w{};
    proxy between{w.io};
    reprise::client_options options;
    options.proxy = between.options();
    w.run(
        [&]() -> asio::awaitable<void>
        {
            for (char const* answer : {"HTTP/1.1 200\r\n\r\n", "HTTP/1.0 200 OK\nVia: x\n\n",
                                       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: x\r\n caf\xc3\xa9\r\n\r\n"})
                for (std::size_t const piece : {1u, 1000u})
                {
                    between.answer = answer;
                    between.piece = piece;
                    auto stream = w.stream(options);
                    co_await w.visit(stream);
                }
        });
    CHECK(w.srv.handshakes.size() == 8);
}

TEST_CASE("what a proxy refuses or says wrong is told, and nothing reaches the server")
{
    world w{};
    proxy between{w.io};
    reprise::client_options options;
    options.proxy = between.options();
    options.retry.max_attempts = 3; // it is not asked again
    struct row
    {
        char const* answer;
        error_code expected;
    };
    w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const& r :
                 {row{"HTTP/1.1 407 No\r\n\r\n", errc::proxy_authentication_required},
                  row{"HTTP/1.1 403 No\r\n\r\n", errc::proxy_refused}, row{"SSH-2.0\r\n\r\n", errc::proxy_malformed}})
            {
                between.answer = r.answer;
                between.heard.clear();
                auto stream = w.stream(options);
                auto const [ec, info] = co_await stream.async_connect("localhost", w.srv.port(), no_throw);
                CHECK(ec == r.expected);
                CHECK(between.heard.size() == 1);
            }
            // That the peer is not reached may pass, or hold for this address alone.
            between.heard.clear();
            between.first = {"HTTP/1.1 503 Later\r\n\r\n"};
            between.answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
            auto again = w.stream(options);
            co_await w.visit(again);
            CHECK(between.heard.size() == 2);

            between.heard.clear();
            between.first = {"HTTP/1.1 502 No\r\n\r\n"};
            reprise::client_options once;
            once.proxy = between.options();
            auto resolved = w.stream(once);
            auto const at = refusing(w.io);
            std::vector const endpoints{at, w.srv.endpoint()};
            co_await resolved.async_connect("localhost", port_of(endpoints), {.endpoints = endpoints});
            co_await finish(resolved);
            REQUIRE(between.heard.size() == 2);
            CHECK(between.heard[0].starts_with("CONNECT 127.0.0.1:" + std::to_string(at.port()) + " "));
            CHECK(between.heard[1].starts_with("CONNECT 127.0.0.1:" + w.srv.port() + " "));
            w.srv.handshakes.clear();

            once.proxy->authorization = "Basic\r\nX: y";
            CHECK_THROWS_AS((void)w.stream(once), reprise::system_error);

            between.answer = "HTTP/1.1 200";
            between.heard.clear();
            auto cut = w.stream(options);
            auto const [ec, info] = co_await cut.async_connect("localhost", w.srv.port(), no_throw);
            CHECK(ec == asio::error::eof);
            CHECK(between.heard.size() == 3); // that may pass
            auto strange = w.stream(options);
            auto const [bad, none] = co_await strange.async_connect("a b", w.srv.port(), no_throw);
            CHECK(bad == errc::bad_host);
            CHECK(between.heard.size() == 3);
            auto const [worse, nothing] = co_await strange.async_connect("me@a.test", w.srv.port(), no_throw);
            CHECK(worse == errc::bad_host);
        });
    CHECK(w.srv.handshakes.empty());
}

TEST_CASE("a caller's connector names its way, and sessions of it stay apart")
{
    world w{};
    int asked = 0;
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            CHECK_THROWS_AS(stream.set_connector("",
                                                 [](client_side::next_layer_type&, std::string,
                                                    std::string) -> asio::awaitable<void> { co_return; }),
                            reprise::system_error);
            co_await w.visit(stream);
            stream.set_connector(
                "tunnel",
                [&](client_side::next_layer_type& socket, std::string host, std::string) -> asio::awaitable<void>
                {
                    ++asked;
                    CHECK(host == "localhost");
                    co_await socket.async_connect(w.srv.endpoint(), asio::use_awaitable);
                });
            CHECK((co_await w.visit(stream)).reason == full_handshake_reason::policy_differs);
            CHECK((co_await w.visit(stream)).resumed());
            CHECK(asked == 2);
        });
}

namespace {

// Answers so many requests on each connection, then closes; without an answer, if there is one more.
asio::awaitable<void> answer_some(server_side& stream, int& answers, int per_connection, int& heard)
{
    boost::beast::flat_buffer buffer;
    for (int i = 0;; ++i)
    {
        http::request<http::string_body> request;
        auto const [ec, size] = co_await http::async_read(stream, buffer, request, no_throw);
        if (ec)
            co_return;
        ++heard;
        if (i == per_connection)
        {
            stream.close();
            co_return;
        }
        http::response<http::string_body> response{http::status::ok, 11, std::to_string(++answers)};
        response.prepare_payload();
        (void)co_await http::async_write(stream, response, no_throw);
    }
}

} // namespace

TEST_CASE("a request on a connection that turns out dead is sent once more if it may be done twice")
{
    int answers = 0;
    int heard = 0;
    world w{{.talk = [&](server_side& stream) { return answer_some(stream, answers, 1, heard); }}};
    auto const send = [&](client_side& stream, boost::beast::flat_buffer& buffer, http::verb method,
                          reprise::request_retry retry)
        -> asio::awaitable<std::tuple<error_code, reprise::request_outcome, std::string>>
    {
        http::request<http::empty_body> request{method, "/", 11};
        request.set(http::field::host, "localhost");
        http::response<http::string_body> response;
        auto const [ec, how] = co_await reprise::async_request(stream, request, buffer, response, retry, no_throw);
        co_return std::tuple{ec, how, response.body()};
    };
    w.run(
        [&]() -> asio::awaitable<void>
        {
            using enum reprise::request_retry;
            auto stream = w.stream();
            boost::beast::flat_buffer buffer;
            {
                auto const [ec, how, body] = co_await send(stream, buffer, http::verb::get, if_idempotent);
                CHECK(ec == errc::never_connected);
            }
            co_await stream.async_connect("localhost", w.srv.port());
            {
                auto const [ec, how, body] = co_await send(stream, buffer, http::verb::get, if_idempotent);
                CHECK_FALSE(ec);
                CHECK_FALSE(how.reconnected);
                CHECK(body == "1");
            }
            // The server takes the second one and closes.
            {
                auto const [ec, how, body] = co_await send(stream, buffer, http::verb::get, if_idempotent);
                CHECK_FALSE(ec);
                CHECK(how.retried);
                CHECK(stream.handshake().resumed());
                CHECK(body == "2");
                CHECK(heard == 3);
            }
            {
                auto const [ec, how, body] = co_await send(stream, buffer, http::verb::post, if_idempotent);
                CHECK(ec);
                CHECK_FALSE(how.retried);
                CHECK(heard == 4);
            }
            // That connection is closed by now, and was not to be tried: it is made again first.
            {
                auto const [ec, how, body] = co_await send(stream, buffer, http::verb::post, if_idempotent);
                CHECK_FALSE(ec);
                CHECK(how.reconnected);
                CHECK_FALSE(how.retried);
                CHECK(body == "3");
            }
            {
                auto const [ec, how, body] = co_await send(stream, buffer, http::verb::get, never);
                CHECK(ec);
            }
            co_await stream.async_reconnect();
            (void)co_await send(stream, buffer, http::verb::get, never);
            {
                auto const [ec, how, body] = co_await send(stream, buffer, http::verb::post, always);
                CHECK_FALSE(ec);
                CHECK(how.retried);
            }
        });
}

TEST_CASE("what a server says between two requests is heard before the next is sent")
{
    enum class then
    {
        stay,
        say_goodbye,  // and leave the socket open
        say_more,     // that nobody has asked for
        add_more,     // to the same record
        announce_end, // and not end
    };
    auto then = then::stay;
    int heard = 0;
    world w{{.talk = [&](server_side& stream) -> asio::awaitable<void>
             {
                 boost::beast::flat_buffer buffer;
                 for (;;)
                 {
                     http::request<http::string_body> request;
                     auto const [ec, size] = co_await http::async_read(stream, buffer, request, no_throw);
                     if (ec)
                         co_return;
                     std::string const stray = "HTTP/1.1 408 Too slow\r\n\r\n";
                     auto answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" +
                                   std::string{then == then::announce_end ? "Connection: close\r\n" : ""} + "\r\n" +
                                   std::to_string(++heard % 10) + (then == then::add_more ? stray : "");
                     (void)co_await asio::async_write(stream, asio::buffer(answer), asio::transfer_all(), no_throw);
                     if (then == then::say_more)
                         (void)co_await asio::async_write(stream, asio::buffer(stray), asio::transfer_all(), no_throw);
                     if (then == then::say_goodbye)
                     {
                         (void)co_await stream.async_shutdown(no_throw);
                         co_return;
                     }
                 }
             }}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            boost::beast::flat_buffer buffer;
            auto const post = [&](bool expected) -> asio::awaitable<void>
            {
                http::request<http::empty_body> request{http::verb::post, "/", 11};
                request.set(http::field::host, "localhost");
                http::response<http::string_body> response;
                auto const [ec, how] = co_await reprise::async_request(stream, request, buffer, response,
                                                                       reprise::request_retry::never, no_throw);
                CHECK_FALSE(ec);
                CHECK(how.reconnected == expected);
                CHECK(response.body() == std::to_string(heard % 10));
            };
            co_await stream.async_connect("localhost", w.srv.port());
            CHECK(stream.is_idle());
            co_await post(false);
            CHECK(stream.is_idle());
            for (auto const next : {then::say_goodbye, then::say_more})
            {
                then = next;
                co_await post(false);
                while (stream.is_idle())
                    co_await asio::post(asio::use_awaitable);
                CHECK(stream.is_open() == (next == then::say_more));
                then = then::stay;
                co_await post(true);
            }
            then = then::add_more;
            co_await post(false);
            CHECK(buffer.size() != 0);
            then = then::stay;
            co_await post(true);
            then = then::announce_end;
            co_await post(false);
            CHECK_FALSE(stream.is_open());
            then = then::stay;
            co_await post(true);
            CHECK(stream.handshake().resumed());

            // Data that was heard is there for whoever reads.
            then = then::say_more;
            co_await post(false);
            while (stream.is_idle())
                co_await asio::post(asio::use_awaitable);
            CHECK(stream.lowest_layer().available() == 0);
            std::array<char, 64> bytes;
            auto const size = co_await stream.async_read_some(asio::buffer(bytes));
            CHECK(std::string_view{bytes.data(), size}.starts_with("HTTP/1.1 408"));
            CHECK(stream.is_idle());
        });
}

TEST_CASE("looking whether a connection is open files the tickets that have come")
{
    for (auto const& k : kinds)
    {
        CAPTURE(std::string{k.name});
        world w{{.of = k,
                 .talk = [](server_side& stream) -> asio::awaitable<void>
                 {
                     std::array<char, 1> byte;
                     (void)co_await stream.async_read_some(asio::buffer(byte), no_throw);
                 }}};
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream();
                co_await stream.async_connect("localhost", w.srv.port());
                while (w.srv.handshakes.empty()) // by then a server has written its tickets
                    co_await asio::post(asio::use_awaitable);
                for (int i = 0; i < 20; ++i)
                    co_await asio::post(asio::use_awaitable);
                CHECK(stream.is_idle());
                stream.close();
                co_await stream.async_reconnect();
                CHECK(stream.handshake().resumption == k.on_client);
            });
    }
}

TEST_CASE("once a byte of the answer has come a request is not sent again")
{
    int heard = 0;
    world w{{.talk = [&](server_side& stream) -> asio::awaitable<void>
             {
                 boost::beast::flat_buffer buffer;
                 http::request<http::string_body> request;
                 (void)co_await http::async_read(stream, buffer, request, no_throw);
                 ++heard;
                 (void)co_await asio::async_write(stream,
                                                  asio::buffer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 43),
                                                  asio::transfer_all(), no_throw);
                 stream.close();
             }}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await stream.async_connect("localhost", w.srv.port());
            http::request<http::empty_body> request{http::verb::get, "/", 11};
            http::response<http::string_body> response;
            boost::beast::flat_buffer buffer;
            auto const [ec, how] = co_await reprise::async_request(stream, request, buffer, response,
                                                                   reprise::request_retry::always, no_throw);
            CHECK(ec);
            CHECK_FALSE(how.retried);
        });
    CHECK(heard == 1);
}

TEST_SUITE_END();
