// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ip/tcp.hpp>

namespace reprise {

namespace asio = boost::asio;

/// The next layer of a stream whose type does not name one.
using default_socket = asio::ip::tcp::socket;

} // namespace reprise
