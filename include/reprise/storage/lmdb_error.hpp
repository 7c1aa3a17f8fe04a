// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

#include <type_traits>

namespace reprise {

/** Errors of an lmdb_storage that come from the storage itself.

    LMDB's own errors have the same category and LMDB's numbers, which are negative: `e.code().value() == MDB_MAP_FULL`.
    Errors of the operating system (no permission, disk full) keep the system's category. So
    `e.code() == boost::system::errc::no_space_on_device` works. Numbers are stable: new ones are appended.
*/
enum class lmdb_errc
{
    /// Pending operations take more than `lmdb_storage_options::max_queued_bytes`. Nothing was changed. Drop the
    /// operation or retry later.
    queue_full = 1,

    /// The storage object is destroyed or is being destroyed.
    closed = 2,

    /// This process already has the directory open; LMDB forbids to open it twice. Share one storage object.
    already_open = 3,

    /// The files belong to another user, or other users may read or replace them.
    not_private = 4,

    /// The file is an LMDB file, but not a reprise storage.
    foreign_file = 5,

    /// The file was written by a release of reprise with an unknown format.
    unknown_format = 6,

    /// `lmdb_storage_options::path` is not a directory.
    not_a_directory = 7,

    /// `lmdb_storage_options::now` threw an exception.
    clock_failed = 8,
};

/// The category of `lmdb_errc` and of LMDB's own errors.
[[nodiscard]] boost::system::error_category const& lmdb_category() noexcept;

[[nodiscard]] inline error_code make_error_code(lmdb_errc e) noexcept
{
    return {static_cast<int>(e), lmdb_category()};
}

} // namespace reprise

template <>
struct boost::system::is_error_code_enum<reprise::lmdb_errc> : std::true_type
{
};
