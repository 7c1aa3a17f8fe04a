// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace test {

inline reprise::secret_bytes secret(std::string_view text)
{
    return reprise::secret_bytes{reprise::as_bytes(text)};
}

/// What a test puts under a name: of some length, and different for each.
inline std::string value_of(std::string const& name)
{
    std::string value;
    for (std::size_t i = 0; i < 1 + std::hash<std::string>{}(name) % 40; ++i)
        value += name;
    return value;
}

/// The result of an operation, however long it takes.
template <class T>
T completed(boost::asio::awaitable<T> operation)
{
    boost::asio::io_context io;
    std::exception_ptr failure;
    if constexpr (std::is_void_v<T>)
    {
        boost::asio::co_spawn(io, std::move(operation), [&](std::exception_ptr e) { failure = e; });
        io.run();
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
        io.run();
        if (failure)
            std::rethrow_exception(failure);
        return *std::move(result);
    }
}

} // namespace test
