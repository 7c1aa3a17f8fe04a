// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/detail/stream/coalesce.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
using reprise::detail::coalescer;

TEST_SUITE_BEGIN("coalescer");

namespace {

using buffers = std::vector<asio::const_buffer>;

std::string_view text(asio::const_buffer b)
{
    return {static_cast<char const*>(b.data()), b.size()};
}

} // namespace

TEST_CASE("small buffers are joined")
{
    coalescer join;
    CHECK(text(join(buffers{asio::buffer("head", 4), asio::buffer("body", 4), asio::buffer("end", 3)})) ==
          "headbodyend");
    CHECK(text(join(buffers{asio::const_buffer{}, asio::buffer("a", 1), asio::const_buffer{}, asio::buffer("b", 1)})) ==
          "ab");
}

TEST_CASE("one buffer is not copied, nor is one that fills a record")
{
    coalescer join;
    std::string const only = "only";
    CHECK(join(buffers{asio::const_buffer{}, asio::buffer(only)}).data() == only.data());
    CHECK(join(asio::buffer(only)).data() == only.data());
    std::string const large(16384, 'x');
    auto const first = join(buffers{asio::buffer(large), asio::buffer(only)});
    CHECK(first.data() == large.data());
    CHECK(first.size() == large.size());
}

TEST_CASE("no more than one record is joined")
{
    coalescer join;
    std::string const head(100, 'h');
    std::string const body(20000, 'b');
    auto const record = join(buffers{asio::buffer(head), asio::buffer(body)});
    CHECK(record.size() == 16384);
    CHECK(text(record) == (head + body).substr(0, 16384));
}

TEST_CASE("nothing stays nothing")
{
    coalescer join;
    CHECK(join(buffers{}).size() == 0);
    CHECK(join(buffers{asio::const_buffer{}, asio::const_buffer{}}).size() == 0);
}

TEST_SUITE_END();
