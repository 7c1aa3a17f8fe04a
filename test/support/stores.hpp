// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "support/keys.hpp"

#include <reprise/persistent_session_store.hpp>
#include <reprise/testing/manual_clock.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace test {

/// Equal sessions; a decoded copy has another address.
inline bool same(std::optional<reprise::session> const& a, reprise::session const& b)
{
    return a && a->serialize() == b.serialize();
}

/// An io_context for stores, which is run as long as an operation takes.
struct store_fixture
{
    [[nodiscard]] reprise::persistent_session_store_options options(reprise::storage_ptr storage)
    {
        reprise::persistent_session_store_options result;
        result.storage = std::move(storage);
        result.keys = {key_of(1)};
        result.executor = io.get_executor();
        result.now = time;
        return result;
    }

    [[nodiscard]] std::shared_ptr<reprise::persistent_session_store> store_on(reprise::storage_ptr storage)
    {
        return reprise::persistent_session_store::make(options(std::move(storage)));
    }

    /// Run until `condition` holds, or fail.
    template <class Condition>
    void run_until(Condition condition)
    {
        auto const deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (!condition())
        {
            io.restart();
            io.run_one_for(std::chrono::milliseconds{10});
            REQUIRE(std::chrono::steady_clock::now() < deadline);
        }
    }

    /// The result of an operation, however long it takes.
    template <class T>
    T done(boost::asio::awaitable<T> operation)
    {
        std::exception_ptr failure;
        bool is_over = false;
        if constexpr (std::is_void_v<T>)
        {
            boost::asio::co_spawn(io, std::move(operation),
                                  [&](std::exception_ptr e)
                                  {
                                      failure = e;
                                      is_over = true;
                                  });
            run_until([&] { return is_over; });
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
                                      is_over = true;
                                  });
            run_until([&] { return is_over; });
            if (failure)
                std::rethrow_exception(failure);
            return *std::move(result);
        }
    }

    boost::asio::io_context io;
    reprise::testing::manual_clock time;
};

} // namespace test
