# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# Flags as targets: reprise_warnings for our own code only, reprise_sanitizers for everything that is linked together,
# reprise_separate_asio for what sees Asio's functions declared and finds them in reprise::asio. None is installed.

add_library(reprise_separate_asio INTERFACE)
target_compile_definitions(reprise_separate_asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION)

add_library(reprise_warnings INTERFACE)
target_compile_options(reprise_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    $<$<BOOL:${REPRISE_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 mistakes the operator new of Asio's coroutine frames for the global one.
    target_compile_options(reprise_warnings INTERFACE -Wno-mismatched-new-delete)
endif()

add_library(reprise_sanitizers INTERFACE)
if(REPRISE_SANITIZE)
    target_compile_options(reprise_sanitizers INTERFACE
        -fsanitize=${REPRISE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(reprise_sanitizers INTERFACE -fsanitize=${REPRISE_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC loses sight of what is initialised between the instrumentation: false alarms, in the standard library.
        target_compile_options(reprise_warnings INTERFACE -Wno-maybe-uninitialized)
    endif()
    if(REPRISE_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC says that TSan does not see fences; Asio has some, next to atomics that it does see.
        target_compile_options(reprise_sanitizers INTERFACE -Wno-tsan)
    endif()
endif()
