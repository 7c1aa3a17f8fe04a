// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/service.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <string>

namespace example {

namespace beast = boost::beast;
namespace http = beast::http;
using reprise::error_code;
using namespace std::chrono_literals;

namespace {

constexpr auto idle_timeout = 30s;

std::string fixed_page(reprise::handshake_info const& info)
{
    std::string page{"Hello from reprise. "};
    page += to_string(info.protocol);
    page += info.resumed() ? ", resumed: " : ", full handshake: ";
    page += info.resumed() ? to_string(info.resumption) : to_string(info.reason);
    return page + "\n";
}

template <class Body>
void set_common_fields(http::response<Body>& response, http::request<http::empty_body> const& request)
{
    response.version(request.version());
    response.keep_alive(request.keep_alive());
    response.set(http::field::server, "reprise");
    response.prepare_payload();
}

http::response<http::string_body> text(http::status status, std::string body)
{
    http::response<http::string_body> response{status, 11};
    response.set(http::field::content_type, "text/plain");
    response.body() = std::move(body);
    return response;
}

// The file that a target names, if it lies below the root.
std::optional<std::filesystem::path> locate(std::filesystem::path const& root, std::string_view target)
{
    auto const path = target.substr(0, target.find_first_of("?#"));
    if (path.empty() || path.front() != '/' || path.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::error_code ec;
    auto const base = std::filesystem::canonical(root, ec);
    auto file = std::filesystem::weakly_canonical(base / path.substr(1), ec);
    if (!ec && std::filesystem::is_directory(file, ec))
        file /= "index.html";
    auto const inside = std::mismatch(base.begin(), base.end(), file.begin(), file.end()).first == base.end();
    return inside && std::filesystem::is_regular_file(file, ec) ? std::optional{file} : std::nullopt;
}

} // namespace

asio::awaitable<void> service::serve(asio::ip::tcp::acceptor& acceptor)
{
    while (acceptor.is_open())
    {
        auto [ec, socket] = co_await acceptor.async_accept(asio::make_strand(acceptor.get_executor()),
                                                           asio::as_tuple(asio::use_awaitable));
        if (ec == asio::error::operation_aborted)
            co_return;
        if (ec)
        {
            // Out of file descriptors, most likely: let some connections end.
            asio::steady_timer pause{co_await asio::this_coro::executor, 100ms};
            co_await pause.async_wait(asio::use_awaitable);
            continue;
        }
        ++counters_.connections;
        auto const executor = socket.get_executor();
        asio::co_spawn(executor, connection(beast::tcp_stream{std::move(socket)}), asio::detached);
    }
}

asio::awaitable<void> service::connection(beast::tcp_stream socket)
{
    stream tls{std::move(socket), cache_, options_};
    auto const [ec, info] = co_await tls.async_handshake(asio::as_tuple(asio::use_awaitable));
    if (ec)
        co_return; // counted by the cache
    co_await answer_requests(tls);
    co_await tls.async_shutdown();
}

asio::awaitable<void> service::answer_requests(stream& tls)
{
    beast::flat_buffer buffer;
    for (bool keep_alive = true; keep_alive;)
    {
        tls.next_layer().expires_after(idle_timeout);
        http::request<http::empty_body> request;
        auto const [read_error, size] =
            co_await http::async_read(tls, buffer, request, asio::as_tuple(asio::use_awaitable));
        if (read_error)
            co_return; // the client has closed, or is not worth an answer
        ++counters_.requests;

        error_code ec;
        auto const write = [&](auto response) -> asio::awaitable<void>
        {
            set_common_fields(response, request);
            if (request.method() == http::verb::head)
            {
                http::response_serializer<typename decltype(response)::body_type> header{response};
                header.split(true);
                std::tie(ec, std::ignore) =
                    co_await http::async_write_header(tls, header, asio::as_tuple(asio::use_awaitable));
            }
            else
                std::tie(ec, std::ignore) =
                    co_await http::async_write(tls, response, asio::as_tuple(asio::use_awaitable));
        };
        if (request.method() != http::verb::get && request.method() != http::verb::head)
            co_await write(text(http::status::method_not_allowed, "GET and HEAD only\n"));
        else if (!docroot_)
            co_await write(text(http::status::ok, fixed_page(tls.handshake())));
        else if (auto const file = locate(*docroot_, {request.target().data(), request.target().size()}))
        {
            http::response<http::file_body> response{http::status::ok, 11};
            error_code open_error;
            response.body().open(file->c_str(), beast::file_mode::scan, open_error);
            if (open_error)
                co_await write(text(http::status::forbidden, "cannot be read\n"));
            else
                co_await write(std::move(response));
        }
        else
            co_await write(text(http::status::not_found, "no such file\n"));
        keep_alive = !ec && request.keep_alive();
    }
}

} // namespace example
