// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// What a client may send (RFC 9110, RFC 9112, RFC 8470), and what async_read_request makes of it.

#include "support/harness.hpp"

#include <reprise/http/read_request.hpp>

#include <boost/asio/read_until.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <optional>

using namespace test;
namespace beast = boost::beast;
namespace http = beast::http;
using reprise::errc;
using reprise::request_arrival;

TEST_SUITE_BEGIN("http_server");

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

using request_type = http::request<http::string_body>;

enum class form
{
    message,
    parser,
};

struct seen_request
{
    error_code ec;
    request_arrival how{};
    request_type request;
};

constexpr std::string_view done = "done\n";

// Reads the requests of one connection, up to an error, and says "done" to each.
struct reader
{
    asio::awaitable<void> serve(server_side& stream)
    {
        beast::flat_buffer buffer;
        for (;;)
        {
            auto r = co_await read_one(stream, buffer);
            seen.push_back(r);
            if (r.ec)
                break;
            (void)co_await asio::async_write(stream, asio::buffer(done), asio::transfer_all(), no_throw);
        }
        co_await stream.async_shutdown(no_throw);
    }

    asio::awaitable<seen_request> read_one(server_side& stream, beast::flat_buffer& buffer)
    {
        seen_request result;
        if (as == form::message)
            std::tie(result.ec, result.how) =
                co_await reprise::async_read_request(stream, buffer, result.request, policy, no_throw);
        else
        {
            http::request_parser<http::string_body> parser;
            if (body_limit)
                parser.body_limit(*body_limit);
            if (header_limit)
                parser.header_limit(*header_limit);
            std::tie(result.ec, result.how) =
                co_await reprise::async_read_request(stream, buffer, parser, policy, no_throw);
            if (!result.ec)
                result.request = parser.release();
        }
        co_return result;
    }

    form as = form::message;
    reprise::early_request_policy policy{};
    std::optional<std::uint64_t> body_limit{};
    std::optional<std::uint32_t> header_limit{};
    std::vector<seen_request> seen{};
    world w{{.talk = [this](server_side& s) { return serve(s); }}};
};

// Say all this on a new connection, hear so many answers, or all up to the end, and say goodbye. What was answered.
asio::awaitable<std::string> say(reader& r, std::string bytes, std::optional<std::size_t> answers = 1,
                                 std::size_t piece = std::string::npos)
{
    auto stream = r.w.stream();
    r.seen.clear();
    co_await stream.async_connect("localhost", r.w.srv.port());
    error_code failed; // a server that has heard enough
    for (std::size_t at = 0; at < bytes.size() && !failed; at += piece)
    {
        auto const part = std::string_view{bytes}.substr(at, piece);
        std::tie(failed, std::ignore) =
            co_await asio::async_write(stream, asio::buffer(part), asio::transfer_all(), no_throw);
    }
    std::string answer;
    if (answers)
        answer.resize(*answers * done.size());
    if (answers)
        (void)co_await asio::async_read(stream, asio::buffer(answer), asio::transfer_all(), no_throw);
    else
        (void)co_await asio::async_read(stream, asio::dynamic_buffer(answer), asio::transfer_all(), no_throw);
    co_await stream.async_shutdown();
    co_return answer;
}

error_code error(http::error e)
{
    return e;
}

} // namespace

TEST_CASE("a request ends where its fields say, and a request with an ambiguous end is refused")
{
    struct row
    {
        std::string name;
        std::string bytes;
        std::vector<std::string> bodies; // of the requests before the end
        error_code ec = http::error::end_of_stream;
    };
    std::string const post = "POST / HTTP/1.1\r\nHost: a\r\n";
    std::string const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    std::vector<row> const rows{
        {"two", next + next, {"", ""}},
        {"an empty line before and between", "\r\n" + next + "\r\n" + next, {"", ""}}, // RFC 9112, 2.2
        {"an empty line at the end", next + "\r\n", {""}},
        {"half an empty line", next + "\r", {""}, error(http::error::partial_message)},
        {"two empty lines", "\r\n\r\n" + next, {}, error(http::error::bad_method)},
        {"no empty line", "\rGET", {}, error(http::error::bad_method)},
        {"length", post + "Content-Length: 4\r\n\r\nbody" + next, {"body", ""}},
        {"chunked", post + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n" + next, {"body", ""}},
        {"trailers", post + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n" + next, {"", ""}},
        {"no chunk but the last", post + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, {"", ""}},
        {"1.0 without a length", "POST / HTTP/1.0\r\n\r\n", {""}},
        {"half a body", post + "Content-Length: 5\r\n\r\nbody", {}, error(http::error::partial_message)},
        {"half a head", "GET / HT", {}, error(http::error::partial_message)},
        {"two lengths",
         post + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
         {},
         error(http::error::multiple_content_length)},
        {"length and chunks",
         post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next,
         {},
         error(http::error::bad_transfer_encoding)},
        // What follows would be read as another request (RFC 9112, 6.3).
        {"gzip", post + "Transfer-Encoding: gzip\r\n\r\n" + next, {}, error(http::error::bad_transfer_encoding)},
        {"gzip after chunks",
         post + "Transfer-Encoding: chunked, gzip\r\n\r\n" + next,
         {},
         error(http::error::bad_transfer_encoding)},
        {"no coding", post + "Transfer-Encoding:\r\n\r\n" + next, {}, error(http::error::bad_transfer_encoding)},
        {"chunks in 1.0",
         "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next,
         {},
         error(http::error::bad_transfer_encoding)},
        {"a line of a chunk without an end",
         post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(2 * reprise::chunk_line_limit, 'x'),
         {},
         error(http::error::header_limit)},
    };
    for (auto const as : {form::message, form::parser})
        for (std::size_t const piece : {std::string::npos, std::size_t{1}})
        {
            reader r{.as = as};
            r.w.run(
                [&]() -> asio::awaitable<void>
                {
                    for (auto const& row : rows)
                    {
                        if (piece == 1 && row.bytes.size() > 1000)
                            continue;
                        co_await say(r, row.bytes, row.bodies.size(), piece);
                        CAPTURE(row.name); // not before: what a thread captures is its own
                        REQUIRE(r.seen.size() == row.bodies.size() + 1);
                        for (std::size_t i = 0; i < row.bodies.size(); ++i)
                            CHECK(r.seen[i].request.body() == row.bodies[i]);
                        CHECK(r.seen.back().ec == row.ec);
                    }
                });
        }
}

TEST_CASE("a field Early-Data marks a request as early, also repeated or with an invalid value")
{
    reader r;
    r.policy.allows = [](http::verb method) { return method == http::verb::get; };
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const as : {form::message, form::parser})
                for (char const* marks : {"", "Early-Data: 1\r\n", "early-data: 1\r\n", "Early-Data: 0\r\n",
                                          "Early-Data:\r\n", "Early-Data: 1, 1\r\n",
                                          "Early-Data: 0\r\nEarly-Data: 1\r\n", "Early-Data: 1\r\nEarly-Data: x\r\n"})
                {
                    r.as = as;
                    bool const is_marked = *marks != '\0';
                    co_await say(r, "GET / HTTP/1.1\r\n" + std::string{marks} + "Host: a\r\n\r\n");
                    {
                        CAPTURE(marks);
                        REQUIRE(r.seen.size() == 2);
                        CHECK(r.seen[0].how == (is_marked ? request_arrival::early : request_arrival::on_time));
                        CHECK(r.seen[0].request.count("Early-Data") == (is_marked ? 1 : 0));
                        CHECK(r.seen[0].request["Early-Data"] == (is_marked ? "1" : ""));
                    }
                    co_await say(r,
                                 "POST / HTTP/1.1\r\n" + std::string{marks} + "Host: a\r\nContent-Length: 0\r\n\r\n");
                    CAPTURE(marks);
                    REQUIRE(r.seen.size() == 2);
                    CHECK(r.seen[0].how == (is_marked ? request_arrival::too_early : request_arrival::on_time));
                }
        });
}

TEST_CASE("the limits of a request are those of Beast or of the caller's parser")
{
    constexpr std::size_t mebibyte = std::size_t{1024} * 1024;
    auto const body = [](std::size_t size)
    { return "POST / HTTP/1.1\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x'); };
    auto const field = [](std::size_t size) { return "GET / HTTP/1.1\r\nX: " + std::string(size, 'x') + "\r\n\r\n"; };
    reader r;
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const as : {form::message, form::parser})
            {
                r.as = as;
                co_await say(r, body(mebibyte));
                CHECK(r.seen.at(0).request.body().size() == mebibyte);
                co_await say(r, body(mebibyte + 1), {});
                CHECK(r.seen.at(0).ec == http::error::body_limit);
                co_await say(r, field(8000));
                CHECK(r.seen.size() == 2);
                co_await say(r, field(9000), {});
                CHECK(r.seen.at(0).ec == http::error::header_limit);
            }
            r.body_limit = 9 * mebibyte;
            r.header_limit = 100'000;
            co_await say(r, body(9 * mebibyte));
            CHECK(r.seen.at(0).request.body().size() == 9 * mebibyte);
            co_await say(r, field(60'000));
            CHECK(r.seen.size() == 2);
            co_await say(r, field(90'000), {}); // more than a field can have
            CHECK(r.seen.at(0).ec == http::error::header_limit);
            r.body_limit = 3;
            co_await say(r, body(4), {});
            CHECK(r.seen.at(0).ec == http::error::body_limit);
        });
}

TEST_CASE("a client that expects 100 Continue gets it once, and only after a valid head")
{
    std::string const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n";
    struct row
    {
        std::string name;
        std::string head;
        std::string answer;
    };
    reader r;
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const as : {form::message, form::parser})
                for (auto const& row : {
                         row{"asked", head + "Expect: 100-continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\ndone\n"},
                         row{"asked twice", head + "Expect: x\r\nExpect: 100-Continue\r\n\r\n",
                             "HTTP/1.1 100 Continue\r\n\r\ndone\n"},
                         row{"not asked", head + "\r\n", std::string{done}},
                         row{"something else", head + "Expect: 200-ok\r\n\r\n", std::string{done}},
                         row{"HTTP/1.0", "POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
                             std::string{done}},
                     })
                {
                    r.as = as;
                    auto stream = r.w.stream();
                    co_await stream.async_connect("localhost", r.w.srv.port());
                    co_await asio::async_write(stream, asio::buffer(row.head), asio::transfer_all(),
                                               asio::use_awaitable);
                    std::string answer;
                    if (row.answer != std::string{done})
                        co_await asio::async_read_until(stream, asio::dynamic_buffer(answer), "\r\n\r\n",
                                                        asio::use_awaitable);
                    co_await asio::async_write(stream, asio::buffer("body", 4), asio::transfer_all(),
                                               asio::use_awaitable);
                    co_await asio::async_read_until(stream, asio::dynamic_buffer(answer), std::string{done},
                                                    asio::use_awaitable);
                    {
                        CAPTURE(row.name);
                        CHECK(answer == row.answer);
                    }
                    co_await stream.async_shutdown();
                }
            // No leave where there is nothing to send, the body has come, or the length is refused.
            std::string const asks = "Expect: 100-continue\r\n\r\n";
            CHECK(co_await say(r, "POST / HTTP/1.1\r\nContent-Length: 0\r\n" + asks) == std::string{done});
            CHECK(co_await say(r, head + asks + "body") == std::string{done});
            CHECK(co_await say(r, "POST / HTTP/1.1\r\nContent-Length: 100000000\r\n" + asks, {}) == "");
            CHECK(co_await say(r, "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + asks, {}) == "");
        });
}

TEST_CASE("async_read_request continues after a head that the caller has read")
{
    std::vector<seen_request> seen;
    world w{{.talk = [&](server_side& stream) -> asio::awaitable<void>
             {
                 beast::flat_buffer buffer;
                 http::request_parser<http::string_body> parser;
                 co_await http::async_read_header(stream, buffer, parser, asio::use_awaitable);
                 CHECK(parser.get()["Expect"] == "100-continue");
                 reprise::early_request_policy const policy;
                 auto const [ec, how] = co_await reprise::async_read_request(stream, buffer, parser, policy, no_throw);
                 CHECK_FALSE(ec);
                 seen.push_back({ec, how, parser.release()});
                 co_await stream.async_shutdown();
             }}};
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await stream.async_connect("localhost", w.srv.port());
            std::string const head = "POST / HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
            co_await asio::async_write(stream, asio::buffer(head), asio::transfer_all(), asio::use_awaitable);
            co_await asio::async_write(stream, asio::buffer("body", 4), asio::transfer_all(), asio::use_awaitable);
            std::string answer;
            (void)co_await asio::async_read(stream, asio::dynamic_buffer(answer), asio::transfer_all(), no_throw);
            CHECK(answer == "");
        });
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].request.body() == "body");
}

TEST_CASE("a policy needs a function, and a 425 response keeps the connection as the request's Connection fields say")
{
    reader r;
    r.policy.allows = nullptr;
    r.w.run(
        [&]() -> asio::awaitable<void>
        {
            co_await say(r, "GET / HTTP/1.1\r\n\r\n", {});
            CHECK(r.seen.at(0).ec == errc::bad_option);
        });

    http::request<http::empty_body> request{http::verb::post, "/", 11};
    CHECK(reprise::too_early_response(request).keep_alive());
    request.insert(http::field::connection, "keep-alive");
    CHECK(reprise::too_early_response(request).keep_alive());
    request.insert(http::field::connection, "close");
    CHECK_FALSE(reprise::too_early_response(request).keep_alive());
    CHECK(reprise::too_early_response(request).result_int() == 425);
}

TEST_SUITE_END();
