// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include "storage/lmdb/error.hpp"

#include <reprise/storage/storage_condition.hpp>

#include <lmdb.h>

namespace reprise {

namespace {

char const* advice(int value)
{
    switch (value)
    {
    case MDB_MAP_FULL: return "; raise max_bytes, or check whether a stopped process holds a read transaction";
    case MDB_READERS_FULL: return "; too many processes or reader threads share the files: use fewer";
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID: return "; data.mdb is not a file of this LMDB release: delete it, or choose another directory";
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND: return "; the file is damaged: delete the directory; sessions are only a cache";
    case MDB_PANIC: return "; the disk failed during a commit: check the disk, and make the storage again";
    default: return "";
    }
}

class category final : public boost::system::error_category
{
public:
    char const* name() const noexcept override { return "reprise.lmdb"; }

    std::string message(int value) const override
    {
        switch (static_cast<lmdb_errc>(value))
        {
        case lmdb_errc::queue_full: return "too many operations are pending: retry later, or raise max_queued_bytes";
        case lmdb_errc::closed: return "the storage has been destroyed: keep it while it is used";
        case lmdb_errc::already_open: return "this process already has the directory open: share that storage";
        case lmdb_errc::not_private:
            return "the owner is another user, or other users have access: change the owner or the mode";
        case lmdb_errc::foreign_file: return "an LMDB file with other contents: choose another directory";
        case lmdb_errc::unknown_format:
            return "written by another release of reprise: delete the directory; sessions are only a cache";
        case lmdb_errc::not_a_directory: return "not a directory: give a directory for the storage's files";
        case lmdb_errc::clock_failed: return "the clock threw an exception: check lmdb_storage_options::now";
        }
        if (value >= MDB_KEYEXIST && value <= MDB_LAST_ERRCODE)
        {
            std::string text = ::mdb_strerror(value);
            return text.append(advice(value));
        }
        return "unknown lmdb error";
    }

    boost::system::error_condition default_error_condition(int value) const noexcept override
    {
        if (value == static_cast<int>(lmdb_errc::queue_full) || value == MDB_MAP_FULL)
            return storage_condition::unchanged; // not begun, or rolled back
        return {value, *this};
    }
};

} // namespace

boost::system::error_category const& lmdb_category() noexcept
{
    static category const instance;
    return instance;
}

namespace detail {

error_code lmdb_error(int returned) noexcept
{
    if (returned == MDB_SUCCESS)
        return {};
    if (returned > 0) // errno
        return {returned, boost::system::system_category()};
    return {returned, lmdb_category()};
}

void check_lmdb(int returned, char const* what)
{
    if (returned != MDB_SUCCESS)
        throw system_error{lmdb_error(returned), what};
}

} // namespace detail
} // namespace reprise
