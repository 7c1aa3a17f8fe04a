// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Boost.JSON, compiled here once.
#include <boost/json/src.hpp>
