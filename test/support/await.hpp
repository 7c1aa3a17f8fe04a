// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <optional>
#include <type_traits>

namespace test {

/// The result of an operation that completes without suspending; anything else fails the test.
template <class T>
T now(boost::asio::awaitable<T> operation)
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
        io.poll();
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
        io.poll();
        REQUIRE(result.has_value());
        if (failure)
            std::rethrow_exception(failure);
        return *std::move(result);
    }
}

} // namespace test
