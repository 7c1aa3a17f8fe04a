# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
# REPRISE_VERSION, from the header that tells programs.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/../include/reprise/version.hpp REPRISE_VERSION
    REGEX "^#define REPRISE_VERSION_(MAJOR|MINOR|PATCH) [0-9]+$")
list(TRANSFORM REPRISE_VERSION REPLACE "[^0-9]" "")
list(JOIN REPRISE_VERSION . REPRISE_VERSION)
