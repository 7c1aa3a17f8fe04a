# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/reprise)

install(TARGETS reprise reprise_asio EXPORT reprise ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/reprise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY ${old_headers_dir}/reprise DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(EXPORT reprise NAMESPACE reprise:: FILE reprise-targets.cmake DESTINATION ${package_dir})
# Components: each a library of its own, with the module that finds what it is made of. One that was not built is left out,
# and reprise-config.cmake says so to who asks for it.
foreach(component lmdb redis storages prometheus)
    if(TARGET reprise_${component})
        install(TARGETS reprise_${component} EXPORT reprise-${component}
            ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} OPTIONAL)
        install(EXPORT reprise-${component} NAMESPACE reprise:: FILE reprise-${component}-targets.cmake
            DESTINATION ${package_dir})
    endif()
endforeach()
install(FILES cmake/FindLMDB.cmake cmake/Findhiredis.cmake DESTINATION ${package_dir})

configure_package_config_file(cmake/reprise-config.cmake.in reprise-config.cmake
    INSTALL_DESTINATION ${package_dir}
    PATH_VARS CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(reprise-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/reprise-config.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/reprise-config-version.cmake
    DESTINATION ${package_dir})
