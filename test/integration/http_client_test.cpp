// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Responses of servers (RFC 9110, RFC 9112, RFC 8470), and how each client helper reads them.

#include "support/early.hpp"

#include <reprise/http/request.hpp>
#include <reprise/http/retry_request.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/multi_buffer.hpp>
#include <boost/beast/http.hpp>

#include <deque>

#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace test;
namespace beast = boost::beast;
namespace http = beast::http;
using http::verb;
using reprise::early_data_status;
using reprise::early_request;
using reprise::errc;
using reprise::request_retry;

TEST_SUITE_BEGIN("http_client");

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t large = std::size_t{8} * 1024 * 1024;

using request_type = http::request<http::string_body>;
using response_type = http::response<http::string_body>;

enum class then
{
    stay,
    shut_down, // with close_notify
    close,     // without: the connection is truncated
};

struct words
{
    std::string bytes;
    then next = then::stay;
};

words const empty_page{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};

request_type make(verb method, std::string body = {})
{
    request_type request{method, "/", 11};
    request.set(http::field::host, "localhost");
    request.body() = std::move(body);
    request.prepare_payload();
    return request;
}

enum class helper
{
    connect,
    connect_early,
    connect_with_parser,
    request,
    request_with_parser,
};
constexpr helper helpers[] = {helper::connect, helper::connect_early, helper::connect_with_parser, helper::request,
                              helper::request_with_parser};

doctest::String toString(helper h)
{
    constexpr char const* names[] = {"connect", "connect early", "connect with a parser", "request",
                                     "request with a parser"};
    return names[static_cast<std::size_t>(h)];
}

bool connects(helper h)
{
    return h != helper::request && h != helper::request_with_parser;
}

struct answer
{
    error_code ec;
    response_type response;
    reprise::request_outcome how;
    reprise::handshake_info handshake;
    bool is_open;
    std::string rest; // left in the buffer
};

// A server that answers each request in its own words.
struct talking_server
{
    explicit talking_server(conversation talk = {})
        : w(kinds[2], {.talk = talk ? std::move(talk) : [this](server_side& s) { return serve(s); }})
    {
    }

    asio::awaitable<void> serve(server_side& stream)
    {
        beast::flat_buffer read_ahead;
        for (;;)
        {
            http::request_parser<http::string_body> parser;
            parser.body_limit(boost::none);
            auto const [ec, size] = co_await http::async_read(stream, read_ahead, parser, no_throw);
            if (ec)
                break;
            requests.push_back(parser.release());
            auto said = answer;
            if (!first.empty())
            {
                said = first.front();
                first.pop_front();
            }
            for (std::size_t at = 0; at < said.bytes.size(); at += piece)
            {
                auto const part = std::string_view{said.bytes}.substr(at, piece);
                (void)co_await asio::async_write(stream, asio::buffer(part), asio::transfer_all(), no_throw);
            }
            if (said.next == then::close)
                stream.close();
            if (said.next != then::stay)
                break;
        }
        co_await stream.async_shutdown(no_throw);
    }

    // On a new connection, or on one that has been kept since the last request.
    asio::awaitable<::answer> ask(client_side& stream, helper h, request_type const& request,
                                  request_retry retry = request_retry::never)
    {
        ::answer result{};
        http::response_parser<http::string_body> parser;
        if (connects(h))
            buffer.clear();
        auto const early = h == helper::connect_early ? early_request::always : early_request::never;
        if (h == helper::request)
            std::tie(result.ec, result.how) =
                co_await reprise::async_request(stream, request, buffer, result.response, retry, no_throw);
        else if (h == helper::request_with_parser)
            std::tie(result.ec, result.how) =
                co_await reprise::async_request(stream, request, buffer, parser, retry, no_throw);
        else if (h == helper::connect_with_parser)
            std::tie(result.ec, result.handshake) = co_await reprise::async_connect_and_request(
                stream, "localhost", w.port, request, buffer, parser, early, no_throw);
        else
            std::tie(result.ec, result.handshake) = co_await reprise::async_connect_and_request(
                stream, "localhost", w.port, request, buffer, result.response, early, no_throw);
        if (!result.ec && (h == helper::request_with_parser || h == helper::connect_with_parser))
            result.response = parser.release();
        result.is_open = stream.is_open();
        result.rest = beast::buffers_to_string(buffer.data());
        co_return result;
    }

    // On a connection of its own.
    asio::awaitable<::answer> ask_once(helper h, request_type const& request)
    {
        auto stream = w.stream();
        if (h == helper::connect_early)
            co_await get_ticket(stream);
        if (!connects(h))
            co_await stream.async_connect("localhost", w.port);
        buffer.clear();
        co_return co_await ask(stream, h, request);
    }

    asio::awaitable<void> get_ticket(client_side& stream)
    {
        first.push_front(empty_page);
        auto const a = co_await ask(stream, helper::connect, make(verb::get));
        CHECK_FALSE(a.ec);
        co_await stream.async_shutdown();
        requests.clear();
    }

    words answer = empty_page;
    std::deque<words> first{}; // what is answered before
    std::size_t piece = std::string::npos;
    std::vector<request_type> requests;
    beast::flat_buffer buffer;
    early_world w;
};

// One response, and what it is.
struct row
{
    std::string name;
    words said;
    unsigned status = 0; // 0: an error
    std::string body{};
    bool stays_open = true;
    error_code ec{};
    verb method = verb::get;
    std::string rest{};
};

void check(row const& r, helper h, ::answer const& a)
{
    // A server that closes while the end of an early handshake is on its way resets the connection.
    bool const may_be_reset = r.said.next == then::close && h == helper::connect_early;
    if (!may_be_reset || r.status != 0)
        CHECK(a.ec == r.ec);
    if (r.status == 0)
        CHECK(a.ec);
    CHECK(a.response.result_int() == (r.status == 0 ? 200 : r.status)); // as it is made
    CHECK(a.response.body() == r.body);
    // After a connect the caller closes, except where more could come.
    bool const is_cut = r.said.next != then::stay;
    if (!connects(h) || r.status == 0)
        CHECK(a.is_open == (r.stays_open && !is_cut));
    if (r.status != 0)
        CHECK(a.rest == r.rest);
}

void check_rows(std::vector<row> const& rows, std::size_t piece = std::string::npos)
{
    talking_server s;
    s.piece = piece;
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const& r : rows)
                for (auto const h : helpers)
                {
                    s.answer = r.said;
                    auto const a = co_await s.ask_once(h, make(r.method));
                    CAPTURE(r.name); // not before: what a thread captures is its own
                    CAPTURE(h);
                    check(r, h, a);
                    if (h == helper::connect_early)
                        CHECK(a.handshake.early_data == early_data_status::accepted);
                }
        });
}

error_code error(http::error e)
{
    return e;
}

std::string repeated(std::string const& text, std::size_t size)
{
    std::string result;
    while (result.size() < size)
        result += text;
    return result;
}

} // namespace

TEST_CASE("a response without content ends with its head, whatever its length fields say")
{
    std::vector<row> const rows{
        {"HEAD", {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"}, 200, "", true, {}, verb::head},
        {"HEAD, chunked", {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}, 200, "", true, {}, verb::head},
        {"HEAD, no length", {"HTTP/1.1 200 OK\r\n\r\n"}, 200, "", true, {}, verb::head},
        {"HEAD, 404", {"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n"}, 404, "", true, {}, verb::head},
        {"204", {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"}, 204},
        {"304", {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"}, 304},
        {"304, chunked", {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"}, 304},
        {"205 has its length", {"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n"}, 205},
        {"205, chunked", {"HTTP/1.1 205 Reset\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, 205},
    };
    for (std::size_t const piece : {std::string::npos, std::size_t{1}})
        check_rows(rows, piece);
}

TEST_CASE("101 is final, and a 2xx to CONNECT has no content: the following bytes belong to another protocol")
{
    check_rows({
        {"101",
         {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello"},
         101,
         "",
         true,
         {},
         verb::get,
         "hello"},
        {"CONNECT", {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"}, 200, "", true, {}, verb::connect, "hello"},
        {"CONNECT, 1.0", {"HTTP/1.0 200 OK\r\n\r\nhello"}, 200, "", true, {}, verb::connect, "hello"},
        {"CONNECT, no", {"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"}, 403, "no", true, {}, verb::connect},
    });
}

TEST_CASE("interim responses are dropped")
{
    std::string const page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";
    std::vector<row> const rows{
        {"100", {"HTTP/1.1 100 Continue\r\n\r\n" + page}, 200, "page"},
        {"103", {"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + page}, 200, "page"},
        {"several",
         {"HTTP/1.1 100\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n y\r\n\r\n" + page},
         200,
         "page"},
        {"a length of no body", {"HTTP/1.1 103 Hints\r\nContent-Length: 4\r\n\r\n" + page}, 200, "page"},
        {"before an error", {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}, 500},
        {"before 204", {"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204 No\r\n\r\n"}, 204},
        {"before 101",
         {"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
         101},
        {"to HEAD",
         {"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
         200,
         "",
         true,
         {},
         verb::head},
        {"and then nothing",
         {"HTTP/1.1 103 Hints\r\n\r\n", then::shut_down},
         0,
         "",
         false,
         error(http::error::partial_message)},
        {"and then half a line",
         {"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 2", then::shut_down},
         0,
         "",
         false,
         error(http::error::partial_message)},
        {"malformed", {"HTTP/1.1 103 Hints\r\nno colon\r\n\r\n" + page}, 0, "", false, error(http::error::bad_field)},
    };
    for (std::size_t const piece : {std::string::npos, std::size_t{1}})
        check_rows(rows, piece);
    check_rows({
        {"up to the limit",
         {repeated("HTTP/1.1 103 " + std::string(15, 'x') + "\r\n\r\n", reprise::interim_responses_limit) + page},
         200,
         "page"},
        {"beyond",
         {repeated("HTTP/1.1 100 Continue\r\n\r\n", reprise::interim_responses_limit) + page},
         0,
         "",
         false,
         error(http::error::header_limit)},
        {"one without an end",
         {"HTTP/1.1 103 " + std::string(reprise::interim_responses_limit, 'x')},
         0,
         "",
         false,
         error(http::error::header_limit)},
    });
}

TEST_CASE("a response ends where its fields say, and a response with an ambiguous end is refused")
{
    std::string const ok = "HTTP/1.1 200 OK\r\n";
    error_code const truncated = asio::ssl::error::stream_truncated;
    check_rows({
        {"length", {ok + "Content-Length: 4\r\n\r\npage"}, 200, "page"},
        {"chunked", {ok + "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\npa\r\n2\r\nge\r\n0\r\n\r\n"}, 200, "page"},
        {"with trailers",
         {ok + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n4\r\npage\r\n0\r\nX: y\r\n\r\n"},
         200,
         "page"},
        {"until the end", {ok + "\r\npage", then::shut_down}, 200, "page", false},
        {"until the end, gzip", {ok + "Transfer-Encoding: gzip\r\n\r\npage", then::shut_down}, 200, "page", false},
        {"of nothing", {ok + "\r\n", then::shut_down}, 200, "", false},
        {"the same length twice", {ok + "Content-Length: 4\r\nContent-Length: 4\r\n\r\npage"}, 200, "page"},
        {"the same length in a list", {ok + "Content-Length: 4, 4\r\n\r\npage"}, 200, "page"},
        // A connection that breaks must not pass for the end (RFC 9112, 8; RFC 8446, 6.1).
        {"until the end, truncated", {ok + "\r\npage", then::close}, 0, "", false, truncated},
        {"length, truncated", {ok + "Content-Length: 5\r\n\r\npage", then::close}, 0, "", false, truncated},
        {"too short",
         {ok + "Content-Length: 5\r\n\r\npage", then::shut_down},
         0,
         "",
         false,
         error(http::error::partial_message)},
        {"chunks without an end",
         {ok + "Transfer-Encoding: chunked\r\n\r\n4\r\npage\r\n", then::shut_down},
         0,
         "",
         false,
         error(http::error::partial_message)},
        {"half a head", {ok + "Content-Le", then::shut_down}, 0, "", false, error(http::error::partial_message)},
        {"nothing", {"", then::shut_down}, 0, "", false, error(http::error::end_of_stream)},
        {"nothing, truncated", {"", then::close}, 0, "", false, truncated},
        {"two lengths",
         {ok + "Content-Length: 4\r\nContent-Length: 5\r\n\r\npage"},
         0,
         "",
         false,
         error(http::error::multiple_content_length)},
        {"two lengths in a list",
         {ok + "Content-Length: 4, 5\r\n\r\npage"},
         0,
         "",
         false,
         error(http::error::multiple_content_length)},
        {"a bad length", {ok + "Content-Length: +4\r\n\r\npage"}, 0, "", false, error(http::error::bad_content_length)},
        {"a negative length",
         {ok + "Content-Length: -4\r\n\r\npage"},
         0,
         "",
         false,
         error(http::error::bad_content_length)},
        {"an empty length", {ok + "Content-Length:\r\n\r\npage"}, 0, "", false, error(http::error::bad_content_length)},
        {"length and chunks",
         {ok + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
         0,
         "",
         false,
         error(http::error::bad_transfer_encoding)},
        {"chunks and length",
         {ok + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"},
         0,
         "",
         false,
         error(http::error::bad_content_length)},
        {"length and gzip",
         {ok + "Content-Length: 4\r\nTransfer-Encoding: gzip\r\n\r\npage"},
         0,
         "",
         false,
         error(http::error::bad_transfer_encoding)},
        {"gzip and length",
         {ok + "Transfer-Encoding: gzip\r\nContent-Length: 4\r\n\r\npage"},
         0,
         "",
         false,
         error(http::error::bad_transfer_encoding)},
        {"chunked twice",
         {ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
         0,
         "",
         false,
         error(http::error::bad_transfer_encoding)},
        {"a bad chunk", {ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n"}, 0, "", false, error(http::error::bad_chunk)},
        {"a line of a chunk without an end",
         {ok + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(2 * reprise::chunk_line_limit, 'x')},
         0,
         "",
         false,
         error(http::error::header_limit)},
        {"trailers without an end",
         {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + repeated("X: y\r\n", 2 * reprise::chunk_line_limit)},
         0,
         "",
         false,
         error(http::error::header_limit)},
        {"a head without an end",
         {ok + repeated("X: y\r\n", 2 * reprise::response_header_limit)},
         0,
         "",
         false,
         error(http::error::header_limit)},
    });
}

TEST_CASE("a malformed head is an error of Beast's parser, and ends the connection")
{
    using namespace std::string_literals;
    talking_server s;
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const& head :
                 {"SSH-2.0\r\n\r\n"s, "HTTP/2.0 200 OK\r\n\r\n"s, "HTTP/1.1 20 OK\r\n\r\n"s,
                  "HTTP/1.1 2000 OK\r\n\r\n"s, "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n"s,
                  "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"s,
                  "HTTP/1.1 200 OK\r\nX y: a\r\nContent-Length: 0\r\n\r\n"s,
                  "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 0\r\n\r\n"s})
                for (auto const h : helpers)
                {
                    s.answer = {head};
                    auto const a = co_await s.ask_once(h, make(verb::get));
                    CAPTURE(head);
                    CAPTURE(h);
                    CHECK(a.ec.category() == error(http::error::bad_field).category());
                    CHECK_FALSE(a.is_open);
                }
        });
}

TEST_CASE("version and Connection fields, repeated or not, decide whether the connection persists")
{
    std::string const tail = "Content-Length: 0\r\n\r\n";
    std::string const close = "Connection: close\r\n";
    std::string const keep = "Connection: keep-alive\r\n";
    check_rows({
        {"1.1", {"HTTP/1.1 200 OK\r\n" + tail}, 200, "", true},
        {"1.1, close", {"HTTP/1.1 200 OK\r\n" + close + tail}, 200, "", false},
        {"1.1, CLOSE", {"HTTP/1.1 200 OK\r\nCONNECTION: CLOSE\r\n" + tail}, 200, "", false},
        {"1.1, in a list", {"HTTP/1.1 200 OK\r\nConnection: x, close\r\n" + tail}, 200, "", false},
        {"1.1, second field", {"HTTP/1.1 200 OK\r\n" + keep + close + tail}, 200, "", false},
        {"1.1, first field", {"HTTP/1.1 200 OK\r\n" + close + keep + tail}, 200, "", false},
        {"1.1, another word", {"HTTP/1.1 200 OK\r\nConnection: closed\r\n" + tail}, 200, "", true},
        {"1.0", {"HTTP/1.0 200 OK\r\n" + tail}, 200, "", false},
        {"1.0, keep-alive", {"HTTP/1.0 200 OK\r\n" + keep + tail}, 200, "", true},
        {"1.0, keep-alive in the second field", {"HTTP/1.0 200 OK\r\nConnection: x\r\n" + keep + tail}, 200, "", true},
        {"1.0, both", {"HTTP/1.0 200 OK\r\n" + keep + close + tail}, 200, "", false},
        {"1.0, keep-alive and no length",
         {"HTTP/1.0 200 OK\r\n" + keep + "\r\npage", then::shut_down},
         200,
         "page",
         false},
        // HTTP/1.0 has no chunks: such framing is faulty (RFC 9112, 6.1).
        {"1.0, chunked",
         {"HTTP/1.0 200 OK\r\n" + keep + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
         200,
         "",
         false},
        {"204, close", {"HTTP/1.1 204 No\r\n" + close + "\r\n"}, 204, "", false},
    });
}

TEST_CASE("trailers are fields of the message")
{
    talking_server s;
    s.answer = {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nDigest: x\r\n\r\n"};
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto const a = co_await s.ask_once(helper::request, make(verb::get));
            CHECK(a.response["Digest"] == "x");
        });
}

TEST_CASE("a large response arrives, up to the documented limit or the caller's")
{
    talking_server s;
    auto const page = [](std::size_t size)
    {
        return words{"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
                     std::string(size, 'x')};
    };
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            s.answer = page(large + 1'000'000);
            for (auto const h : {helper::connect, helper::connect_early, helper::request})
            {
                auto const a = co_await s.ask_once(h, make(verb::get));
                CAPTURE(h);
                CHECK_FALSE(a.ec);
                CHECK(a.response.body().size() == large + 1'000'000);
            }
            s.answer = {"HTTP/1.1 200 OK\r\nX: " + std::string(50'000, 'x') + "\r\nContent-Length: 0\r\n\r\n"};
            for (auto const h : {helper::connect, helper::connect_early, helper::request})
                CHECK_FALSE((co_await s.ask_once(h, make(verb::get))).ec);

            s.answer = {"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(reprise::response_body_limit + 1) +
                        "\r\n\r\n"};
            for (auto const h : {helper::connect, helper::request})
            {
                auto const a = co_await s.ask_once(h, make(verb::get));
                CHECK(a.ec == http::error::body_limit);
                CHECK_FALSE(a.is_open);
            }

            // With the caller's own.
            auto stream = s.w.stream();
            auto const get = make(verb::get);
            for (bool const is_first : {true, false})
            {
                s.answer = page(1000);
                http::response_parser<http::string_body> small;
                small.body_limit(999);
                error_code ec;
                if (is_first)
                    std::tie(ec, std::ignore) = co_await reprise::async_connect_and_request(
                        stream, "localhost", s.w.port, get, s.buffer, small, early_request::never, no_throw);
                else
                    std::tie(ec, std::ignore) =
                        co_await reprise::async_request(stream, get, s.buffer, small, request_retry::never, no_throw);
                CHECK(ec == http::error::body_limit);
                CHECK_FALSE(stream.is_open());

                s.answer = page(large + 1'000'000);
                http::response_parser<http::string_body> any;
                any.body_limit(boost::none);
                if (is_first)
                    std::tie(ec, std::ignore) = co_await reprise::async_reconnect_and_request(
                        stream, get, s.buffer, any, early_request::if_safe, no_throw);
                else
                    std::tie(ec, std::ignore) =
                        co_await reprise::async_request(stream, get, s.buffer, any, request_retry::never, no_throw);
                CHECK_FALSE(ec);
                CHECK(any.get().body().size() == large + 1'000'000);
            }

            // A parser is good for one response.
            http::response_parser<http::string_body> used;
            error_code ec;
            used.put(asio::buffer("HTTP/1.1 200 OK\r\n", 17), ec);
            std::tie(ec, std::ignore) =
                co_await reprise::async_request(stream, get, s.buffer, used, request_retry::never, no_throw);
            CHECK(ec == errc::bad_option);
            CHECK(stream.is_open());
        });
}

TEST_CASE("a body can be read in pieces, and a buffer can consist of several parts")
{
    talking_server s;
    s.answer = {"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"};
    s.piece = 7;
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = s.w.stream();
            co_await stream.async_connect("localhost", s.w.port);
            auto const get = make(verb::get);
            beast::multi_buffer buffer;
            http::response_parser<http::buffer_body> parser;
            std::array<char, 4> part;
            std::string body;
            auto const empty = [&]
            {
                body.append(part.data(), part.size() - parser.get().body().size);
                parser.get().body().data = part.data();
                parser.get().body().size = part.size();
            };
            parser.get().body().data = part.data();
            parser.get().body().size = part.size();
            parser.get().body().more = true;
            auto [ec, how] =
                co_await reprise::async_request(stream, get, buffer, parser, request_retry::never, no_throw);
            while (ec == http::error::need_buffer)
            {
                CHECK(stream.is_open());
                empty();
                std::tie(ec, std::ignore) = co_await http::async_read(stream, buffer, parser, no_throw);
            }
            empty();
            CHECK_FALSE(ec);
            CHECK(body == "0123456789");
        });
}

TEST_CASE("the rest of a response is not read as another response")
{
    talking_server s;
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const h : {helper::connect, helper::request})
            {
                // The rest of this body has not come when its limit is found exceeded.
                s.answer = {"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"};
                auto stream = s.w.stream();
                if (h == helper::request)
                    co_await stream.async_connect("localhost", s.w.port);
                CHECK((co_await s.ask(stream, h, make(verb::get))).ec == http::error::body_limit);
                CHECK_FALSE(stream.is_open());
                s.answer = {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"};
                auto const a = co_await s.ask(stream, helper::request, make(verb::get));
                CHECK(a.how.reconnected);
                CHECK(a.response.body() == "!");

                // The same for a response that was cancelled.
                s.answer = {""};
                stream.close();
                if (h == helper::request)
                    co_await stream.async_reconnect();
                using namespace asio::experimental::awaitable_operators;
                auto const asked = s.requests.size();
                auto const until_asked = [&]() -> asio::awaitable<void>
                {
                    while (s.requests.size() == asked)
                        co_await asio::post(asio::use_awaitable);
                };
                auto const ended = co_await (s.ask(stream, h, make(verb::get)) || until_asked());
                CHECK(ended.index() == 1);
                CHECK_FALSE(stream.is_open());
            }
        });
}

TEST_CASE("425 to an early request is retried once; any other 425 is delivered")
{
    talking_server s;
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto const get = make(verb::get);
            s.answer = {"HTTP/1.1 425 Too Early\r\nContent-Length: 0\r\n\r\n"};
            for (auto const h : {helper::connect, helper::connect_with_parser, helper::request})
            {
                CHECK((co_await s.ask_once(h, get)).response.result_int() == 425);
                CHECK(s.requests.size() == 1);
                s.requests.clear();
            }
            struct refusal
            {
                words said;
                bool is_retried = true;
                bool waits = false;
                verb method = verb::get;
            };
            std::string const too_early = "HTTP/1.1 425 Too Early\r\n";
            for (auto const& r : {
                     refusal{{too_early + "Content-Length: 3\r\n\r\nno\n"}},
                     refusal{{"HTTP/1.1 103 Hints\r\n\r\n" + too_early + "Content-Length: 0\r\n\r\n"}},
                     refusal{{too_early + "Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"}},
                     refusal{{too_early + "Content-Length: 9\r\n\r\n"}, true, false, verb::head},
                     refusal{{too_early + "Content-Length: 0\r\nConnection: x\r\nConnection: close\r\n\r\n"}},
                     refusal{{too_early + "\r\nuntil the end"}},                      // whenever that is
                     refusal{{too_early + "Content-Length: 1000000\r\n\r\n"}},        // not worth reading
                     refusal{{too_early + "Content-Length: 5\r\n\r\n", then::close}}, //
                     refusal{{too_early + "Retry-After: 0\r\nContent-Length: 0\r\n\r\n"}},
                     refusal{{too_early + "Retry-After: 0\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"}, true, true},
                     refusal{{too_early + "Retry-After: 3600\r\nContent-Length: 0\r\n\r\n"}, false},
                     refusal{{too_early + "Retry-After: 99999999999999\r\nContent-Length: 0\r\n\r\n"}, false},
                     refusal{{too_early + "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\n\r\n"},
                             false},
                 })
                for (auto const& [page, status] :
                     {std::pair{empty_page, 200U}, std::pair{words{too_early + "Content-Length: 0\r\n\r\n"}, 425U}})
                {
                    auto stream = s.w.stream();
                    co_await s.get_ticket(stream);
                    s.first = {r.said};
                    s.answer = page;
                    auto const begin = std::chrono::steady_clock::now();
                    auto const a = co_await s.ask(stream, helper::connect_early, make(r.method));
                    CAPTURE(r.said.bytes);
                    CHECK_FALSE(a.ec);
                    CHECK(a.response.result_int() == (r.is_retried ? status : 425)); // once, and no more
                    CHECK(s.requests.size() == (r.is_retried ? 2 : 1));
                    CHECK((std::chrono::steady_clock::now() - begin >= 1s) >= r.waits);
                    s.first.clear();
                }
        });
}

TEST_CASE("408 on a kept-alive connection is retried on a new connection if the request is idempotent")
{
    talking_server s;
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            words const late{"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate",
                             then::shut_down};
            for (auto const h : {helper::request, helper::request_with_parser})
                for (auto const method : {verb::get, verb::post})
                {
                    auto stream = s.w.stream();
                    co_await stream.async_connect("localhost", s.w.port);
                    s.requests.clear();
                    s.first = {empty_page, late};
                    CHECK_FALSE((co_await s.ask(stream, h, make(method), request_retry::if_idempotent)).ec);
                    auto const a = co_await s.ask(stream, h, make(method), request_retry::if_idempotent);
                    CAPTURE(h);
                    bool const is_safe = method == verb::get;
                    CHECK(a.response.result_int() == (is_safe ? 200 : 408));
                    CHECK(a.how.retried == is_safe);
                    CHECK(a.is_open == is_safe);
                    CHECK(s.requests.size() == (is_safe ? 3 : 2));
                }
            // On a new connection it is the request that was late.
            auto stream = s.w.stream();
            co_await stream.async_connect("localhost", s.w.port);
            stream.close();
            s.requests.clear();
            s.first = {late};
            auto const a = co_await s.ask(stream, helper::request, make(verb::get), request_retry::always);
            CHECK(a.how.reconnected);
            CHECK(a.response.result_int() == 408);
            CHECK(s.requests.size() == 1);
        });
}

namespace {

enum class refuser
{
    shuts_down, // and reads what comes meanwhile
    closes,     // with a reset
    waits,      // and reads nothing more
};

// Answers a request when its head has come.
asio::awaitable<void> refuse(server_side& stream, refuser how, std::string said)
{
    beast::flat_buffer buffer;
    http::request_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    auto const [ec, size] = co_await http::async_read_header(stream, buffer, parser, no_throw);
    if (ec)
        co_return;
    (void)co_await asio::async_write(stream, asio::buffer(said), asio::transfer_all(), no_throw);
    if (how == refuser::closes)
        stream.close();
    else if (how == refuser::shuts_down)
        co_await stream.async_shutdown(no_throw);
    else
    {
        // Until the client goes: nothing is read, so only a reset tells.
        auto& socket = stream.lowest_layer();
        (void)co_await socket.async_wait(tcp::socket::wait_error, no_throw);
    }
}

} // namespace

TEST_CASE("a response that is complete before its request was sent is delivered, and ends the connection")
{
    for (auto const how : {refuser::shuts_down, refuser::closes, refuser::waits})
        for (char const* said : {"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
                                 "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"})
        {
            CAPTURE(static_cast<int>(how));
            talking_server s{[&](server_side& stream) { return refuse(stream, how, said); }};
            s.w.run(
                [&]() -> asio::awaitable<void>
                {
                    auto stream = s.w.stream();
                    auto const post = make(verb::post, std::string(large, 'x'));
                    for (auto const h : helpers)
                    {
                        if (!connects(h))
                            co_await stream.async_connect("localhost", s.w.port);
                        s.buffer.clear();
                        auto const a = co_await s.ask(stream, h, post);
                        CAPTURE(h);
                        CHECK_FALSE(a.ec);
                        CHECK(a.response.result_int() == 413);
                        CHECK(a.response.body() == "no");
                        CHECK_FALSE(a.is_open);
                        CHECK_FALSE(a.how.retried);
                    }
                });
        }
}

namespace {

// A socket under a layer through which a stream cannot hear what has come.
class layer
{
public:
    using executor_type = tcp::socket::executor_type;
    using lowest_layer_type = tcp::socket::lowest_layer_type;

    explicit layer(asio::any_io_executor const& ex) : socket_(ex) {}

    executor_type get_executor() { return socket_.get_executor(); }
    tcp::socket& next_layer() { return socket_; }
    lowest_layer_type& lowest_layer() { return socket_.lowest_layer(); }

    template <class Buffers, class Token>
    auto async_write_some(Buffers const& buffers, Token&& token)
    {
        return socket_.async_write_some(buffers, std::forward<Token>(token));
    }

    template <class Buffers, class Token>
    auto async_read_some(Buffers const& buffers, Token&& token)
    {
        return socket_.async_read_some(buffers, std::forward<Token>(token));
    }

private:
    tcp::socket socket_;
};

bool is_reset(tcp::socket& socket)
{
    ::tcp_info info{};
    ::socklen_t size = sizeof info;
    REQUIRE(::getsockopt(socket.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    return info.tcpi_state == TCP_CLOSE;
}

} // namespace

TEST_CASE("a response that arrived before a reset is read when the request cannot be written")
{
    talking_server s{[](server_side& stream) -> asio::awaitable<void>
                     {
                         std::string const late = "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n";
                         (void)co_await asio::async_write(stream, asio::buffer(late), asio::transfer_all(), no_throw);
                         stream.lowest_layer().set_option(asio::socket_base::linger{true, 0}); // a reset
                         stream.close();
                     }};
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            auto& inner = s.w.inner();
            reprise::client_stream<layer> stream{inner.io.get_executor(), inner.client_tls, *inner.store};
            co_await stream.async_connect("localhost", s.w.port);
            while (!is_reset(stream.lowest_layer()))
                co_await asio::post(asio::use_awaitable);
            auto const get = make(verb::get);
            response_type response;
            auto const [ec, how] =
                co_await reprise::async_request(stream, get, s.buffer, response, request_retry::never, no_throw);
            CHECK_FALSE(ec);
            CHECK(response.result_int() == 408);
            CHECK_FALSE(how.reconnected);
            CHECK_FALSE(stream.is_open());
        });
}

TEST_CASE("a request on a connection that breaks without a response fails with the error of the connection")
{
    talking_server s{[](server_side& stream) -> asio::awaitable<void>
                     {
                         std::array<char, 100> some;
                         (void)co_await stream.async_read_some(asio::buffer(some), no_throw);
                         stream.close();
                     }};
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const h : helpers)
            {
                if (h == helper::connect_early) // it needs a server that answers
                    continue;
                auto stream = s.w.stream();
                if (!connects(h))
                    co_await stream.async_connect("localhost", s.w.port);
                auto const a = co_await s.ask(stream, h, make(verb::post, std::string(large, 'x')));
                CAPTURE(h);
                CHECK(a.ec);
                CHECK(a.ec != asio::error::operation_aborted);
                CHECK_FALSE(a.is_open);
            }
        });
}

TEST_CASE("a large request and a large response do not block each other")
{
    // A server that sends back what comes, as it comes.
    talking_server s{[](server_side& stream) -> asio::awaitable<void>
                     {
                         beast::flat_buffer buffer;
                         http::request_parser<http::buffer_body> parser;
                         parser.body_limit(boost::none);
                         (void)co_await http::async_read_header(stream, buffer, parser, no_throw);
                         auto const head = "HTTP/1.1 200 OK\r\nContent-Length: " +
                                           std::to_string(parser.content_length().value_or(0)) + "\r\n\r\n";
                         (void)co_await asio::async_write(stream, asio::buffer(head), asio::transfer_all(), no_throw);
                         std::vector<char> part(10'000);
                         while (!parser.is_done())
                         {
                             parser.get().body().data = part.data();
                             parser.get().body().size = part.size();
                             auto const [ec, size] = co_await http::async_read(stream, buffer, parser, no_throw);
                             if (ec && ec != http::error::need_buffer)
                                 co_return;
                             auto const got = asio::buffer(part.data(), part.size() - parser.get().body().size);
                             (void)co_await asio::async_write(stream, got, asio::transfer_all(), no_throw);
                         }
                         (void)co_await stream.async_shutdown(no_throw);
                     }};
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const h : helpers)
            {
                auto stream = s.w.stream();
                if (!connects(h))
                    co_await stream.async_connect("localhost", s.w.port);
                auto const body = repeated("0123456789", large / 2);
                auto const a = co_await s.ask(stream, h, make(verb::post, body));
                CAPTURE(h);
                CHECK_FALSE(a.ec);
                CHECK(a.response.body() == body);
            }
        });
}

TEST_CASE("a request with Expect sends its body without waiting, and 417 is a final response")
{
    talking_server s;
    s.w.run(
        [&]() -> asio::awaitable<void>
        {
            for (auto const h : helpers)
            {
                auto post = make(verb::post, std::string(100'000, 'x'));
                post.set(http::field::expect, "100-continue");
                s.answer = {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
                CHECK((co_await s.ask_once(h, post)).response.result_int() == 200);
                CHECK(s.requests.back().body().size() == 100'000);
                s.answer = {"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"};
                CHECK((co_await s.ask_once(h, post)).response.result_int() == 417);
            }
        });
}

TEST_SUITE_END();
