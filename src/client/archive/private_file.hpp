// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace reprise::detail {

/// Write a file for its owner alone (mode 0600). It appears under its name complete and on the disk, or not at all.
/// @throws system_error of the system, with the path.
void write_private_file(std::filesystem::path const& path, byte_view bytes);

/** A file that only its owner can read and write, locked against other objects of this class (flock(2)).

    The constructor waits until no other object has the file open. It does not open a file that was removed meanwhile.
*/
class private_file
{
public:
    /// @throws system_error of the system, with the path; `errc::session_file_not_private`.
    explicit private_file(std::filesystem::path path);
    private_file(private_file const&) = delete;
    private_file& operator=(private_file const&) = delete;
    ~private_file();

    /// @throws system_error of the system, with the path; `errc::session_file_too_large`.
    [[nodiscard]] std::vector<unsigned char> read(std::uint64_t max_bytes) const;

    /// Remove the file's name, also on the disk, unless the name belongs to another file now.
    /// @throws system_error of the system, with the path.
    void remove() const;

private:
    std::filesystem::path const path_;
    int descriptor_ = -1;
};

} // namespace reprise::detail
