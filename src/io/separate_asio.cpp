// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.

// The one translation unit that holds Asio and Beast (target reprise::asio); everybody else sees declarations only.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
