// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#include <reprise/storage/redis_storage.hpp>

int main()
{
    auto const options = reprise::parse_redis_url("redis://cache.example/7");
    auto const storage = reprise::redis_storage::make({.port = 1}); // nobody listens there
    return options.database == 7 && storage->stats().entries == 0 ? 0 : 1;
}
