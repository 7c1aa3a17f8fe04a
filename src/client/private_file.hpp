// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/base/secret_bytes.hpp>

#include <cstdint>
#include <filesystem>
#include <vector>

#include <sys/stat.h>

// A file for its owner alone. These functions block.

namespace reprise::detail {

/// Write a file of mode 0600, which appears under its name whole or not at all. @throws system_error, with the path.
void write_private_file(std::filesystem::path const& path, byte_view bytes);

/// A file as it was read.
struct private_file
{
    std::vector<unsigned char> bytes;
    struct ::stat status;
};

/// @throws system_error `errc::session_file_not_private`, `session_file_too_large`, or the system's, with the path.
[[nodiscard]] private_file read_private_file(std::filesystem::path const& path, std::uint64_t max_bytes);

/// Remove what was read; of several who do that, one succeeds. @throws system_error `no_such_file_or_directory`, if it is no
/// longer there or another has taken its place.
void remove_private_file(std::filesystem::path const& path, private_file const& what);

} // namespace reprise::detail
