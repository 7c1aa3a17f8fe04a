// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <string>

namespace example {

/// Read the 32 random bytes of a file that only its owner can access. @throws std::runtime_error that names the option
/// and the file.
[[nodiscard]] reprise::secret_bytes read_secret_file(std::string const& option, std::string const& path);

/// Read the 32 random bytes of a file, and first make the file, with mode 0600, if it does not exist.
/// @throws std::runtime_error that names the option and the file.
[[nodiscard]] reprise::secret_bytes read_or_make_secret_file(std::string const& option, std::string const& path);

} // namespace example
