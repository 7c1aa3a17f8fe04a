// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/peers/https_examples.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace test {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

std::vector<std::string> joined(std::vector<std::string> words, std::vector<std::string> const& more)
{
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

} // namespace

std::string example(std::string const& name)
{
    return REPRISE_EXAMPLES_DIR "/" + name;
}

char const* on_or_off(bool on)
{
    return on ? "on" : "off";
}

char const* version_of(kind const& k)
{
    return k.version == TLS1_2_VERSION ? "1.2" : "1.3";
}

example_server::example_server(credentials const& c, kind const& k, std::vector<std::string> const& more)
    : example_server(c, joined({"--tls", version_of(k), "--tickets", on_or_off(k.tickets)}, more))
{
}

example_server::example_server(credentials const& c, std::vector<std::string> const& options,
                               std::string const& wanted_port)
    : process(joined(
          {example("https_server"), "--listen", "127.0.0.1:" + wanted_port, "--cert", c.certificate, "--key", c.key},
          options))
{
    std::string const ready = "listening on https://127.0.0.1:";
    process.read_until(ready);
    auto const at = process.output().find(ready) + ready.size();
    process.read_until("\n");
    port = process.output().substr(at, process.output().find_first_not_of("0123456789", at) - at);
}

std::string resumed_page(kind const& k)
{
    return "resumed: " + std::string{to_string(k.on_server)};
}

asio::awaitable<answer> get(client_side& stream, std::string port)
{
    answer result;
    result.info = co_await stream.async_connect("localhost", port);
    http::request<http::empty_body> request{http::verb::get, "/", 11};
    request.set(http::field::host, "localhost");
    request.set(http::field::connection, "close");
    co_await http::async_write(stream, request, asio::use_awaitable);
    beast::flat_buffer buffer;
    http::response<http::string_body> response;
    co_await http::async_read(stream, buffer, response, asio::use_awaitable);
    result.body = response.body();
    co_await stream.async_shutdown();
    co_return result;
}

bool contains(std::string const& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

} // namespace test
