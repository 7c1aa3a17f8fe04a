# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# The three ways into another project, each with test/consumer: configured, built and run.

set(consumer ${CMAKE_CURRENT_SOURCE_DIR}/consumer)
set(packaging ${CMAKE_CURRENT_BINARY_DIR}/packaging)
set(components storages)
set(component_options)
foreach(component lmdb redis prometheus)
    if(TARGET reprise_${component})
        string(TOUPPER ${component} name)
        list(APPEND components ${component})
        list(APPEND component_options -DREPRISE_WITH_${name}=ON)
    endif()
endforeach()

# The build is kept, so that a second run compiles what has changed and nothing else.
function(reprise_add_consumer_test name how compiler)
    add_test(NAME packaging.${name}
        COMMAND ${CMAKE_CTEST_COMMAND}
            --build-and-test ${consumer} ${packaging}/${name}
            --build-generator ${CMAKE_GENERATOR}
            --build-noclean
            --build-options
                -DCMAKE_CXX_COMPILER=${compiler}
                "-DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}"
                -DREPRISE_BY=${how}
                "-DREPRISE_COMPONENTS=${components}"
                ${component_options}
                ${ARGN}
            --test-command ${CMAKE_CTEST_COMMAND} --output-on-failure)
    set_tests_properties(packaging.${name} PROPERTIES LABELS packaging TIMEOUT 900)
endfunction()

if(REPRISE_INSTALL)
    # A header that is no longer there must not be found. Files keep their times, so nothing is compiled again for it.
    add_test(NAME packaging.install
        COMMAND sh -c "rm -rf \"$1\" && \"$2\" --install \"$3\" --prefix \"$1\""
            - ${packaging}/prefix ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR})
    set_tests_properties(packaging.install PROPERTIES LABELS packaging TIMEOUT 60 FIXTURES_SETUP reprise_installed)

    set(installed -DCMAKE_PREFIX_PATH=${packaging}/prefix)
    reprise_add_consumer_test(find_package find_package ${CMAKE_CXX_COMPILER} ${installed})
    set_tests_properties(packaging.find_package PROPERTIES FIXTURES_REQUIRED reprise_installed)
    if(reprise_other_clang)
        reprise_add_consumer_test(find_package_clang find_package ${reprise_other_clang} ${installed})
        set_tests_properties(packaging.find_package_clang PROPERTIES FIXTURES_REQUIRED reprise_installed)
    endif()

    add_test(NAME packaging.partial_build
        COMMAND ${CMAKE_COMMAND}
            -D source=${PROJECT_SOURCE_DIR} -D scratch=${packaging}/partial -D generator=${CMAKE_GENERATOR}
            -D compiler=${CMAKE_CXX_COMPILER} -P ${CMAKE_CURRENT_SOURCE_DIR}/partial_build.cmake)
    set_tests_properties(packaging.partial_build PROPERTIES LABELS packaging TIMEOUT 60)
endif()

foreach(how add_subdirectory FetchContent)
    reprise_add_consumer_test(${how} ${how} ${CMAKE_CXX_COMPILER} -DREPRISE_SOURCE_DIR=${PROJECT_SOURCE_DIR})
endforeach()
