// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <string_view>

namespace reprise::detail {

/** Normalise the host name of an SNI extension (RFC 6066, 3), so that equal hosts are equal texts: lower case, without
    a final dot.

    @return Empty if `name` is no host name: an address, an invalid byte, an empty label, a label above 63 bytes, more
        than 253 bytes in all (RFC 1123, 2.1; RFC 1035, 2.3.4). Underscores are accepted, because they are in use.
*/
[[nodiscard]] std::string normal_host_name(std::string_view name);

} // namespace reprise::detail
