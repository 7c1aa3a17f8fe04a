#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Checks that the README's client and server are the examples' own code, and that each file it links to exists.
# Usage: readme.sh SOURCE_ROOT
set -euo pipefail
cd "$1"

errors=0
complain()
{
    echo "README.md: $*"
    errors=$((errors + 1))
}

# Prints the README's code blocks that contain a text; there has to be one.
block_with() # text
{
    awk -v text="$1" '
        /^```cpp$/ { inside = 1; block = ""; next }
        /^```$/ { if (inside && index(block, text)) printf "%s", block; inside = 0 }
        inside { block = block $0 "\n" }' README.md
}

compare() # a function of the example, the example
{
    local block
    block=$(block_with "$1")
    if [[ -z $block ]]; then
        complain "no code block with $1"
    elif [[ $(<"$2") != *"$block"* ]]; then
        complain "$1 is not what $2 has"
    fi
}

compare visit_twice examples/tiny_client.cpp
compare greet examples/tiny_server.cpp

links=0
while read -r target; do
    links=$((links + 1))
    [[ -e $target ]] || complain "$target does not exist"
done < <(grep -oE '\]\([^):]+\)' README.md | sed -E 's/^\]\((.*)\)$/\1/')
((links > 0)) || complain 'no links found'

((errors == 0)) || exit 1
echo "README.md: code and $links links are right"
