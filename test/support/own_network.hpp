// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <functional>
#include <string>

namespace test {

/** Run `test` on a thread of its own, in a network of its own that has nothing but loopback.

    @param setting Below /proc/sys/net/ipv4/, and what to write there before.
    @return Whether the system allows that; if not, the test has not run. What the test throws is thrown.
*/
[[nodiscard]] bool in_own_network(std::string const& setting, std::string const& value,
                                  std::function<void()> const& test);

} // namespace test
