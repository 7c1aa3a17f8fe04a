// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace reprise {

namespace asio = boost::asio;

/** A TCP socket whose operations, and those of the streams on top of it, are awaited where no token is given.

    With a default token Asio's `async_read(stream, buffers, token)` is ambiguous with its overload that takes a completion
    condition in the same place; say `async_read(stream, buffers, asio::transfer_all(), token)`, or use plain
    `asio::ip::tcp::socket` as next layer.
*/
using default_socket = asio::use_awaitable_t<>::as_default_on_t<asio::ip::tcp::socket>;

} // namespace reprise
