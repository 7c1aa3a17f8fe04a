# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# Asio and Beast are most of what each file compiles, so they are parsed once. Not as a part of another project: there the
# packaging tests see that each file includes what it needs.
function(reprise_precompile target)
    if(NOT PROJECT_IS_TOP_LEVEL)
        return()
    endif()
    if(target STREQUAL reprise)
        target_precompile_headers(reprise PRIVATE
            <boost/asio.hpp>
            <boost/asio/ssl.hpp>
            <boost/beast/core.hpp>
            <boost/beast/http.hpp>)
    else()
        target_precompile_headers(${target} REUSE_FROM reprise)
    endif()
endfunction()
