// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/lmdb_error.hpp>
#include <reprise/storage/lmdb_storage.hpp>

int main()
{
    try
    {
        (void)reprise::lmdb_storage::make({.path = "/dev/null"});
    }
    catch (reprise::system_error const& e)
    {
        return e.code() == reprise::lmdb_errc::not_a_directory ? 0 : 1;
    }
    return 1;
}
