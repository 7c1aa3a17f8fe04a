// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "client/handshake/retry_plan.hpp"
#include "net/address_order.hpp"

#include <reprise/detail/client/proxy_handshake.hpp>

#include <doctest/doctest.h>

#include <string>

using namespace reprise;
using namespace reprise::detail;
using namespace std::chrono_literals;
namespace error = boost::asio::error;

TEST_SUITE_BEGIN("connecting");

TEST_CASE("the wait is a random part of a bound that doubles, up to its own")
{
    retry_options const o{.max_attempts = 10, .first_delay = 100ms, .max_delay = 1000ms};
    error_code const refused = error::connection_refused;
    CHECK(plan_retry(o, 1, refused, 0ms, 0.0) == 0ms);
    CHECK(plan_retry(o, 1, refused, 0ms, 1.0) == 100ms);
    CHECK(plan_retry(o, 1, refused, 0ms, 0.5) == 50ms);
    CHECK(plan_retry(o, 2, refused, 0ms, 1.0) == 200ms);
    CHECK(plan_retry(o, 4, refused, 0ms, 1.0) == 800ms);
    CHECK(plan_retry(o, 5, refused, 0ms, 1.0) == 1000ms);
    CHECK(plan_retry(o, 9, refused, 0ms, 1.0) == 1000ms);
    CHECK_FALSE(plan_retry(o, 10, refused, 0ms, 0.0));
    retry_options most = o;
    most.max_attempts = ~0u;
    CHECK(plan_retry(most, ~0u - 1, refused, 0ms, 1.0) == 1000ms); // without an overflow on the way
    CHECK_FALSE(plan_retry({}, 1, refused, 0ms, 0.0));             // once, by default
}

TEST_CASE("no wait goes beyond the deadline")
{
    retry_options const o{.max_attempts = 10, .first_delay = 100ms, .max_delay = 100ms, .total_timeout = 1000ms};
    CHECK(plan_retry(o, 1, error::connection_refused, 899ms, 1.0) == 100ms);
    CHECK_FALSE(plan_retry(o, 1, error::connection_refused, 900ms, 1.0));
    CHECK_FALSE(plan_retry(o, 1, error::connection_refused, 1000ms, 0.0));
}

TEST_CASE("what may pass is tried again, what says no is not")
{
    retry_options const o{.max_attempts = 2};
    for (error_code const ec :
         {error_code{error::connection_refused}, error_code{error::connection_reset}, error_code{error::timed_out},
          error_code{error::host_unreachable}, error_code{error::host_not_found_try_again}, error_code{error::eof},
          error_code{boost::asio::ssl::error::stream_truncated}, error_code{error::broken_pipe},
          error_code{errc::proxy_failed}})
    {
        CAPTURE(ec.message());
        CHECK(plan_retry(o, 1, ec, 0ms, 0.0));
    }
    for (error_code const ec :
         {error_code{error::operation_aborted}, error_code{error::host_not_found}, error_code{error::access_denied},
          error_code{errc::bad_option}, error_code{errc::proxy_refused}, error_code{1, error::get_ssl_category()}})
    {
        CAPTURE(ec.message());
        CHECK_FALSE(plan_retry(o, 1, ec, 0ms, 0.0));
    }
}

TEST_CASE("families of addresses take turns, in the resolver's order")
{
    using boost::asio::ip::make_address;
    using boost::asio::ip::tcp;
    auto const at = [](char const* text) { return tcp::endpoint{make_address(text), 1}; };
    CHECK(in_turns({}).empty());
    CHECK(in_turns({at("::1"), at("::2"), at("::3"), at("1.1.1.1"), at("2.2.2.2")}) ==
          std::vector{at("::1"), at("1.1.1.1"), at("::2"), at("2.2.2.2"), at("::3")});
    CHECK(in_turns({at("1.1.1.1"), at("2.2.2.2"), at("::1")}) == std::vector{at("1.1.1.1"), at("::1"), at("2.2.2.2")});
    CHECK(in_turns({at("1.1.1.1"), at("2.2.2.2")}) == std::vector{at("1.1.1.1"), at("2.2.2.2")});
}

TEST_CASE("what is said to a proxy names the peer, and nothing else")
{
    http_proxy proxy{"proxy.test", "3128"};
    CHECK(connect_request(proxy, "a.test", "443") == "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
    CHECK(connect_request(proxy, "::1", "8443") == "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n");
    CHECK(connect_request(proxy, "a.test", "https") == "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
    for (char const* host :
         {"", "a b", "a\r\nX: y", "a\n", "a\tb", "a\x7f", "a.test:80", "a.test/x", "me@a.test", "[::1]", "a#", "a?b"})
        CHECK_FALSE(connect_request(proxy, host, "443"));
    for (char const* service : {"", "0", "65536", "-1", "no-such-service", "443 "})
        CHECK_FALSE(connect_request(proxy, "a.test", service));
    proxy.authorization = "Basic abc=";
    CHECK(connect_request(proxy, "a.test", "443")->find("\r\nProxy-Authorization: Basic abc=\r\n") !=
          std::string::npos);
    proxy.authorization = "Basic\r\nX: y";
    CHECK_FALSE(connect_request(proxy, "a.test", "443"));
    CHECK(route_of({"Proxy.Test", "3128"}) == "http://proxy.test:3128");
    CHECK(route_of({"::1", "3128"}) == "http://[::1]:3128");
}

namespace {

// What the answer amounts to, given in pieces of this size.
error_code said(std::string const& answer, std::size_t piece)
{
    proxy_reply reply;
    error_code ec;
    for (std::size_t at = 0; at < answer.size(); at += piece)
        if (reply.put(answer.substr(at, piece), ec) || ec)
            return ec;
    return boost::asio::error::eof; // it is not complete
}

} // namespace

TEST_CASE("a proxy's answer is yes, no, or nonsense, in whatever pieces it comes")
{
    for (std::size_t const piece : {1u, 7u, 100'000u})
    {
        CAPTURE(piece);
        CHECK(said("HTTP/1.1 200 OK\r\n\r\n", piece) == error_code{});
        CHECK(said("HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\nVia: x\r\n\r\n", piece) ==
              error_code{});
        CHECK(said("HTTP/1.0 204 \r\n\r\n", piece) == error_code{});
        CHECK(said("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\n", piece) ==
              errc::proxy_authentication_required);
        CHECK(said("HTTP/1.1 403 Forbidden\r\n\r\n", piece) == errc::proxy_refused);
        CHECK(said("HTTP/1.1 502 Bad Gateway\r\n\r\n", piece) == errc::proxy_failed);
        CHECK(said("HTTP/1.1 101 Switching Protocols\r\n\r\n", piece) == errc::proxy_refused);
        // Answers to be continued are no answer yet (RFC 9110, 15.2).
        CHECK(said("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                   piece) == error_code{});
        CHECK(said("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\n\r\n", piece) == errc::proxy_refused);
        CHECK(said("HTTP/1.1 100 Continue\r\n\r\n", piece) == error::eof);
        std::string endless;
        while (endless.size() < 20'000)
            endless += "HTTP/1.1 100 Continue\r\n\r\n";
        CHECK(said(endless, piece) == errc::proxy_malformed);
        CHECK(said("HTTP/1.1 301 Moved\r\n\r\n", piece) == errc::proxy_refused);
        CHECK(said("SSH-2.0-OpenSSH\r\n\r\n", piece) == errc::proxy_malformed);
        CHECK(said("HTTP/1.1 abc\r\n\r\n", piece) == errc::proxy_malformed);
        CHECK(said("HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n", piece) == errc::proxy_malformed);
        CHECK(said("HTTP/1.1 200 OK\r\nX", piece) == error::eof);
    }
    CHECK(said("HTTP/1.1 200 OK\r\n\r\nmore", 100) == errc::proxy_malformed); // nobody speaks before the client
}

TEST_SUITE_END();
