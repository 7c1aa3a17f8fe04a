// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "support/peers/upstream.hpp"

#include "support/accept_each.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <utility>

namespace test {

namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);

} // namespace

upstream::upstream(asio::io_context& io)
    : acceptor_(executor_of(io), tcp::endpoint{asio::ip::address_v4::loopback(), 0})
{
    asio::co_spawn(executor_of(io), serve(), asio::detached);
}

asio::awaitable<void> upstream::serve()
{
    return accept_each(acceptor_, [this](tcp::socket socket) { return answer(std::move(socket)); });
}

asio::awaitable<void> upstream::answer(tcp::socket socket)
{
    beast::flat_buffer buffer;
    for (bool goes_on = true; goes_on;)
    {
        http::request<http::string_body> asked;
        auto const [ec, n] = co_await http::async_read(socket, buffer, asked, as_tuple);
        if (ec)
            co_return;
        std::string const target{asked.target()};
        std::string const early{asked["Early-Data"]};
        requests.push_back(request{target, early});
        http::response<http::string_body> answer{http::status::ok, 11};
        if (!early.empty() && target.starts_with("/fresh"))
        {
            answer.result(425u); // of which Beast 1.81 knows no name
            answer.reason("Too Early");
        }
        answer.body() = target;
        answer.keep_alive(asked.keep_alive());
        answer.prepare_payload();
        auto const [gone, m] = co_await http::async_write(socket, answer, as_tuple);
        goes_on = !gone && asked.keep_alive();
    }
}

} // namespace test
