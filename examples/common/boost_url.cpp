// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Compiles Boost.URL if the installed Boost has it only as sources.
#include <boost/url/src.hpp>
