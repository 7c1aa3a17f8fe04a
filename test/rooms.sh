#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Checks where headers lie and that #include lines point down:
# base < async < {tls, net, storage} < stream < {client, server} < {http, metrics}.
# Usage: rooms.sh SOURCE_ROOT
set -euo pipefail
shopt -s nullglob globstar
cd "$1"

# room -> rooms it may include, its own apart
declare -A below=(
    [base]=""
    [async]="base"
    [tls]="base"
    [net]="base async"
    [storage]="base async net"
    [stream]="base async tls net"
    [client]="base async tls net storage stream"
    [server]="base async tls net storage stream"
    [http]="base async tls net storage stream client server"
    [metrics]="base async tls net storage stream client server"
    [testing]="base async storage"
)
# room -> its public headers in include/reprise/; those in include/reprise/ROOM/ apart
declare -A face=(
    [base]="clock error locked_bytes secret_bytes"
    [tls]="client_hello early_data_reason handshake_counters handshake_info observer session ssl_handles"
    [net]="default_socket fast_open"
    [client]="client_handle client_options client_stream connect_options early_data explain http_proxy memory_session_store persistent_session_store
        policy_changed retry_options session_file session_scope session_store"
    [server]="early_data_options replay_guard server_options server_stream session_cache ticket_key ticket_key_file ticket_keys"
    [umbrella]="client server version"
)
# room -> libraries that it must not know
declare -A foreign=(
    [base]="boost/asio/ boost/asio. boost/beast/"
    [tls]="boost/asio/ boost/asio. boost/beast/"
    [async]="openssl/ boost/asio/ssl boost/beast/"
    [net]="openssl/ boost/asio/ssl boost/beast/"
    [storage]="openssl/ boost/asio/ssl boost/beast/"
)
# path -> of these, what it may know all the same
declare -A exempt=(
    [storage/redis]="boost/asio/ssl" # a transport to the server, nothing of ours
    [async/separate_asio.cpp]="boost/asio/ssl" # all of Asio, compiled once
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

declare -A room_of_header=()
for room in "${!face[@]}"; do
    for name in ${face[$room]}; do
        room_of_header[$name.hpp]=$room
        [[ -e include/reprise/$name.hpp ]] || complain "test/rooms.sh" "there is no include/reprise/$name.hpp"
    done
done

# The room of a path below include/reprise/ or src/; empty for an unknown one.
room_of()
{
    local path=${1#detail/}
    case $path in
        */*) echo "${path%%/*}" ;;
        *) echo "${room_of_header[$path]:-}" ;;
    esac
}

check_room_file() # file, its path below include/reprise/ or src/
{
    local file=$1 path=$2 room line kind target to prefix exempted=
    room=$(room_of "$path")
    [[ $room != umbrella ]] || return 0
    if [[ -z $room || ! -v below[$room] ]]; then
        complain "$file" "unknown room '$room': say in test/rooms.sh what it may include"
        return
    fi
    for prefix in "${!exempt[@]}"; do
        [[ $path != "$prefix"* ]] || exempted=${exempt[$prefix]}
    done
    while read -r line kind target; do
        to=
        for prefix in ${foreign[$room]:-}; do
            [[ $target != "$prefix"* || $prefix == "$exempted" ]] || complain "$file:$line" "$room must not include <$target>"
        done
        if [[ $target == *..* ]]; then
            complain "$file:$line" "'$target': name the room instead of climbing"
        elif [[ $target == reprise/* ]]; then
            to=$(room_of "${target#reprise/}")
            [[ -n $to ]] || complain "$file:$line" "there is no <$target>"
        elif [[ $kind == '"' && ! -e ${file%/*}/$target ]]; then
            to=$(room_of "$target")
        else
            continue # a neighbour or another library
        fi
        [[ -z $to || $to == "$room" || " ${below[$room]} " == *" $to "* ]] ||
            complain "$file:$line" "$room must not include $to ($target)"
    done < <(includes_of "$file")
}

# Prints what a header declares in namespace reprise or reprise::testing, outside of detail; forward declarations apart.
declarations_of()
{
    awk '
        /^namespace .*detail \{/ { detail = 1 }
        /^\} \/\/ namespace .*detail/ { detail = 0 }
        /^namespace reprise(::testing)? \{/ { ours = 1 }
        /^\} \/\/ namespace reprise(::testing)?$/ { ours = 0 }
        ours && !detail && /^[A-Za-z\[]/ && !/^(namespace|public:|private:|protected:|requires)/ && !/^(class|struct) [a-z_]+;/' "$1"
}

check_face() # header in include/reprise/: the API is outside of detail/, machinery inside
{
    local declared
    declared=$(declarations_of "$1")
    case $1 in
        include/reprise/detail/*) [[ -z $declared ]] || complain "$1" "declares API in detail/: ${declared%%$'\n'*}" ;;
        include/reprise/client.hpp | include/reprise/server.hpp | include/reprise/version.hpp) ;;
        *) [[ -n $declared ]] || complain "$1" 'declares no API: it belongs in include/reprise/detail/' ;;
    esac
}

check_guest_file() # file in examples/ or bench/: public headers and its own neighbours only
{
    local file=$1 line kind target
    while read -r line kind target; do
        if [[ $target == *..* ]]; then
            complain "$file:$line" "'$target': public headers only"
        elif [[ $kind == '"' && ! -e ${file%/*}/$target && ! -e ${file%%/*}/$target ]]; then
            complain "$file:$line" "\"$target\": public headers only"
        elif [[ $target == reprise/* && ! -e include/$target || $target == reprise/detail/* && $file == examples/* ]]; then
            complain "$file:$line" "<$target> is not a public header"
        fi
    done < <(includes_of "$file")
}

for file in include/reprise/**/*.hpp; do
    files=$((files + 1))
    check_room_file "$file" "${file#include/reprise/}"
    check_face "$file"
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
