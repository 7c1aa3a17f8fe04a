// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "loopback_server.hpp"

#include "coroutines.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>

#include <pthread.h>

namespace bench {

loopback_server::loopback_server(kind const& k)
    : tls_(server_context(k)), acceptor_(io_, {asio::ip::address_v4::loopback(), 0})
{
}

void loopback_server::start()
{
    asio::co_spawn(io_, serve(), rethrow);
    thread_ = std::jthread{[this] { io_.run(); }};
    ::pthread_getcpuclockid(thread_.native_handle(), &clock_);
}

void loopback_server::stop()
{
    io_.stop();
    thread_.join();
}

asio::awaitable<void> loopback_server::serve()
{
    for (;;)
        asio::co_spawn(io_, connection(co_await acceptor_.async_accept(asio::use_awaitable)),
                       [this](std::exception_ptr e)
                       {
                           failed_ += e ? 1 : 0;
                           ++served_;
                       });
}

} // namespace bench
