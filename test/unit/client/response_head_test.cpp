// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/client/proxy_handshake.hpp>
#include <reprise/detail/client/response_head.hpp>

#include <boost/asio/error.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace reprise;
using detail::proxy_reply;
using detail::response_head;

TEST_SUITE_BEGIN("response_head");

namespace {

constexpr std::size_t limit = 200;

enum class end
{
    complete,
    incomplete,
    malformed,
    too_long,
};

struct scanned
{
    end how;
    unsigned status;
    std::size_t size;

    friend bool operator==(scanned const&, scanned const&) = default;
};

// What a scanner says of these pieces, one after the other.
scanned scan(std::vector<std::string_view> const& pieces)
{
    response_head head{limit};
    std::size_t size = 0;
    for (auto const piece : pieces)
        size += head.put(piece);
    auto const how = head.is_complete()    ? end::complete
                     : head.is_malformed() ? end::malformed
                     : head.is_too_long()  ? end::too_long
                                           : end::incomplete;
    return {how, head.status(), size};
}

// However they are cut: in two at every place, and byte by byte.
scanned scan_all_ways(std::string_view bytes)
{
    auto const whole = scan({bytes});
    std::vector<std::string_view> single;
    for (std::size_t at = 0; at < bytes.size(); ++at)
    {
        CAPTURE(at);
        CHECK(scan({bytes.substr(0, at), bytes.substr(at)}) == whole);
        single.push_back(bytes.substr(at, 1));
    }
    CHECK(scan(single) == whole);
    return whole;
}

std::string at_most_limit(std::size_t more)
{
    std::string const begin = "HTTP/1.1 200 OK\r\nX: ";
    return begin + std::string(limit + more - begin.size() - 4, 'x') + "\r\n\r\n";
}

} // namespace

TEST_CASE("a head ends at its empty line, and its status is read before")
{
    using namespace std::string_literals;
    struct row
    {
        std::string head;
        unsigned status;
    };
    for (auto const& [head, status] : {
             row{"HTTP/1.1 200 Connection established\r\n\r\n", 200},
             row{"HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n", 200},
             row{"HTTP/1.1 407 \r\nA: b\r\nContent-Length: 3\r\n\r\n", 407},
             row{"HTTP/1.1 200\r\n\r\n", 200},        // no reason, and no space before it
             row{"HTTP/1.1 200\n\n", 200},            // lines that end with LF (RFC 9112, 2.2)
             row{"HTTP/1.1 200 OK\nVia: x\n\n", 200}, //
             row{"HTTP/1.1 200 OK\r\nVia: x\n\r\n", 200},
             row{"HTTP/1.1 200 OK\nVia: x\r\n\n", 200},
             row{"HTTP/1.1\t200\tOK\r\n\r\n", 200}, // any space (RFC 9112, 4)
             row{"HTTP/1.1  200  OK\r\n\r\n", 200},
             row{"HTTP/1.1 200 OK\r\nVia: x\r\n y\r\n\tz\r\n\r\n", 200}, // folded (RFC 9112, 5.2)
             row{"HTTP/1.1 200 OK\r\nVia: x\n y\n\n", 200},
             row{"HTTP/1.1 200 caf\xc3\xa9\r\nVia: caf\xe9\r\n\r\n", 200},
             row{"HTTP/1.1 200 OK\r\nVia : x\r\nEmpty:\r\n\r\n", 200}, // a space before the colon (RFC 9112, 5.1)
             row{"HTTP/1.9 599 Odd\r\n\r\n", 599},
             row{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 103},
         })
    {
        CAPTURE(head);
        CHECK(scan_all_ways(head) == scanned{end::complete, status, head.size()});
        CHECK(scan_all_ways(head + "HTTP/1.1 500\r\n\r\n") == scanned{end::complete, status, head.size()});
        CHECK(scan_all_ways(head.substr(0, head.size() - 1)) == scanned{end::incomplete, status, head.size() - 1});
    }
    CHECK(scan({"HTTP/1.1 200"}).status == 0); // a fourth digit may follow
    CHECK(scan({"HTTP/1.1 200\r"}).status == 200);
    CHECK(scan({""}) == scanned{end::incomplete, 0, 0});
}

TEST_CASE("what is no head of HTTP/1, or could hide another one, is malformed")
{
    using namespace std::string_literals;
    for (auto const& head : {
             "SSH-2.0-OpenSSH\r\n"s,
             "http/1.1 200 OK\r\n\r\n"s,
             "HTTP/2 200\r\n\r\n"s,
             "\r\nHTTP/1.1 200 OK\r\n\r\n"s,
             "HTTP/1.x 200 OK\r\n\r\n"s,
             "HTTP/1.1200 OK\r\n\r\n"s,
             "HTTP/1.1 20 OK\r\n\r\n"s,
             "HTTP/1.1 2000 OK\r\n\r\n"s,
             "HTTP/1.1 099 OK\r\n\r\n"s,
             "HTTP/1.1 2x0 OK\r\n\r\n"s,
             "HTTP/1.1 -20 OK\r\n\r\n"s,
             "HTTP/1.1 200,OK\r\n\r\n"s,
             "HTTP/1.1 \r\n\r\n"s,
             "HTTP/1.1 200 O\0K\r\n\r\n"s,
             "HTTP/1.1 200 O\rK\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\n Via: x\r\n\r\n"s, // a fold of nothing
             "HTTP/1.1 200 OK\r\n: x\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nVia\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nVia x: y\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nV\0ia: x\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nVia: x\0y\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nVia: x\ry\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nVia: \x1b[2J\r\n\r\n"s,
             "HTTP/1.1 200 OK\r\nVia: x\r\n\rHTTP/1.1 403 No\r\n\r\n"s,
         })
    {
        CAPTURE(head);
        CHECK(scan_all_ways(head).how == end::malformed);
    }
}

TEST_CASE("a head has a longest size, which it may reach")
{
    CHECK(scan_all_ways(at_most_limit(0)) == scanned{end::complete, 200, limit});
    CHECK(scan_all_ways(at_most_limit(1)) == scanned{end::too_long, 200, limit});
    CHECK(scan_all_ways("HTTP/1.1 200 " + std::string(limit, 'x')).how == end::too_long);
    CHECK(scan_all_ways("HTTP/1.1 " + std::string(limit, ' ')).how == end::too_long);
}

TEST_CASE("an interim response is one that another follows; 101 is not")
{
    auto const is_interim = [](std::string_view bytes)
    {
        response_head head{limit};
        (void)head.put(bytes);
        return head.is_interim();
    };
    for (char const* status : {"100", "102", "103", "199"})
        CHECK(is_interim("HTTP/1.1 " + std::string{status} + " \r\n\r\n"));
    for (char const* status : {"101", "200", "204", "304", "425", "599"})
        CHECK_FALSE(is_interim("HTTP/1.1 " + std::string{status} + " \r\n\r\n"));
    CHECK_FALSE(is_interim("HTTP/1.1 10"));
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("proxy_reply");

namespace {

error_code said(std::vector<std::string_view> const& pieces)
{
    proxy_reply reply;
    error_code ec;
    for (auto const piece : pieces)
        if (reply.put(piece, ec) || ec)
            return ec;
    return boost::asio::error::eof; // it is not complete
}

// Whole, and cut in two at every place.
void check(std::string const& answer, error_code expected)
{
    CAPTURE(answer);
    CHECK(said({answer}) == expected);
    for (std::size_t at = 1; at < answer.size(); ++at)
        CHECK(said({std::string_view{answer}.substr(0, at), std::string_view{answer}.substr(at)}) == expected);
}

} // namespace

TEST_CASE("what deployed proxies say to CONNECT is understood")
{
    for (char const* yes :
         {"HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n",
          "HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 OK\nVia: x\n\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
          // What a 2xx says of a body is ignored (RFC 9110, 9.3.6).
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nVia: x\r\n y\r\n\r\n", "HTTP/1.1 200 OK\r\nVia: caf\xc3\xa9\r\n\r\n",
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
          "HTTP/1.1 103\nLink: x\n\nHTTP/1.1 100\r\n\r\nHTTP/1.1 200\n\n", "HTTP/1.1 299\r\n\r\n"})
        check(yes, {});
    check("HTTP/1.1 407\r\n\r\n", errc::proxy_authentication_required);
    check("HTTP/1.1 407 No\nProxy-Authenticate: Basic\n\n", errc::proxy_authentication_required);
    check("HTTP/1.1 403\n\n", errc::proxy_refused);
    check("HTTP/1.1 101 Switching Protocols\r\n\r\n", errc::proxy_refused);
    check("HTTP/1.1 504\r\n\r\n", errc::proxy_failed);
    check("HTTP/1.1 999 No\r\n\r\n", errc::proxy_failed);
    CHECK(said({"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"}) == errc::proxy_refused);
}

TEST_CASE("what would get past an answer is refused")
{
    using namespace std::string_literals;
    check("HTTP/1.1 200 O\0K\r\n\r\n"s, errc::proxy_malformed);
    check("HTTP/1.1 200 OK\r\nVia: \0\r\n\r\n"s, errc::proxy_malformed);
    check("HTTP/1.1 200 OK\r\nVia: x\rHTTP/1.1 200 OK\r\n\r\n", errc::proxy_malformed);
    // Bytes before the client has spoken: a TLS server sends none.
    for (char const* smuggled : {"HTTP/1.1 200 OK\r\n\r\nx", "HTTP/1.1 200 OK\n\nVia: x\r\n\r\n",
                                 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 200 OK\r\n\r\n\r\n",
                                 "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"})
    {
        CAPTURE(smuggled);
        CHECK(said({smuggled}) == errc::proxy_malformed);
    }
    std::string endless;
    while (endless.size() <= 16 * 1024)
        endless += "HTTP/1.1 100\r\n\r\n";
    CHECK(said({endless}) == errc::proxy_malformed);
    CHECK(said({"HTTP/1.1 200 OK\r\nX: " + std::string(16 * 1024, 'x')}) == errc::proxy_malformed);
    CHECK(said({"HTTP/1.1 200 OK\r\nX: " + std::string(16'000, 'x')}) == boost::asio::error::eof);
}

TEST_SUITE_END();
