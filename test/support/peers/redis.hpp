// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/child.hpp"

#include <reprise/storage/redis_storage.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace test {

/// A server of our own on loopback, and on a unix socket; it keeps nothing on disk and ends with this object.
class redis_server
{
public:
    explicit redis_server(std::vector<std::string> arguments = {});

    [[nodiscard]] unsigned short port() const noexcept { return port_; }
    [[nodiscard]] unsigned short tls_port() const noexcept { return tls_port_; }
    [[nodiscard]] std::string socket_path() const { return directory_ / "redis.sock"; }

    /// Options for TCP, with time enough for a busy machine.
    [[nodiscard]] reprise::redis_storage_options options() const;

    void signal(int number) const { process_->signal(number); }

    /// SIGKILL, and wait until it is gone.
    void kill();

    /// Again, on the same port, empty.
    void start();

    /// The answer to a command, as text; an error reply fails the test. Over the unix socket, synchronously.
    std::string command(std::vector<std::string> const& words) const;

    /// Make all keys that begin with `prefix` older.
    void age(std::string const& prefix, std::chrono::milliseconds by) const;

private:
    temporary_directory directory_;
    unsigned short port_ = free_port();
    unsigned short tls_port_ = free_port();
    std::vector<std::string> arguments_;
    std::optional<child> process_;
};

/// A TCP server that greets like Redis and then does what the test says, on a thread of its own.
class fake_redis
{
public:
    using socket = boost::asio::ip::tcp::socket;

    /// What to do with each command but PING; an exception closes the connection.
    using behaviour = std::function<boost::asio::awaitable<void>(socket&, std::vector<std::string>)>;

    explicit fake_redis(behaviour behave, std::string greeting = "+PONG\r\n");
    fake_redis(fake_redis const&) = delete;
    fake_redis& operator=(fake_redis const&) = delete;
    ~fake_redis();

    [[nodiscard]] unsigned short port() const { return port_; }

    /// Options with `port`, and time enough for a busy machine.
    [[nodiscard]] reprise::redis_storage_options options() const;

private:
    boost::asio::awaitable<void> accept();
    boost::asio::awaitable<void> serve(socket connection);

    boost::asio::io_context io_;
    boost::asio::ip::tcp::acceptor acceptor_;
    unsigned short port_;
    behaviour const behave_;
    std::string const greeting_; // the answer to PING
    std::jthread thread_;
};

/// Send text, as a behaviour does.
boost::asio::awaitable<void> send(fake_redis::socket& to, std::string text);

/// Run an operation on an io_context of its own and return its result. One that takes long fails the test.
template <class T>
T result_of(boost::asio::awaitable<T> operation, std::chrono::seconds limit = std::chrono::seconds{20})
{
    boost::asio::io_context io;
    std::exception_ptr failure;
    if constexpr (std::is_void_v<T>)
    {
        bool done = false;
        boost::asio::co_spawn(io, std::move(operation),
                              [&](std::exception_ptr e)
                              {
                                  failure = e;
                                  done = true;
                              });
        io.run_for(limit);
        REQUIRE(done);
        if (failure)
            std::rethrow_exception(failure);
    }
    else
    {
        std::optional<T> result;
        boost::asio::co_spawn(io, std::move(operation),
                              [&](std::exception_ptr e, T value)
                              {
                                  failure = e;
                                  result.emplace(std::move(value));
                              });
        io.run_for(limit);
        REQUIRE(result.has_value());
        if (failure)
            std::rethrow_exception(failure);
        return *std::move(result);
    }
}

/// The error that an operation ends with; none if it succeeds.
template <class T>
reprise::error_code error_of(boost::asio::awaitable<T> operation)
{
    try
    {
        (void)result_of(std::move(operation));
    }
    catch (reprise::system_error const& e)
    {
        return e.code();
    }
    return {};
}

/// Why the storage cannot connect. It may have learned that before the first operation, or with it.
reprise::error_code connect_error_of(reprise::redis_storage& storage);

/// Wait until it holds, by asking again and again. False if it takes too long.
bool eventually(std::function<bool()> const& holds, std::chrono::milliseconds limit = std::chrono::seconds{20});

} // namespace test
