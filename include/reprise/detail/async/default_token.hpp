// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/use_awaitable.hpp>

namespace reprise::detail {

template <class Executor>
struct default_token
{
    using type = boost::asio::use_awaitable_t<>;
};

template <class Executor>
    requires requires { typename Executor::default_completion_token_type; }
struct default_token<Executor>
{
    using type = typename Executor::default_completion_token_type;
};

/// The default completion token of a stream's operations: that of the stream's executor, as in Asio, or else
/// use_awaitable.
template <class Executor>
using default_token_t = typename default_token<Executor>::type;

} // namespace reprise::detail
