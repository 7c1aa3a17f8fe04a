// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/harness.hpp"

#include <reprise/metrics/prometheus_exporter.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <prometheus/exposer.h>

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

TEST_CASE("a name stands for one thing at each end")
{
    observed o;
    CHECK_THROWS_AS(o.exporter.add("shop", o.w.cache), reprise::system_error);
    CHECK_THROWS_AS(o.exporter.add("buyers", o.counters), reprise::system_error);
    CHECK_THROWS_AS(o.exporter.add("nobody", nullptr), reprise::system_error);
    o.exporter.add("shop", o.counters);
}

TEST_SUITE_END();
