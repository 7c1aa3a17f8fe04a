// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Requests in early data, on both ends (RFC 8470).

#include "support/early.hpp"

#include <reprise/http/read_request.hpp>
#include <reprise/http/request.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

using namespace test;
namespace beast = boost::beast;
namespace http = beast::http;
using http::verb;
using reprise::early_data_reason;
using reprise::early_data_status;
using reprise::early_request;
using reprise::request_arrival;

TEST_SUITE_BEGIN("early_http");

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

using request_type = http::request<http::string_body>;
using response_type = http::response<http::string_body>;

struct arrived
{
    verb method;
    std::string body;
    request_arrival how;
    std::string mark;
};

request_type make(verb method, std::string body = {})
{
    request_type request{method, "/", 11};
    request.set(http::field::host, "localhost");
    request.body() = std::move(body);
    request.prepare_payload();
    return request;
}

// A server that answers each request with 200, or 425 to one that comes too early.
struct http_world
{
    explicit http_world(reprise::early_request_policy p = {}, bool keeps_alive = true)
        : policy(std::move(p)), keeps(keeps_alive), w(kinds[2], {.talk = [this](server_side& s) { return serve(s); }})
    {
    }

    asio::awaitable<void> serve(server_side& stream)
    {
        beast::flat_buffer read_ahead;
        for (bool goes_on = true; goes_on;)
        {
            request_type request;
            auto const [ec, how] = co_await reprise::async_read_request(stream, read_ahead, request, policy, as_tuple);
            if (ec)
                break;
            requests.push_back({request.method(), request.body(), how, std::string{request["Early-Data"]}});
            goes_on = keeps && request.keep_alive();
            if (how == request_arrival::too_early)
            {
                auto refusal = reprise::too_early_response(request);
                refusal.keep_alive(goes_on);
                (void)co_await http::async_write(stream, refusal, as_tuple);
                continue;
            }
            response_type done{http::status::ok, 11};
            done.body() = "done";
            done.keep_alive(goes_on);
            done.prepare_payload();
            (void)co_await http::async_write(stream, done, as_tuple);
        }
        co_await stream.async_shutdown();
    }

    // One on a new connection.
    asio::awaitable<reprise::handshake_info> exchange(client_side& stream, request_type const& request,
                                                      early_request early = early_request::if_safe)
    {
        response = {};
        reprise::handshake_info info;
        if (stream.key().host.empty())
            info = co_await reprise::async_connect_and_request(stream, "localhost", w.port, request, buffer, response,
                                                               early);
        else
            info = co_await reprise::async_reconnect_and_request(stream, request, buffer, response, early);
        co_await stream.async_shutdown();
        co_return info;
    }

    reprise::early_request_policy policy;
    bool keeps;
    std::vector<arrived> requests;
    beast::flat_buffer buffer;
    response_type response;
    early_world w;
};

} // namespace

TEST_CASE("a safe request goes early, and is marked for those behind the server")
{
    http_world h;
    h.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = h.w.stream();
            auto const get = make(verb::get);
            CHECK((co_await h.exchange(stream, get)).early_reason == early_data_reason::no_session);
            for (auto const method : {verb::get, verb::options})
            {
                auto const request = make(method);
                CHECK((co_await h.exchange(stream, request)).early_data == early_data_status::accepted);
                CHECK(h.response.result() == http::status::ok);
                CHECK(h.response.body() == "done");
                CHECK(request.count("Early-Data") == 0); // the client adds nothing
            }
        });
    REQUIRE(h.requests.size() == 3);
    CHECK(h.requests[0].how == request_arrival::on_time);
    CHECK(h.requests[0].mark == "");
    CHECK(h.requests[1].how == request_arrival::early);
    CHECK(h.requests[1].mark == "1");
    CHECK(h.requests[2].method == verb::options);
    CHECK(h.requests[2].how == request_arrival::early);
}

TEST_CASE("one that is not safe waits for the handshake, at the client")
{
    http_world h;
    h.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = h.w.stream();
            auto const get = make(verb::get);
            co_await h.exchange(stream, get);
            auto const post = make(verb::post, "body");
            auto const info = co_await h.exchange(stream, post);
            CHECK(info.resumed());
            CHECK(info.early_reason == early_data_reason::not_asked);
            auto const never = co_await h.exchange(stream, get, early_request::never);
            CHECK(never.early_reason == early_data_reason::not_asked);
        });
    REQUIRE(h.requests.size() == 3);
    CHECK(h.requests[1].how == request_arrival::on_time);
    CHECK(h.requests[1].body == "body");
    CHECK(h.requests[2].how == request_arrival::on_time);
}

TEST_CASE("where the caller insists, it waits at the server")
{
    http_world h;
    h.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = h.w.stream();
            auto const get = make(verb::get);
            co_await h.exchange(stream, get);
            auto const post = make(verb::post, std::string(10'000, 'p'));
            auto const info = co_await h.exchange(stream, post, early_request::always);
            CHECK(info.early_data == early_data_status::accepted);
            CHECK(h.response.result() == http::status::ok);
        });
    REQUIRE(h.requests.size() == 2);
    CHECK(h.requests[1].how == request_arrival::on_time);
    CHECK(h.requests[1].mark == "");
    CHECK(h.requests[1].body.size() == 10'000);
}

TEST_CASE("425 is answered by one more try after the handshake, on this connection or on another")
{
    for (bool const keeps : {true, false})
    {
        CAPTURE(keeps);
        http_world h{{.waits = false}, keeps};
        h.w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = h.w.stream();
                auto const get = make(verb::get);
                co_await h.exchange(stream, get);
                auto const post = make(verb::post, "body");
                co_await h.exchange(stream, post, early_request::always);
                CHECK(h.response.result() == http::status::ok);
            });
        REQUIRE(h.requests.size() == 3);
        CHECK(h.requests[1].how == request_arrival::too_early);
        CHECK(h.requests[2].how == request_arrival::on_time);
        CHECK(h.requests[2].body == "body");
        CHECK(h.w.srv().handshakes.size() == (keeps ? 2 : 3));
    }
}

TEST_CASE(
    "what a server in front has marked counts as early, for its handshake cannot be waited for; and 425 is delivered")
{
    http_world h;
    h.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = h.w.stream();
            auto get = make(verb::get);
            get.set("Early-Data", "1");
            co_await h.exchange(stream, get, early_request::never);
            CHECK(h.response.result() == http::status::ok);
            auto post = make(verb::post, "body");
            post.set("Early-Data", "1");
            co_await h.exchange(stream, post, early_request::never);
            CHECK(h.response.result_int() == 425);
        });
    REQUIRE(h.requests.size() == 2);
    CHECK(h.requests[0].how == request_arrival::early);
    CHECK(h.requests[1].how == request_arrival::too_early);
}

TEST_CASE("a policy may allow other methods, or none")
{
    auto const only_put = [](verb method) { return method == verb::put; };
    http_world h{{.allows = only_put, .waits = false}};
    h.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = h.w.stream();
            auto const get = make(verb::get);
            co_await h.exchange(stream, get);
            auto const put = make(verb::put, "body");
            co_await h.exchange(stream, put, early_request::always);
            co_await h.exchange(stream, get, early_request::always);
        });
    REQUIRE(h.requests.size() == 4);
    CHECK(h.requests[1].how == request_arrival::early);
    CHECK(h.requests[2].how == request_arrival::too_early);
    CHECK(h.requests[3].how == request_arrival::on_time);
}

TEST_CASE("a connection that cannot be made fails, and says why")
{
    asio::io_context io;
    auto tls = client_context();
    auto const store = reprise::memory_session_store::make();
    client_side stream{executor_of(io), tls, *store};
    auto const get = make(verb::get);
    auto const test = [&]() -> asio::awaitable<void>
    {
        beast::flat_buffer buffer;
        response_type response;
        auto const [ec, info] = co_await reprise::async_reconnect_and_request(stream, get, buffer, response,
                                                                              early_request::if_safe, as_tuple);
        CHECK(ec == reprise::errc::never_connected);
    };
    run(io, test());
}

TEST_SUITE_END();
