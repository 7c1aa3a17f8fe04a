# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# The optional libraries. Each is reprise::NAME, and a component for find_package.

# Fails where a package is missing that a component needs.
macro(reprise_find_for component package what)
    list(PREPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/cmake)
    find_package(${package} ${ARGN} QUIET)
    list(POP_FRONT CMAKE_MODULE_PATH)
    if(NOT ${package}_FOUND)
        string(TOUPPER ${component} component_option)
        message(FATAL_ERROR "reprise::${component} needs ${what}. Without it, set REPRISE_WITH_${component_option}=OFF.")
    endif()
endmacro()

if(REPRISE_WITH_LMDB) # the storage on disk
    reprise_find_for(lmdb LMDB "liblmdb 0.9.24 or later (Debian: liblmdb-dev)" 0.9.24)
    reprise_add_library(reprise_lmdb lmdb
        src/storage/lmdb/engine.cpp
        src/storage/lmdb/environment.cpp
        src/storage/lmdb/error.cpp
        src/storage/lmdb/lmdb_storage.cpp
        src/storage/lmdb/operation_queue.cpp
        src/storage/lmdb/table.cpp)
    target_link_libraries(reprise_lmdb PUBLIC reprise PRIVATE LMDB::LMDB)
endif()

if(REPRISE_WITH_REDIS) # the storage in Redis or Valkey
    reprise_find_for(redis hiredis "hiredis 0.14 or later (Debian: libhiredis-dev)" 0.14 MODULE)
    reprise_add_library(reprise_redis redis
        src/storage/redis/link.cpp
        src/storage/redis/link_plan.cpp
        src/storage/redis/pipeline.cpp
        src/storage/redis/protocol.cpp
        src/storage/redis/redis_error.cpp
        src/storage/redis/redis_storage.cpp
        src/storage/redis/redis_url.cpp
        src/storage/redis/server_info.cpp
        src/storage/redis/redis_socket.cpp)
    target_link_libraries(reprise_redis PUBLIC reprise PRIVATE hiredis::hiredis)
endif()

# make_storage, with every storage that this build has
reprise_add_library(reprise_storages storages src/storage/make_storage.cpp)
target_link_libraries(reprise_storages PUBLIC reprise)
foreach(optional LMDB REDIS)
    if(REPRISE_WITH_${optional})
        string(TOLOWER ${optional} component)
        target_compile_definitions(reprise_storages PUBLIC REPRISE_HAS_${optional})
        target_link_libraries(reprise_storages PRIVATE reprise_${component})
    endif()
endforeach()

if(REPRISE_WITH_PROMETHEUS) # counters; the package does not tell its version
    reprise_find_for(prometheus prometheus-cpp "prometheus-cpp 1.0 or later (Debian: prometheus-cpp-dev)")
    reprise_add_library(reprise_prometheus prometheus src/metrics/prometheus_exporter.cpp)
    target_link_libraries(reprise_prometheus PUBLIC reprise prometheus-cpp::core)
endif()
