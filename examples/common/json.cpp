// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Compiles Boost.JSON once.
#include <boost/json/src.hpp>
