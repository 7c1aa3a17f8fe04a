// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <string>

namespace example {

/// The 32 random bytes in a file that is closed to others. @throws std::runtime_error, with the option's name.
[[nodiscard]] reprise::secret_bytes read_secret_file(std::string const& option, std::string const& path);

/// The same; the file is made, with mode 0600, if it is not there.
[[nodiscard]] reprise::secret_bytes read_or_make_secret_file(std::string const& option, std::string const& path);

} // namespace example
