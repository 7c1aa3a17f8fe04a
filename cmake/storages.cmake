# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# reprise::storages: make_storage, with every storage that this build has.

add_library(reprise_storages STATIC src/storage/make_storage.cpp)
add_library(reprise::storages ALIAS reprise_storages)
set_target_properties(reprise_storages PROPERTIES EXPORT_NAME storages CXX_EXTENSIONS OFF)
target_link_libraries(reprise_storages
    PUBLIC reprise
    PRIVATE $<BUILD_INTERFACE:reprise_separate_asio> $<BUILD_INTERFACE:reprise_warnings>)
foreach(optional lmdb redis)
    if(TARGET reprise_${optional})
        string(TOUPPER ${optional} name)
        target_compile_definitions(reprise_storages PUBLIC REPRISE_HAS_${name})
        target_link_libraries(reprise_storages PRIVATE reprise_${optional})
    endif()
endforeach()
reprise_precompile(reprise_storages)
