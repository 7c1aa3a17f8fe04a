// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
// Compiles Boost.URL, where the installed Boost has its sources only.
#include <boost/url/src.hpp>
