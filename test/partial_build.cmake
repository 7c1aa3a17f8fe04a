# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# A build of some targets installs what was built; find_package then finds that, and says what is missing.
# Usage: cmake -D source=... -D scratch=... -D generator=... -D compiler=... -P partial_build.cmake

function(run expected) # command...; fails unless the output matches what is expected
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
    string(REGEX REPLACE "[ \n]+" " " words "${out}")
    if(NOT "${status}: ${words}" MATCHES "${expected}")
        string(JOIN " " command ${ARGN})
        message(FATAL_ERROR "${command}\nwas to give '${expected}', and gave ${status}:\n${out}")
    endif()
endfunction()

file(REMOVE_RECURSE ${scratch})
run("^0:" ${CMAKE_COMMAND} -S ${source} -B ${scratch}/build -G ${generator} -DCMAKE_CXX_COMPILER=${compiler}
    -DREPRISE_BUILD_TESTS=OFF -DREPRISE_BUILD_EXAMPLES=OFF -DREPRISE_WITH_PROMETHEUS=OFF)
foreach(library reprise reprise_asio reprise_redis) # what a build of these targets leaves
    file(WRITE ${scratch}/build/lib${library}.a "!<arch>\n")
endforeach()
run("^0:" ${CMAKE_COMMAND} --install ${scratch}/build --prefix ${scratch}/prefix)

file(WRITE ${scratch}/user/CMakeLists.txt "cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES CXX)
find_package(reprise REQUIRED COMPONENTS \${components})
")
set(user ${CMAKE_COMMAND} -S ${scratch}/user -B ${scratch}/user/build -G ${generator} -DCMAKE_CXX_COMPILER=${compiler}
    -DCMAKE_PREFIX_PATH=${scratch}/prefix)
run("^0:" ${user} -Dcomponents=)
run("^0:" ${user} -Dcomponents=redis)
run("^[^0].* was installed without the component 'lmdb'" ${user} "-Dcomponents=redis\;lmdb")
run("^[^0].* was installed without the component 'prometheus'" ${user} -Dcomponents=prometheus)
