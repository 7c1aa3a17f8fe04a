// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
