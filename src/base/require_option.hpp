// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

namespace reprise::detail {

/// Check an option; `what` names the option and its bounds.
/// @throws system_error `errc::bad_option`, unless `ok`.
inline void require_option(bool ok, char const* what)
{
    if (!ok)
        throw system_error{errc::bad_option, what};
}

} // namespace reprise::detail
