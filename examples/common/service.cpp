// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "common/service.hpp"

#include "common/refusal.hpp"
#include "common/url.hpp"

#include <reprise/fast_open.hpp>
#include <reprise/http/read_request.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <string>
#include <tuple>
#include <variant>

namespace example {

namespace beast = boost::beast;
namespace http = beast::http;
using reprise::error_code;
using namespace std::chrono_literals;

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr auto write_timeout = 30s;
constexpr std::size_t read_size = 4096;

using stream_type = reprise::server_stream<beast::tcp_stream>;
using arrived = std::tuple<error_code, reprise::request_arrival>;

// The result of an operation on a stream. Empty after the timeout: the operation is then cancelled, and the stream
// stays usable.
template <class Result>
asio::awaitable<std::optional<Result>> within(std::chrono::seconds timeout, asio::awaitable<Result> operation)
{
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer timer{co_await asio::this_coro::executor, timeout};
    auto waiting = timer.async_wait(no_throw);
    auto first = std::move(operation) || std::move(waiting);
    auto ended = co_await std::move(first);
    auto* const result = std::get_if<Result>(&ended);
    co_return result ? std::optional{std::move(*result)} : std::nullopt;
}

asio::awaitable<arrived> read_request(std::chrono::seconds timeout, stream_type& tls, beast::flat_buffer& buffer,
                                      request_parser& parser)
{
    reprise::early_request_policy const policy;
    auto reading = reprise::async_read_request(tls, buffer, parser, policy, no_throw);
    auto const result = co_await within(timeout, std::move(reading));
    co_return result.value_or(arrived{asio::error::timed_out, reprise::request_arrival::on_time});
}

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

// Properties of a request that its response depends on.
struct reply_to
{
    unsigned version = 11;
    bool is_head = false;
    bool keep_alive = false;
};

template <class Body>
asio::awaitable<error_code> write(stream_type& tls, reply_to to, http::response<Body> response)
{
    response.version(to.version);
    response.keep_alive(to.keep_alive);
    response.set(http::field::server, "reprise");
    response.prepare_payload();
    tls.next_layer().expires_after(write_timeout);
    error_code ec;
    if (to.is_head)
    {
        http::response_serializer<Body> header{response};
        header.split(true);
        std::tie(ec, std::ignore) = co_await http::async_write_header(tls, header, no_throw);
    }
    else
        std::tie(ec, std::ignore) = co_await http::async_write(tls, response, no_throw);
    co_return ec;
}

asio::awaitable<error_code> write_text(stream_type& tls, reply_to to, http::status status, std::string_view body)
{
    http::response<http::string_body> response{status, 11};
    response.set(http::field::content_type, "text/plain");
    if (status == http::status::method_not_allowed)
        response.set(http::field::allow, "GET, HEAD");
    response.body() = body;
    co_return co_await write(tls, to, std::move(response));
}

// The file that a path names. Empty if there is no such file below the root.
std::optional<std::filesystem::path> locate(std::filesystem::path const& root, std::string_view path)
{
    if (!path.starts_with('/') || path.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::error_code ec;
    auto const base = std::filesystem::canonical(root, ec);
    auto file = std::filesystem::weakly_canonical(base / path.substr(1), ec);
    if (!ec && std::filesystem::is_directory(file, ec))
        file = std::filesystem::weakly_canonical(file / "index.html", ec);
    auto const inside = std::mismatch(base.begin(), base.end(), file.begin(), file.end()).first == base.end();
    return inside && std::filesystem::is_regular_file(file, ec) ? std::optional{file} : std::nullopt;
}

asio::awaitable<error_code> write_file(stream_type& tls, reply_to to, std::filesystem::path const& root,
                                       beast::string_view target)
{
    auto const path = path_of({target.data(), target.size()});
    auto const file = path ? locate(root, *path) : std::nullopt;
    if (!file)
        co_return co_await write_text(tls, to, http::status::not_found, "this server has no such file\n");
    http::response<http::file_body> response{http::status::ok, 11};
    error_code ec;
    response.body().open(file->c_str(), beast::file_mode::scan, ec);
    if (ec)
        co_return co_await write_text(tls, to, http::status::forbidden, "this server cannot read the file\n");
    co_return co_await write(tls, to, std::move(response));
}

} // namespace

struct service::connection
{
    stream_type tls;
    beast::flat_buffer buffer{};
    bool is_idle = false; // waits for another request, so closing loses no request
};

service::service(asio::io_context& io, asio::ip::tcp::endpoint const& at, reprise::session_cache cache,
                 service_options options)
    : io_(io), cache_(std::move(cache)), options_(std::move(options)), acceptor_(asio::make_strand(io), at),
      all_ended_(acceptor_.get_executor(), asio::steady_timer::time_point::max())
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
            // Probably out of file descriptors: wait until some connections have ended.
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
        std::make_shared<connection>(stream_type{beast::tcp_stream{std::move(socket)}, cache_, options_.stream});
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
    auto const [ec, info] = co_await c->tls.async_handshake(no_throw);
    if (ec)
        co_return; // counted by the cache
    co_await answer_requests(*c);
    c->tls.next_layer().expires_never(); // async_shutdown has its own timeout
    co_await c->tls.async_shutdown();
}

asio::awaitable<void> service::answer_requests(connection& c)
{
    for (bool goes_on = true; goes_on;)
    {
        c.tls.next_layer().expires_never();
        goes_on = co_await answer_one(c);
        if (goes_on && c.buffer.size() == 0)
            goes_on = co_await wait_for_request(c);
    }
}

// False if the client has closed or sends nothing in time, or if the service is stopping.
asio::awaitable<bool> service::wait_for_request(connection& c)
{
    if (is_stopping_)
        co_return false;
    c.is_idle = true;
    auto const room = c.buffer.prepare(read_size);
    auto reading = c.tls.async_read_some(room, no_throw);
    auto const read = co_await within(options_.request_timeout, std::move(reading));
    c.is_idle = false;
    if (!read)
        co_return false;
    auto const [ec, size] = *read;
    c.buffer.commit(size);
    co_return !ec;
}

// Read and answer one request. False if the connection ends.
asio::awaitable<bool> service::answer_one(connection& c)
{
    request_parser parser;
    auto const [unread, arrival] = co_await read_request(options_.request_timeout, c.tls, c.buffer, parser);
    auto const& request = parser.get();
    reply_to to{.version = request.version() == 10 ? 10U : 11U, .is_head = request.method() == http::verb::head};
    if (unread)
    {
        auto const rest = beast::buffers_to_string(c.buffer.data());
        if (auto const refused = why_unreadable(unread, parser, rest))
            (void)co_await write_text(c.tls, to, refused->status, refused->why);
        co_return false;
    }
    ++counters_.requests;
    to.keep_alive = parser.keep_alive() && !is_stopping_;
    error_code ec;
    if (arrival == reprise::request_arrival::too_early)
    {
        auto refused = reprise::too_early_response(request);
        ec = co_await write(c.tls, to, std::move(refused));
    }
    else if (auto const refused = why_refused(parser))
        ec = co_await write_text(c.tls, to, refused->status, refused->why);
    else if (!options_.docroot)
    {
        auto const page = fixed_page(c.tls.handshake(), arrival);
        ec = co_await write_text(c.tls, to, http::status::ok, page);
    }
    else
        ec = co_await write_file(c.tls, to, *options_.docroot, request.target());
    co_return !ec && to.keep_alive;
}

} // namespace example
