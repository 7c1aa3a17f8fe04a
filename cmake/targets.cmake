# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# How the targets of reprise are built.

set(CMAKE_CXX_EXTENSIONS OFF)

# Asio and Beast are most of what each file compiles, so the compiler parses them once. As part of another project each
# file includes what it needs; the packaging tests build reprise that way.
function(reprise_precompile target)
    if(NOT PROJECT_IS_TOP_LEVEL)
        return()
    elseif(target STREQUAL reprise)
        target_precompile_headers(reprise PRIVATE
            <boost/asio.hpp>
            <boost/asio/ssl.hpp>
            <boost/beast/core.hpp>
            <boost/beast/http.hpp>)
    else()
        target_precompile_headers(${target} REUSE_FROM reprise)
    endif()
endfunction()

# Our warnings, and Asio's functions from reprise::asio.
function(reprise_use_flags target)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:reprise_separate_asio> $<BUILD_INTERFACE:reprise_warnings>)
    reprise_precompile(${target})
endfunction()

# A library that is installed; other projects link reprise::${exported}.
function(reprise_add_library target exported) # sources...
    add_library(${target} STATIC ${ARGN})
    add_library(reprise::${exported} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${exported})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    reprise_use_flags(${target})
endfunction()

function(reprise_add_executable target) # sources...
    add_executable(${target} ${ARGN})
    target_link_libraries(${target} PRIVATE reprise)
    reprise_use_flags(${target})
endfunction()
