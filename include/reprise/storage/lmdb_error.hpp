// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <reprise/error.hpp>

#include <type_traits>

namespace reprise {

/** What went wrong in an lmdb_storage, where the storage itself is the one to say it.

    LMDB's own errors are in the same category, under LMDB's numbers, which are negative: `e.code().value() == MDB_MAP_FULL`.
    Errors of the operating system (no permission, disk full) keep the system's category, so that
    `e.code() == boost::system::errc::no_space_on_device` works. Numbers are stable: new ones are appended.
*/
enum class lmdb_errc
{
    /// More is waiting than `lmdb_storage_options::max_queued_bytes`. Nothing was done; the caller may drop it or try later.
    queue_full = 1,

    /// The storage object has gone, or is going.
    closed = 2,

    /// This process has the same directory open already, which LMDB forbids. Share the one storage.
    already_open = 3,

    /// Others than the owner may read or replace the files, or they belong to somebody else.
    not_private = 4,

    /// The file is LMDB's, but something else than a reprise storage is in it.
    foreign_file = 5,

    /// The file was written by a release of reprise with another format.
    unknown_format = 6,

    /// `lmdb_storage_options::path` leads to something that is not a directory.
    not_a_directory = 7,

    /// `lmdb_storage_options::now` has thrown an exception.
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
