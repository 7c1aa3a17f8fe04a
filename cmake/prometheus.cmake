# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# reprise::prometheus: counters for Prometheus.

find_package(prometheus-cpp QUIET) # its package does not tell its version
if(NOT prometheus-cpp_FOUND)
    message(FATAL_ERROR
        "reprise::prometheus needs prometheus-cpp 1.0 or later (Debian: prometheus-cpp-dev). "
        "Without it, set REPRISE_WITH_PROMETHEUS=OFF.")
endif()

add_library(reprise_prometheus STATIC src/metrics/prometheus_exporter.cpp)
add_library(reprise::prometheus ALIAS reprise_prometheus)
set_target_properties(reprise_prometheus PROPERTIES EXPORT_NAME prometheus CXX_EXTENSIONS OFF)
target_include_directories(reprise_prometheus PRIVATE src)
target_link_libraries(reprise_prometheus
    PUBLIC reprise prometheus-cpp::core
    PRIVATE $<BUILD_INTERFACE:reprise_separate_asio> $<BUILD_INTERFACE:reprise_warnings>)
reprise_precompile(reprise_prometheus)
