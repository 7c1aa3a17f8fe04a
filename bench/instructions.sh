#!/usr/bin/env bash
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
#
# Instructions of a resumed connection in memory, counted by callgrind: what regressions are judged by. Prints each end of
# each kind, and where the goal for the server stands. The ends are those of bench/endpoints.hpp.
# Usage: instructions.sh REPRISE_BENCH
set -euo pipefail

bench=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

per_connection() # benchmark
{
    local collected
    collected=$(valgrind --tool=callgrind --callgrind-out-file="$out/profile" \
        --toggle-collect=reprise_measured "$bench" --benchmark_filter="^$1\$|^$1/" --benchmark_repetitions=1 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p')
    if ((${collected:-0} == 0)); then
        echo "instructions.sh: nothing was counted for $1" >&2
        exit 1
    fi
    echo $((collected / 100)) # the benchmark's iterations
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'; }

printf 'Instructions of one end of a resumed connection in memory.\n\n'
printf '%-8s %-16s %9s %9s %9s %9s %13s %10s\n' end kind raw cache asio reprise reprise/asio cache/raw
for end in server client; do
    for kind in tls12-id tls12-ticket tls13-stateless tls13-stateful; do
        declare -A count=([cache]=-)
        for maker in raw cache asio reprise; do
            [[ $end == client && $maker == cache ]] || count[$maker]=$(per_connection "$end/$maker/$kind/resumed")
        done
        printf '%-8s %-16s %9s %9s %9s %9s %13s' "$end" "$kind" "${count[raw]}" "${count[cache]}" "${count[asio]}" \
            "${count[reprise]}" "$(ratio "${count[reprise]}" "${count[asio]}")"
        if [[ $end == server ]]; then
            installed=$(ratio "${count[cache]}" "${count[raw]}")
            case $kind in
                tls12-id | tls13-stateful) bar=1.03 ;; # memory_storage against OpenSSL's internal cache, which raw uses
                *) bar=1.10 ;;
            esac
            printf ' %10s  goal: at most %s, %s' "$installed" "$bar" \
                "$(awk -v r="$installed" -v bar="$bar" 'BEGIN { print r <= bar ? "met" : "MISSED" }')"
        fi
        printf '\n'
    done
done
