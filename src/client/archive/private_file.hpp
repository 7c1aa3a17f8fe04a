// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/secret_bytes.hpp>

#include <cstdint>
#include <filesystem>
#include <vector>

namespace reprise::detail {

/// Write a file for its owner alone (mode 0600). It appears under its name whole, and on the disk, or not at all.
/// @throws system_error of the system, with the path.
void write_private_file(std::filesystem::path const& path, byte_view bytes);

/** A file that its owner alone can read and write, locked against other objects of this class (flock(2)).

    Whoever opens it waits for those that have it open. One that has been removed meanwhile does not open.
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

    /// Remove its name, also from the disk, unless another file has come in its place.
    /// @throws system_error of the system, with the path.
    void remove() const;

private:
    std::filesystem::path const path_;
    int descriptor_ = -1;
};

} // namespace reprise::detail
