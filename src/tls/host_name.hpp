// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <string_view>

namespace reprise::detail {

/** The host that an SNI extension names (RFC 6066, 3), so that equal hosts are equal texts: in lower case, without a dot at
    the end.

    @return Empty for what is no name of a host: an address, a byte that no name has, a label that is empty or has more than
        63 bytes, more than 253 in all (RFC 1123, 2.1; RFC 1035, 2.3.4). Underscores are in use and let through.
*/
[[nodiscard]] std::string normal_host_name(std::string_view name);

} // namespace reprise::detail
