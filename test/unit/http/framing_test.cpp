// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/http/read_message.hpp>
#include <reprise/detail/http/retry_after.hpp>

#include <boost/beast/http/fields.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using namespace reprise;
namespace http = boost::beast::http;
using http::field;

TEST_SUITE_BEGIN("http_framing");

namespace {

using lines = std::vector<std::pair<field, std::string>>;

template <bool is_request>
http::header<is_request> head(unsigned version, lines const& fields)
{
    http::header<is_request> result;
    result.version(version);
    for (auto const& [name, value] : fields)
        result.insert(name, value);
    return result;
}

} // namespace

TEST_CASE("an error of Beast is recognised by name and value, also in another copy of Beast's category")
{
    struct named final : boost::system::error_category
    {
        explicit named(char const* n) : text(n) {}
        char const* name() const noexcept override { return text; }
        std::string message(int) const override { return {}; }
        char const* text;
    };
    using http::error;
    named const copy{"beast.http"};
    named const other{"x"};
    int const need_more = static_cast<int>(error::need_more);
    CHECK(detail::is_http_error(error::need_more, error::need_more));
    CHECK(detail::is_http_error({need_more, copy}, error::need_more));
    CHECK_FALSE(detail::is_http_error({need_more, copy}, error::need_buffer));
    CHECK_FALSE(detail::is_http_error({need_more, other}, error::need_more));
    CHECK_FALSE(detail::is_http_error({}, error::need_more));
}

TEST_CASE("a token is found in any line of its field, whole and in any case")
{
    auto const has = [](lines const& fields)
    { return detail::has_token(head<true>(11, fields), field::connection, "close"); };
    CHECK(has({{field::connection, "close"}}));
    CHECK(has({{field::connection, "Close"}}));
    CHECK(has({{field::connection, " x ,  CLOSE,y"}}));
    CHECK(has({{field::connection, "x"}, {field::host, "a"}, {field::connection, "y, close"}}));
    CHECK_FALSE(has({}));
    CHECK_FALSE(has({{field::connection, ""}}));
    CHECK_FALSE(has({{field::connection, "closed, not-close"}}));
    CHECK_FALSE(has({{field::proxy_connection, "close"}}));
}

TEST_CASE("close ends a connection, and HTTP/1.0 has to ask for it to go on")
{
    lines const keep{{field::connection, "keep-alive"}};
    lines const both{{field::connection, "keep-alive"}, {field::connection, "close"}};
    CHECK(detail::persists(head<true>(11, {})));
    CHECK(detail::persists(head<true>(11, keep)));
    CHECK_FALSE(detail::persists(head<true>(11, both)));
    CHECK_FALSE(detail::persists(head<true>(10, {})));
    CHECK(detail::persists(head<true>(10, keep)));
    CHECK_FALSE(detail::persists(head<true>(10, both)));
    CHECK_FALSE(
        detail::persists(head<false>(10, {{field::connection, "keep-alive"}, {field::transfer_encoding, "x"}})));
}

TEST_CASE("a request with a transfer coding ends with its chunks, or its end is ambiguous")
{
    lines const coded{{field::transfer_encoding, "gzip"}};
    CHECK(detail::is_framed(head<true>(11, {}), false));
    CHECK(detail::is_framed(head<true>(11, {{field::content_length, "1"}}), false));
    CHECK(detail::is_framed(head<true>(11, coded), true));
    CHECK_FALSE(detail::is_framed(head<true>(11, coded), false));
    CHECK_FALSE(detail::is_framed(head<true>(10, coded), true));
    // A response may end with its connection instead.
    CHECK(detail::is_framed(head<false>(11, coded), false));
    CHECK(detail::is_framed(head<false>(10, coded), true));
    CHECK_FALSE(
        detail::is_framed(head<false>(11, {{field::transfer_encoding, "gzip"}, {field::content_length, "1"}}), false));
}

TEST_CASE("Retry-After is a number of seconds, and of several the longest")
{
    auto const after = [](std::vector<std::string> const& values)
    {
        lines fields;
        for (auto const& value : values)
            fields.emplace_back(field::retry_after, value);
        return detail::retry_after(head<false>(11, fields));
    };
    using std::chrono::seconds;
    CHECK(after({}) == seconds{0});
    CHECK(after({"0"}) == seconds{0});
    CHECK(after({"120"}) == seconds{120});
    CHECK(after({"1", "3", "2"}) == seconds{3});
    for (char const* value : {"", "-1", "+1", "1.5", "1s", "99999999999", "Fri, 31 Dec 1999 23:59:59 GMT"})
    {
        CAPTURE(value);
        CHECK_FALSE(after({value}));
        CHECK_FALSE(after({"1", value}));
    }
}

TEST_SUITE_END();
