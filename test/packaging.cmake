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

function(reprise_add_consumer_test how)
    add_test(NAME packaging.${how}
        COMMAND ${CMAKE_CTEST_COMMAND}
            --build-and-test ${consumer} ${packaging}/${how}
            --build-generator ${CMAKE_GENERATOR}
            --build-options
                -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
                "-DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}"
                -DREPRISE_BY=${how}
                "-DREPRISE_COMPONENTS=${components}"
                ${component_options}
                ${ARGN}
            --test-command consumer)
    set_tests_properties(packaging.${how} PROPERTIES LABELS packaging TIMEOUT 900)
endfunction()

if(REPRISE_INSTALL)
    add_test(NAME packaging.install
        COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${packaging}/prefix)
    set_tests_properties(packaging.install PROPERTIES LABELS packaging TIMEOUT 60 FIXTURES_SETUP reprise_installed)

    reprise_add_consumer_test(find_package -DCMAKE_PREFIX_PATH=${packaging}/prefix)
    set_tests_properties(packaging.find_package PROPERTIES FIXTURES_REQUIRED reprise_installed)
endif()

reprise_add_consumer_test(add_subdirectory -DREPRISE_SOURCE_DIR=${PROJECT_SOURCE_DIR})
reprise_add_consumer_test(FetchContent -DREPRISE_SOURCE_DIR=${PROJECT_SOURCE_DIR})
