# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# Compile through ccache where there is one. The sloppiness is what it needs for precompiled headers.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(REPRISE_CCACHE ccache)
    mark_as_advanced(REPRISE_CCACHE)
    if(REPRISE_CCACHE)
        set(CMAKE_CXX_COMPILER_LAUNCHER
            ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
            ${REPRISE_CCACHE})
    endif()
endif()
