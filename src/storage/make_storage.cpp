// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/error.hpp>
#include <reprise/storage/make_storage.hpp>
#include <reprise/storage/memory_storage.hpp>
#ifdef REPRISE_HAS_LMDB
#include <reprise/storage/lmdb_storage.hpp>
#endif
#ifdef REPRISE_HAS_REDIS
#include <reprise/storage/redis_storage.hpp>
#endif

#include <algorithm>
#include <string>

namespace reprise {

namespace {

[[noreturn]] void refuse(std::string const& why)
{
    throw system_error{errc::bad_option, "storage: " + why};
}

storage_ptr make_lmdb([[maybe_unused]] std::string_view path)
{
#ifdef REPRISE_HAS_LMDB
    lmdb_storage_options options;
    options.path = path;
    return lmdb_storage::make(options);
#else
    refuse("this build has no LMDB; build with REPRISE_WITH_LMDB");
#endif
}

storage_ptr make_redis([[maybe_unused]] std::string_view url)
{
#ifdef REPRISE_HAS_REDIS
    return redis_storage::make(parse_redis_url(url));
#else
    refuse("this build has no Redis; build with REPRISE_WITH_REDIS");
#endif
}

} // namespace

storage_ptr make_storage(std::string_view line)
{
    if (line == "memory")
        return memory_storage::make();
    for (std::string_view const scheme : {"redis://", "rediss://", "unix://", "redis+unix://"})
        if (line.starts_with(scheme))
            return make_redis(line);
    auto const kind = line.substr(0, line.find(':'));
    auto const rest = line.substr(std::min(line.size(), kind.size() + 1));
    if (kind == "lmdb" && !rest.empty())
        return make_lmdb(rest);
    if (kind == "redis" && !rest.empty())
        return make_redis(rest);
    // The line may hold a password, so the error does not repeat it.
    refuse("expected memory, lmdb:PATH or redis:URL");
}

} // namespace reprise
