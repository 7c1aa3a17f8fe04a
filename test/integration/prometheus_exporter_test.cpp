// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <reprise/metrics/prometheus_exporter.hpp>
#include <reprise/storage/memory_storage.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <prometheus/exposer.h>

#include <map>
#include <sstream>

using namespace test;

TEST_SUITE_BEGIN("prometheus_exporter");

namespace {

bool has_line(std::string const& text, std::string const& line)
{
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

struct observed
{
    observed()
    {
        reprise::client_options options;
        options.observer = counters;
        w.run(
            [&]() -> asio::awaitable<void>
            {
                auto stream = w.stream(options);
                for (int i = 0; i < 3; ++i)
                    co_await w.visit(stream);
            });
        exporter.add("shop", w.cache);
        exporter.add("buyers", counters);
    }

    world w{{.of = kinds[3]}};
    std::shared_ptr<reprise::handshake_counters> counters = std::make_shared<reprise::handshake_counters>();
    reprise::prometheus_exporter exporter;
};

void check(std::string const& text)
{
    CAPTURE(text);
    CHECK(has_line(text, "# TYPE reprise_handshakes_total counter"));
    CHECK(has_line(text,
                   R"(reprise_handshakes_total{name="shop",end="server",result="resumed",kind="tls13-stateful"} 2)"));
    CHECK(has_line(text, R"(reprise_handshakes_total{name="shop",end="server",result="full",reason="not-offered"} 1)"));
    CHECK(has_line(text,
                   R"(reprise_handshakes_total{name="buyers",end="client",result="resumed",kind="tls13-ticket"} 2)"));
    CHECK(has_line(text,
                   R"(reprise_handshakes_total{name="buyers",end="client",result="full",reason="nothing-stored"} 1)"));
    CHECK(has_line(text, R"(reprise_handshake_failures_total{name="shop",end="server"} 0)"));
    CHECK(has_line(text, R"(reprise_sessions_kept_total{name="shop",end="server"} 3)"));
    CHECK(has_line(text, R"(reprise_sessions_kept_total{name="buyers",end="client"} 3)"));
    CHECK(has_line(text, R"(reprise_sessions{name="shop",end="server"} 1)"));
    CHECK(has_line(text, R"(reprise_storage_lookups_total{name="shop",end="server"} 2)"));
    CHECK(has_line(text, R"(reprise_early_data_total{name="shop",end="server",result="accepted"} 0)"));
}

} // namespace

TEST_CASE("both ends' counters are there, by name, kind and reason")
{
    observed o;
    check(o.exporter.text());
}

TEST_CASE("an Exposer of prometheus-cpp serves them, and a scrape reads what is true then")
{
    observed o;
    prometheus::Exposer exposer{"127.0.0.1:0"};
    exposer.RegisterCollectable(o.exporter.collectable());
    auto const port = static_cast<unsigned short>(exposer.GetListeningPorts().at(0));
    auto const scrape = [&]
    {
        namespace http = boost::beast::http;
        asio::io_context io;
        tcp::socket socket{io};
        socket.connect({asio::ip::address_v4::loopback(), port});
        http::request<http::empty_body> request{http::verb::get, "/metrics", 11};
        request.set(http::field::host, "localhost");
        http::write(socket, request);
        boost::beast::flat_buffer buffer;
        http::response<http::string_body> response;
        http::read(socket, buffer, response);
        return response.body();
    };
    auto text = scrape();
    std::erase(text, '\r');
    check(text);
    o.counters->on_failure("localhost", {});
    CHECK(has_line(scrape(), R"(reprise_handshake_failures_total{name="buyers",end="client"} 1)"));
}

namespace {

// The value on the line that begins so.
double value_of(std::string const& text, std::string const& line)
{
    auto const at = ("\n" + text).find("\n" + line + " ");
    REQUIRE(at != std::string::npos);
    return std::stod(text.substr(at + line.size()));
}

// Every counter's line, and its value.
std::map<std::string, double> counters(std::string const& text)
{
    std::map<std::string, double> result;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);)
        if (line.find("_total{") != std::string::npos)
            result[line.substr(0, line.rfind(' '))] = std::stod(line.substr(line.rfind(' ')));
    return result;
}

// The counters of a cache that replaces none.
std::map<std::string, double> counters_of(reprise::session_cache const& cache)
{
    reprise::prometheus_exporter exporter;
    exporter.add("shop", cache);
    return counters(exporter.text());
}

// Becomes true when this context is freed, and its private key with it.
std::shared_ptr<bool const> end_of(SSL_CTX* context)
{
    static int const index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr,
                                                      [](void*, void* value, CRYPTO_EX_DATA*, int, long, void*)
                                                      {
                                                          std::unique_ptr<std::shared_ptr<bool>> const ended{
                                                              static_cast<std::shared_ptr<bool>*>(value)};
                                                          if (ended)
                                                              **ended = true;
                                                      });
    auto ended = std::make_shared<bool>(false);
    SSL_CTX_set_ex_data(context, index, new std::shared_ptr<bool>{ended});
    return ended;
}

} // namespace

TEST_CASE("a cache replaces the one of the same name, which is freed, and counters continue")
{
    observed o;
    auto before = counters(o.exporter.text());
    CHECK(before.size() > 40);
    std::string const sessions = R"(reprise_sessions{name="shop",end="server"})";
    CHECK(value_of(o.exporter.text(), sessions) == 1);

    std::weak_ptr<void> replaced;
    std::shared_ptr<bool const> is_freed;
    for (int i = 0; i < 3; ++i)
    {
        CAPTURE(i);
        auto tls = server_context();
        auto const is_next_freed = end_of(tls.native_handle());
        reprise::session_cache const renewed{tls, {.id_context = "test/v1"}};
        for (auto const& [line, value] : counters_of(renewed)) // such as its first ticket key
            before.at(line) += value;
        o.exporter.add("shop", renewed);
        auto const now = counters(o.exporter.text());
        CHECK(now.size() == before.size());
        for (auto const& [line, value] : now)
        {
            CAPTURE(line);
            CHECK(before.at(line) == value);
        }
        CHECK(value_of(o.exporter.text(), sessions) == 0);
        if (i > 0)
        {
            CHECK(replaced.expired());
            CHECK(*is_freed);
        }
        CHECK_FALSE(*is_next_freed);
        replaced = renewed.server();
        is_freed = is_next_freed;
        o.exporter.add("shop", renewed); // the cache in place
        CHECK(counters(o.exporter.text()) == before);
    }

    // The new one's own handshakes count on top.
    world w{{.of = kinds[3]}};
    CHECK_FALSE(*is_freed); // the exporter holds it
    o.exporter.add("shop", w.cache);
    CHECK(replaced.expired());
    CHECK(*is_freed);
    w.run(
        [&]() -> asio::awaitable<void>
        {
            auto stream = w.stream();
            co_await w.visit(stream);
            co_await w.visit(stream);
        });
    auto const text = o.exporter.text();
    CHECK(has_line(text,
                   R"(reprise_handshakes_total{name="shop",end="server",result="resumed",kind="tls13-stateful"} 3)"));
    CHECK(has_line(text, R"(reprise_handshakes_total{name="shop",end="server",result="full",reason="not-offered"} 2)"));
    for (auto const& [line, value] : before)
        CHECK(counters(text).at(line) >= value);
}

TEST_CASE("a storage that a renewed cache shares is counted once")
{
    reprise::prometheus_exporter exporter;
    auto const storage = reprise::memory_storage::make({});
    std::string const expired = R"(reprise_sessions_lost_total{name="shop",end="server",how="expired"})";
    for (int i = 1; i <= 3; ++i)
    {
        CAPTURE(i);
        auto tls = server_context();
        exporter.add("shop", reprise::session_cache{tls, {.id_context = "shop/v1", .storage = storage}});
        asio::io_context io;
        run(io,
            [](reprise::storage& s) -> asio::awaitable<void>
            {
                co_await s.put("a", reprise::secret_bytes{1}, reprise::time_point::clock::now() + 1ms);
                while (co_await s.get("a"))
                    co_await asio::post(asio::use_awaitable);
                co_await s.flush();
            }(*storage));
        CHECK(storage->stats().expired == static_cast<std::uint64_t>(i));
        CHECK(value_of(exporter.text(), expired) == i);
    }
    // Another storage goes on from there.
    auto tls = server_context();
    exporter.add("shop", reprise::session_cache{tls, {.id_context = "shop/v1"}});
    CHECK(value_of(exporter.text(), expired) == 3);
}

TEST_CASE("a client's counters are replaced as a server's cache is")
{
    observed o;
    std::string const full =
        R"(reprise_handshakes_total{name="buyers",end="client",result="full",reason="nothing-stored"})";
    std::weak_ptr<void> const replaced = o.counters;
    o.exporter.add("buyers", o.counters); // the same
    CHECK(value_of(o.exporter.text(), full) == 1);
    o.counters = std::make_shared<reprise::handshake_counters>();
    o.exporter.add("buyers", o.counters);
    CHECK(replaced.expired());
    CHECK(value_of(o.exporter.text(), full) == 1);
    reprise::handshake_info info;
    info.reason = reprise::full_handshake_reason::nothing_stored;
    o.counters->on_handshake("localhost", info);
    CHECK(value_of(o.exporter.text(), full) == 2);
}

TEST_CASE("remove forgets a name at both ends, and counters added later begin at zero")
{
    observed o;
    std::weak_ptr<void> removed;
    std::shared_ptr<bool const> is_freed;
    {
        auto tls = server_context();
        is_freed = end_of(tls.native_handle());
        reprise::session_cache const cache{tls, {.id_context = "test/v1"}};
        removed = cache.server();
        o.exporter.add("buyers", cache); // a server of the clients' name
    }
    CHECK(o.exporter.remove("buyers"));
    CHECK(removed.expired());
    CHECK(*is_freed);
    CHECK(o.exporter.text().find("buyers") == std::string::npos);
    CHECK(o.exporter.text().find("shop") != std::string::npos);
    CHECK_FALSE(o.exporter.remove("buyers"));
    CHECK_FALSE(o.exporter.remove("nobody"));
    CHECK(o.exporter.remove("shop"));
    CHECK(o.exporter.text().empty());
    o.exporter.add("shop", std::make_shared<reprise::handshake_counters>());
    CHECK(o.exporter.remove("shop"));
    o.exporter.add("buyers", std::make_shared<reprise::handshake_counters>());
    CHECK(value_of(o.exporter.text(), R"(reprise_sessions_kept_total{name="buyers",end="client"})") == 0);
}

TEST_CASE("a name stands for at most one source at each end, and a null pointer is refused")
{
    observed o;
    CHECK_THROWS_AS(o.exporter.add("nobody", nullptr), reprise::system_error);
    o.exporter.add("shop", o.counters);
    CHECK(o.exporter.text().find(R"(name="shop",end="client")") != std::string::npos);
    CHECK(o.exporter.text().find(R"(name="shop",end="server")") != std::string::npos);
}

TEST_SUITE_END();
