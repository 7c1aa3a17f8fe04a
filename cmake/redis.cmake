# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# reprise::redis, the storage in Redis or Valkey.

list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(hiredis 0.14 MODULE)
list(POP_FRONT CMAKE_MODULE_PATH)
if(NOT hiredis_FOUND)
    message(FATAL_ERROR
        "hiredis 0.14 or newer is needed for the storage in Redis: install libhiredis-dev, "
        "or configure with -DREPRISE_WITH_REDIS=OFF to build without it")
endif()

add_library(reprise_redis STATIC
    src/storage/redis/link.cpp
    src/storage/redis/link_plan.cpp
    src/storage/redis/name_lookup.cpp
    src/storage/redis/pipeline.cpp
    src/storage/redis/protocol.cpp
    src/storage/redis/redis_error.cpp
    src/storage/redis/redis_storage.cpp
    src/storage/redis/redis_url.cpp
    src/storage/redis/server_info.cpp
    src/storage/redis/transport.cpp)
add_library(reprise::redis ALIAS reprise_redis)
set_target_properties(reprise_redis PROPERTIES EXPORT_NAME redis CXX_EXTENSIONS OFF)
target_include_directories(reprise_redis PRIVATE src)
target_link_libraries(reprise_redis
    PUBLIC reprise
    PRIVATE hiredis::hiredis $<BUILD_INTERFACE:reprise_separate_asio> $<BUILD_INTERFACE:reprise_warnings>)
reprise_precompile(reprise_redis)
