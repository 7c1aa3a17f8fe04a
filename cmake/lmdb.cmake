# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# reprise::lmdb: the storage on disk.

list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(LMDB 0.9.24 QUIET)
list(POP_FRONT CMAKE_MODULE_PATH)
if(NOT LMDB_FOUND)
    message(FATAL_ERROR
        "reprise::lmdb needs liblmdb 0.9.24 or later (Debian: liblmdb-dev). Without it, set REPRISE_WITH_LMDB=OFF.")
endif()

add_library(reprise_lmdb STATIC
    src/storage/lmdb/engine.cpp
    src/storage/lmdb/environment.cpp
    src/storage/lmdb/error.cpp
    src/storage/lmdb/lmdb_storage.cpp
    src/storage/lmdb/operation_queue.cpp
    src/storage/lmdb/table.cpp)
add_library(reprise::lmdb ALIAS reprise_lmdb)
set_target_properties(reprise_lmdb PROPERTIES EXPORT_NAME lmdb CXX_EXTENSIONS OFF)
target_include_directories(reprise_lmdb PRIVATE src)
target_link_libraries(reprise_lmdb
    PUBLIC reprise
    PRIVATE LMDB::LMDB $<BUILD_INTERFACE:reprise_separate_asio> $<BUILD_INTERFACE:reprise_warnings>)
reprise_precompile(reprise_lmdb)
