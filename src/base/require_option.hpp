// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

namespace reprise::detail {

/// @throws system_error `errc::bad_option`, saying `what` the option is and its bounds.
inline void require_option(bool ok, char const* what)
{
    if (!ok)
        throw system_error{errc::bad_option, what};
}

} // namespace reprise::detail
