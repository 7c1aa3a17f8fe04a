#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Finds expressions with co_await that GCC 12 compiles wrongly (co_await.query), in every source file that awaits something
# and in the headers that it includes; templates are seen as they are instantiated there. Before that it checks itself: in
# forms.cpp it has to find the lines that end with "// bad", and no others.
# Usage: co_await.sh SOURCE_ROOT BUILD_WITH_COMPILE_COMMANDS JOBS
set -euo pipefail
cd "$1"
build=$2
jobs=$3
here=test/co_await

# Prints path:line of what was found, or fails with what the parser said.
query() # clang-query's arguments...
{
    local output
    if ! output=$(clang-query-19 -f "$here/co_await.query" "$@" 2>&1) || grep -qE '(error:|Error parsing)' <<<"$output"; then
        printf '%s\n' "$output" >&2
        return 1
    fi
    sed -nE "s|^($PWD/)?([^:]+:[0-9]+):[0-9]+: note: \"bad\" binds here.*|\2|p" <<<"$output"
}
export -f query
export here

expected=$(awk '/\/\/ bad$/ { print FILENAME ":" FNR }' "$here/forms.cpp" | sort)
found=$(query "$here/forms.cpp" -- -std=c++20 -w | sort -u)
if [[ -z $expected || $found != "$expected" ]]; then
    echo "co_await.sh: in forms.cpp what is bad and what is found differ:"
    diff <(sort <<<"$expected") <(sort <<<"$found") || true
    exit 1
fi

results=$(mktemp)
trap 'rm -f "$results"' EXIT
mapfile -t files < <(find src examples test bench -name '*.cpp' ! -path "$here/*" -exec grep -l co_await {} + | sort)
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$jobs" bash -c 'query -p "$0" "$1"' "$build" >"$results" || {
    echo 'co_await.sh: a file could not be read (see above)'
    exit 1
}
if found=$(grep -E '^(include|src|examples|test|bench)/' "$results" | sort -u); then
    echo "co_await.sh: GCC 12 copies and destroys twice what is built here. Give it a name before the co_await:"
    printf '%s\n' "$found"
    exit 1
fi
echo "co_await.sh: ${#files[@]} files, nothing found"
