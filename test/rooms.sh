#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Checks that #include lines point down: base < {tls, storage} < io < {client, server} < {http, metrics}.
# Usage: rooms.sh SOURCE_ROOT
set -euo pipefail
shopt -s nullglob globstar
cd "$1"

# room -> rooms it may include, its own apart
declare -A below=(
    [base]=""
    [tls]="base"
    [storage]="base"
    [io]="base tls"
    [client]="base tls storage io"
    [server]="base tls storage io"
    [http]="base tls storage io client server"
    [metrics]="base tls storage io client server"
    [testing]="base storage io"
)
# room -> libraries that it must not know
declare -A foreign=(
    [base]="boost/asio/ boost/asio. boost/beast/"
    [tls]="boost/asio/ boost/asio. boost/beast/"
    [storage]="openssl/ boost/asio/ssl boost/beast/"
)
# path -> of these, what it may know all the same
declare -A exempt=(
    [storage/redis]="boost/asio/ssl" # a transport to the server, nothing of ours
)

files=0
errors=0

complain()
{
    echo "$1: $2"
    errors=$((errors + 1))
}

# Prints "line kind target" of each #include, kind being < or ".
includes_of()
{
    sed -nE '/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]+)[>"].*/{
        =
        s//\1 \2/p
    }' "$1" | paste -d' ' - -
}

# The room of a path in include/reprise/ or src/; empty for a header above all rooms (include/reprise/reprise.hpp).
room_of()
{
    [[ $1 == */* ]] && echo "${1%%/*}" || true
}

check_room_file() # file, its path below include/reprise/ or src/
{
    local file=$1 path=$2 room line kind target to prefix exempted=
    room=$(room_of "$path")
    if [[ -n $room && ! -v below[$room] ]]; then
        complain "$file" "unknown room '$room': say in test/rooms.sh what it may include"
        return
    fi
    for prefix in "${!exempt[@]}"; do
        [[ $path != "$prefix"* ]] || exempted=${exempt[$prefix]}
    done
    while read -r line kind target; do
        to=
        [[ -n $room ]] && for prefix in ${foreign[$room]:-}; do
            [[ $target != "$prefix"* || $prefix == "$exempted" ]] || complain "$file:$line" "$room must not include <$target>"
        done
        if [[ $target == *..* ]]; then
            complain "$file:$line" "'$target': name the room instead of climbing"
        elif [[ $target == reprise/* ]]; then
            to=$(room_of "${target#reprise/}")
            [[ -n $to || -z $room ]] || complain "$file:$line" "$room must not include the umbrella <$target>"
        elif [[ $kind == '"' && ! -e ${file%/*}/$target ]]; then
            to=$(room_of "$target")
        else
            continue # a neighbour or another library
        fi
        [[ -z $room || -z $to || $to == "$room" || " ${below[$room]} " == *" $to "* ]] ||
            complain "$file:$line" "$room must not include $to ($target)"
    done < <(includes_of "$file")
}

check_guest_file() # file in examples/ or bench/: public headers and its own neighbours only
{
    local file=$1 line kind target
    while read -r line kind target; do
        if [[ $target == *..* ]]; then
            complain "$file:$line" "'$target': public headers only"
        elif [[ $kind == '"' && ! -e ${file%/*}/$target && ! -e ${file%%/*}/$target ]]; then
            complain "$file:$line" "\"$target\": public headers only"
        elif [[ $target == reprise/* && ! -e include/$target ]]; then
            complain "$file:$line" "<$target> is not a public header"
        fi
    done < <(includes_of "$file")
}

for file in include/reprise/**/*.hpp; do
    files=$((files + 1))
    check_room_file "$file" "${file#include/reprise/}"
done
for file in src/**/*.[hc]pp; do
    files=$((files + 1))
    check_room_file "$file" "${file#src/}"
done
for file in {examples,bench}/**/*.[hc]pp; do
    files=$((files + 1))
    check_guest_file "$file"
done

echo "$files files, $errors errors"
((files > 0 && errors == 0))
