// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/service.hpp"

#include <reprise/http/read_request.hpp>
#include <reprise/io/fast_open.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
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
constexpr std::size_t read_size = 4096;

std::string fixed_page(reprise::handshake_info const& info, reprise::request_arrival arrival)
{
    std::string page{"Hello from reprise. "};
    page += to_string(info.protocol);
    page += info.resumed() ? ", resumed: " : ", full handshake: ";
    page += info.resumed() ? to_string(info.resumption) : to_string(info.reason);
    if (arrival == reprise::request_arrival::early)
        page += ", early";
    else if (info.early_data == reprise::early_data_status::rejected)
        page.append(", early data rejected: ").append(to_string(info.early_reason));
    return page + "\n";
}

template <class Body>
void set_common_fields(http::response<Body>& response, http::request<http::empty_body> const& request, bool keep_alive)
{
    response.version(request.version());
    response.keep_alive(keep_alive);
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

struct service::connection
{
    using stream = reprise::server_stream<beast::tcp_stream>;

    stream tls;
    beast::flat_buffer buffer{};
    bool is_idle = false; // it waits for another request, so closing it loses none
};

service::service(asio::io_context& io, asio::ip::tcp::endpoint const& at, reprise::session_cache cache,
                 std::optional<std::filesystem::path> docroot, reprise::server_options options)
    : io_(io), cache_(std::move(cache)), docroot_(std::move(docroot)), options_(std::move(options)),
      acceptor_(asio::make_strand(io), at), all_ended_(acceptor_.get_executor(), asio::steady_timer::time_point::max())
{
}

error_code service::enable_fast_open()
{
    return reprise::enable_fast_open(acceptor_);
}

asio::awaitable<void> service::serve()
{
    return asio::co_spawn(acceptor_.get_executor(), accept(), asio::use_awaitable);
}

asio::awaitable<void> service::accept()
{
    while (acceptor_.is_open())
    {
        auto [ec, socket] =
            co_await acceptor_.async_accept(asio::make_strand(io_), asio::as_tuple(asio::use_awaitable));
        if (!ec)
            begin(std::move(socket));
        else if (ec != asio::error::operation_aborted)
        {
            // Out of file descriptors, most likely: let some connections end.
            asio::steady_timer pause{co_await asio::this_coro::executor, 100ms};
            co_await pause.async_wait(asio::use_awaitable);
        }
    }
    if (!open_.empty())
        co_await all_ended_.async_wait(asio::as_tuple(asio::use_awaitable));
}

void service::begin(asio::ip::tcp::socket socket)
{
    ++counters_.connections;
    auto const executor = socket.get_executor();
    auto const c =
        std::make_shared<connection>(connection::stream{beast::tcp_stream{std::move(socket)}, cache_, options_});
    open_.insert(c);
    asio::co_spawn(executor, talk(c),
                   asio::bind_executor(acceptor_.get_executor(), [this, c](std::exception_ptr) { end(c); }));
}

void service::end(std::shared_ptr<connection> const& c)
{
    open_.erase(c);
    if (is_stopping_ && open_.empty())
        all_ended_.cancel();
}

void service::stop()
{
    auto const stop_accepting = [this]
    {
        is_stopping_ = true;
        error_code ignored;
        acceptor_.close(ignored);
        for (auto const& c : open_)
            asio::post(c->tls.get_executor(),
                       [c]
                       {
                           if (c->is_idle)
                               c->tls.next_layer().cancel();
                       });
    };
    asio::dispatch(acceptor_.get_executor(), stop_accepting);
}

asio::awaitable<void> service::talk(std::shared_ptr<connection> c)
{
    auto const [ec, info] = co_await c->tls.async_handshake(asio::as_tuple(asio::use_awaitable));
    if (ec)
        co_return; // counted by the cache
    co_await answer_requests(*c);
    co_await c->tls.async_shutdown();
}

asio::awaitable<void> service::answer_requests(connection& c)
{
    auto& tls = c.tls;
    reprise::early_request_policy const early_policy;
    for (bool is_first = true, keep_alive = true; keep_alive; is_first = false)
    {
        tls.next_layer().expires_after(idle_timeout);
        if (!is_first && c.buffer.size() == 0)
        {
            if (is_stopping_)
                co_return;
            c.is_idle = true;
            auto const [ec, size] =
                co_await tls.async_read_some(c.buffer.prepare(read_size), asio::as_tuple(asio::use_awaitable));
            c.is_idle = false;
            if (ec)
                co_return; // the client has closed, or the service is stopping
            c.buffer.commit(size);
        }
        http::request<http::empty_body> request;
        auto const [read_error, arrival] = co_await reprise::async_read_request(tls, c.buffer, request, early_policy,
                                                                                asio::as_tuple(asio::use_awaitable));
        if (read_error)
            co_return; // the client has closed, or is not worth an answer
        ++counters_.requests;

        keep_alive = request.keep_alive() && !is_stopping_;
        error_code ec;
        auto const write = [&](auto response) -> asio::awaitable<void>
        {
            set_common_fields(response, request, keep_alive);
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
        if (arrival == reprise::request_arrival::too_early)
            co_await write(reprise::too_early_response(request));
        else if (request.method() != http::verb::get && request.method() != http::verb::head)
            co_await write(text(http::status::method_not_allowed, "GET and HEAD only\n"));
        else if (!docroot_)
            co_await write(text(http::status::ok, fixed_page(tls.handshake(), arrival)));
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
        if (ec)
            co_return;
    }
}

} // namespace example
