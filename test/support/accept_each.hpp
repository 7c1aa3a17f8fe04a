// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <utility>

namespace test {

/// Call `serve` with each connection, beside the others, until the acceptor is closed. What one of them throws ends the
/// test.
template <class Serve>
boost::asio::awaitable<void> accept_each(boost::asio::ip::tcp::acceptor& acceptor, Serve serve)
{
    for (;;)
    {
        auto [ec, socket] = co_await acceptor.async_accept(boost::asio::as_tuple(boost::asio::use_awaitable));
        if (ec)
            co_return;
        boost::asio::co_spawn(acceptor.get_executor(), serve(std::move(socket)),
                              [](std::exception_ptr e)
                              {
                                  if (e)
                                      std::rethrow_exception(e);
                              });
    }
}

} // namespace test
